package injectors

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/squall-chaos/squall/targets"
)

// JournalName is the name of the journal in a run's directory.
const JournalName = "journal.jsonl"

// Stage is how far a change has come.
type Stage string

// The stages of a change. All but Reverted leave something to undo, or may.
const (
	Planned     Stage = "planned"     // written before anything was done; it may be done wholly, partly or not
	Applied     Stage = "applied"     // done
	Reverted    Stage = "reverted"    // undone, and nothing of it was found afterwards
	Unrecovered Stage = "unrecovered" // an undo did not succeed, or left something behind
)

// record is one line of a journal.
type record struct {
	At        time.Time    `json:"at"`
	Stage     Stage        `json:"stage,omitempty"`
	ID        string       `json:"id,omitempty"`
	Change    *Change      `json:"change,omitempty"`    // with Planned, and with Applied where applying added to it
	Successor *targets.Ref `json:"successor,omitempty"` // with Reverted: the target's new incarnation
	Residue   []string     `json:"residue,omitempty"`
	Err       string       `json:"err,omitempty"`
	Holder    *Holder      `json:"holder,omitempty"` // of a process that opened the journal
}

// Holder is who holds changes.
type Holder struct {
	Run        string    `json:"run"`
	Experiment string    `json:"experiment"`
	Dir        string    `json:"dir"`
	PID        int       `json:"pid"` // of the agent; the agent fills in all from here to Since
	UID        int       `json:"uid"`
	Since      time.Time `json:"since"`
	Deadline   time.Time `json:"deadline,omitzero"` // when everything is undone, whatever the run does; zero: never
}

// Entry is one change with the last that its journal says of it.
type Entry struct {
	Change    Change       `json:"change"`
	Stage     Stage        `json:"stage"`
	At        time.Time    `json:"at"`      // of the last record
	Planned   time.Time    `json:"planned"` // of the first
	Successor *targets.Ref `json:"successor,omitempty"`
	Residue   []string     `json:"residue,omitempty"`
	Err       string       `json:"err,omitempty"`
}

// Journal is what a journal file says.
type Journal struct {
	Holder  Holder
	Entries []Entry  // in the order in which they were planned
	Damage  []string // lines that could not be read, with the reason
	Torn    int64    // bytes of an unfinished last line, which were never acted on
}

// Open returns the entries that may still have something to undo.
func (j *Journal) Open() []Entry {
	var open []Entry
	for _, e := range j.Entries {
		if e.Stage != Reverted {
			open = append(open, e)
		}
	}
	return open
}

// maxRecord bounds one line of a journal.
const maxRecord = 16 << 20

// ReadJournal reads what a journal says. A torn last line, as a crash leaves it,
// is cut off: what it announced was not begun. Any other line that cannot be read
// is reported in Damage, and the rest is still used.
func ReadJournal(r io.Reader) (*Journal, error) {
	j := &Journal{}
	at := map[string]int{}
	br := bufio.NewReader(io.LimitReader(r, 1<<30))
	for n := 1; ; n++ {
		line, err := br.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			j.Torn = int64(len(line))
			return j, nil
		}
		if err != nil {
			return nil, err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if err := j.add(line, at); err != nil {
			j.Damage = append(j.Damage, fmt.Sprintf("line %d: %v", n, err))
		}
	}
}

func (j *Journal) add(line []byte, at map[string]int) error {
	if len(line) > maxRecord {
		return errors.New("too long")
	}
	var rec record
	if err := json.Unmarshal(line, &rec); err != nil {
		return err
	}
	if rec.Holder != nil {
		j.Holder = *rec.Holder
	}
	switch rec.Stage {
	case "":
		return nil
	case Planned, Applied, Reverted, Unrecovered:
	default:
		return fmt.Errorf("stage %q is not known", rec.Stage)
	}
	i, known := at[rec.ID]
	if !known || rec.Stage == Planned {
		if rec.Change == nil {
			return fmt.Errorf("change %q was never planned", rec.ID)
		}
		at[rec.ID] = len(j.Entries)
		j.Entries = append(j.Entries, Entry{Change: *rec.Change, Stage: rec.Stage, At: rec.At, Planned: rec.At})
		return nil
	}
	e := &j.Entries[i]
	e.Stage, e.At, e.Residue, e.Err = rec.Stage, rec.At, rec.Residue, rec.Err
	if rec.Change != nil {
		e.Change = *rec.Change
	}
	if rec.Successor != nil {
		e.Successor = rec.Successor
	}
	return nil
}

// ReadJournalFile reads the journal in a run's directory without locking it.
func ReadJournalFile(dir string) (*Journal, error) {
	f, err := os.Open(filepath.Join(dir, JournalName))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadJournal(f)
}

// errHeld says that another process holds a journal.
var errHeld = errors.New("the journal is held by a running agent")

// logbook is a journal that is being written. It belongs to one process at a time,
// which the kernel's lock on the file sees to.
type logbook struct {
	f       *os.File
	reserve string // file that keeps space for the last records
}

// openLog opens or creates the journal in dir, locks it, cuts off a torn tail and
// reads what is there. It does not wait for the lock: errHeld says that somebody
// has it.
func openLog(dir string) (*logbook, *Journal, error) {
	f, err := os.OpenFile(filepath.Join(dir, JournalName), os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, nil, err
	}
	if err := lock(f); err != nil { // a live agent may be told to undo by others than its user
		f.Close()
		return nil, nil, err
	}
	if err := trusted(f); err != nil {
		f.Close()
		return nil, nil, err
	}
	j, err := readAndTrim(f)
	if err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("read %s: %w", f.Name(), err)
	}
	l := &logbook{f: f, reserve: filepath.Join(dir, ".reserve")}
	l.keepSpace()
	return l, j, nil
}

// trusted refuses a journal that somebody else could have written: undoing may run
// the commands that it names. It looks at the open file, which cannot be exchanged
// any more.
func trusted(f *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return err
	}
	if int(st.Uid) != os.Getuid() {
		return fmt.Errorf("%s belongs to user %d: run squall recover as that user: %w", f.Name(), st.Uid, fs.ErrPermission)
	}
	if st.Mode&0o022 != 0 {
		return fmt.Errorf("%s can be written by others, and undoing what it says could be running their commands: look at it, then chmod 600", f.Name())
	}
	return nil
}

// lockTries is how often the lock is tried, 10 ms apart: long enough for somebody who
// is just asking whether it is held, or is undoing what a dead agent held.
const lockTries = 50

// lock takes the lock that says who writes the journal. It tries a few times, for
// somebody may just be asking whether it is held.
func lock(f *os.File) error {
	for try := 0; ; try++ {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, unix.EWOULDBLOCK):
			return fmt.Errorf("lock %s: %w", f.Name(), err)
		case try == lockTries:
			return errHeld
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func readAndTrim(f *os.File) (*Journal, error) {
	j, err := ReadJournal(f)
	if err != nil {
		return nil, err
	}
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil || j.Torn == 0 {
		return j, err
	}
	if err := f.Truncate(end - j.Torn); err != nil {
		return nil, err
	}
	_, err = f.Seek(0, io.SeekEnd)
	return j, err
}

// reserveSize is the space kept for records and the result when the disk fills.
const reserveSize = 1 << 20

// keepSpace takes space on the disk that freeSpace gives back when it is full. A
// disk that is full already is noticed by the first write.
func (l *logbook) keepSpace() {
	f, err := os.OpenFile(l.reserve, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, reserveSize)); err != nil {
		os.Remove(l.reserve)
	}
}

func (l *logbook) freeSpace() error { return os.Remove(l.reserve) }

// write appends the records, all of one moment, and makes them last. Announcements must have been
// written before what they announce is done, so an error is final for them; what
// has been done is recorded even on a full disk, from the reserve.
func (l *logbook) write(recs ...record) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	done, now := true, time.Now().UTC()
	for _, r := range recs {
		r.At = now
		if err := enc.Encode(r); err != nil {
			return err
		}
		done = done && r.Stage != Planned
	}
	err := l.append(b.Bytes())
	if errors.Is(err, unix.ENOSPC) && done && l.freeSpace() == nil {
		err = l.append(b.Bytes())
	}
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// append writes whole lines or nothing.
func (l *logbook) append(b []byte) error {
	start, err := l.f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if _, err = l.f.Write(b); err == nil {
		err = l.f.Sync()
	}
	if err != nil {
		return errors.Join(err, l.f.Truncate(start))
	}
	return nil
}

func (l *logbook) close() error {
	os.Remove(l.reserve)
	return l.f.Close()
}

// Held reports whether a live process holds the journal in dir, by the kernel's
// lock on it.
func Held(dir string) (bool, error) {
	f, err := os.Open(filepath.Join(dir, JournalName))
	if err != nil {
		return false, err
	}
	defer f.Close()
	err = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}

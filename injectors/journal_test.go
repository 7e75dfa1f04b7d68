package injectors

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/squall-chaos/squall/targets"
)

func planned(id string) record {
	return record{Stage: Planned, ID: id, Change: &Change{ID: id, Kind: "freeze", Ref: targets.Ref{Driver: "process", ID: "7"}, Data: json.RawMessage(`{}`)}}
}

func journalOf(t testing.TB, recs ...record) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, r := range recs {
		if err := json.NewEncoder(&b).Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func TestJournalKeepsAllStagesButRevertedOpen(t *testing.T) {
	text := journalOf(t,
		planned("a"), planned("b"), planned("c"), planned("d"),
		record{Stage: Applied, ID: "b"}, record{Stage: Applied, ID: "c"}, record{Stage: Reverted, ID: "c"},
		record{Stage: Unrecovered, ID: "d", Residue: []string{"x"}})
	j, err := ReadJournal(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var open []string
	for _, e := range j.Open() {
		open = append(open, e.Change.ID+" "+string(e.Stage))
	}
	if got, want := strings.Join(open, ", "), "a planned, b applied, d unrecovered"; got != want {
		t.Errorf("open: %s, want %s", got, want)
	}
}

func TestJournalTornAtEveryByteLosesOnlyTheLastLine(t *testing.T) {
	first := journalOf(t, planned("a"))
	all := append(first, journalOf(t, planned("b"))...)
	for n := len(first); n < len(all); n++ {
		j, err := ReadJournal(bytes.NewReader(all[:n]))
		if err != nil {
			t.Fatal(err)
		}
		if len(j.Entries) != 1 || len(j.Damage) != 0 || j.Torn != int64(n-len(first)) {
			t.Fatalf("cut at %d: %d entries, damage %v, torn %d", n, len(j.Entries), j.Damage, j.Torn)
		}
	}
}

func TestJournalReportsDamageAndUsesTheRest(t *testing.T) {
	text := journalOf(t, planned("a"))
	text = append(text, "{\"stage\":\"appl\n\x00\xff\n{\"stage\":\"applied\",\"id\":\"never\"}\n"...)
	text = append(text, journalOf(t, record{Stage: Applied, ID: "a"})...)
	j, err := ReadJournal(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(j.Damage) != 3 || len(j.Entries) != 1 || j.Entries[0].Stage != Applied {
		t.Errorf("damage %q, entries %v", j.Damage, j.Entries)
	}
}

func TestLogbookCutsTheTornTailBeforeItAppends(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, JournalName)
	if err := os.WriteFile(path, append(journalOf(t, planned("a")), `{"stage":"appl`...), 0o600); err != nil {
		t.Fatal(err)
	}
	l, past, err := openLog(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(past.Open()) != 1 {
		t.Errorf("open before: %v", past.Open())
	}
	if err := l.write(record{Stage: Reverted, ID: "a"}); err != nil {
		t.Fatal(err)
	}
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	j, err := ReadJournalFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(j.Open()) != 0 || len(j.Damage) != 0 || j.Torn != 0 {
		t.Errorf("after: %+v", j)
	}
}

func TestJournalBelongsToOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	l, _, err := openLog(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := openLog(dir); err != errHeld {
		t.Errorf("second: %v, want errHeld", err)
	}
	if held, err := Held(dir); !held || err != nil {
		t.Errorf("Held: %v %v", held, err)
	}
	l.close()
	if held, err := Held(dir); held || err != nil {
		t.Errorf("Held after close: %v %v", held, err)
	}
}

// TestJournalRecordsUndoOnAFullDisk fills a file system of its own: what is
// announced must fail, what was undone must be recorded from the reserve.
func TestJournalRecordsUndoOnAFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		missing(t, "root, to mount a small file system")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		missing(t, "mounting a tmpfs: "+err.Error())
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	l, _, err := openLog(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	if err := l.write(planned("a")); err != nil {
		t.Fatal(err)
	}
	fill(t, dir)
	big := planned("b")
	big.Err = strings.Repeat("x", 64<<10)
	if err := l.write(big); err == nil {
		t.Error("a plan was written to a full disk")
	}
	if err := l.write(record{Stage: Reverted, ID: "a", Err: strings.Repeat("x", 64<<10)}); err != nil {
		t.Errorf("an undo was not recorded: %v", err)
	}
	j, err := ReadJournalFile(dir)
	if err != nil || len(j.Entries) != 1 || j.Entries[0].Stage != Reverted || len(j.Damage) > 0 || j.Torn > 0 {
		t.Errorf("journal: %+v %v", j, err)
	}
}

func fill(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for {
		if _, err := f.Write(make([]byte, 4096)); err != nil {
			return
		}
	}
}

// missing skips a test for want of means, or fails it where all are required.
func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("SQUALL_TEST_REQUIRE") == "all" {
		t.Fatal("required and missing: " + what)
	}
	t.Skip("missing: " + what)
}

func FuzzReadJournal(f *testing.F) {
	f.Add([]byte(""))
	f.Add(journalOf(f, planned("a"), record{Stage: Applied, ID: "a"}, record{Stage: Reverted, ID: "a"}))
	f.Add(journalOf(f, record{Holder: &Holder{Run: "r", PID: 3}}, planned("a"))[:90])
	f.Add([]byte("{}\n\n\x00\n{\"stage\":\"planned\",\"id\":\"a\"}\n{\"stage\":7}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		j, err := ReadJournal(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if len(j.Open()) > len(j.Entries) {
			t.Fatal("more open than there are")
		}
		// Reading what was read, cut at its torn tail, is the same again.
		again, err := ReadJournal(bytes.NewReader(b[:len(b)-int(j.Torn)]))
		if err != nil || len(again.Entries) != len(j.Entries) || again.Torn != 0 {
			t.Fatalf("again: %+v %v", again, err)
		}
	})
}

func TestJournalThatOthersCanWriteIsNotBelieved(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, JournalName)
	if err := os.WriteFile(path, journalOf(t, planned("a")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Recover(t.Context(), dir, Drivers{}, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "written by others") {
		t.Errorf("recovered: %v", err)
	}
	if os.Getuid() == 0 {
		_ = os.Chmod(path, 0o600)
		if err := os.Chown(path, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		if _, err := Recover(t.Context(), dir, Drivers{}, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "belongs to user 65534") {
			t.Errorf("recovered: %v", err)
		}
	}
}

package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
)

// The files of a run's directory, beside the journal.
const (
	ExperimentFile = "experiment.yaml"
	PlanFile       = "plan.json"
	ResultFile     = "result.json"
	EventsFile     = "events.ndjson"
	LogFile        = "squall.log"
)

// Store is where the runs of one user are: a folder with one entry a run, which
// is the run's directory or a link to it.
type Store struct{ Runs string }

// DefaultStore is the user's own store, in the folder that the XDG base directory
// specification has for state. getenv is os.Getenv or a stand-in.
func DefaultStore(getenv func(string) string) (Store, error) {
	base := getenv("XDG_STATE_HOME")
	if base == "" || !filepath.IsAbs(base) {
		home := getenv("HOME")
		if home == "" {
			return Store{}, errors.New("neither XDG_STATE_HOME nor HOME is set: set one, or say --out DIR")
		}
		base = filepath.Join(home, ".local", "state")
	}
	return Store{filepath.Join(base, "squall", "runs")}, nil
}

// Create makes the directory of a new run and returns its name and path. With a
// parent it is made there, and the store gets a link to it.
func (s Store) Create(now time.Time, title, parent string) (name, dir string, err error) {
	if err := os.MkdirAll(s.Runs, 0o700); err != nil {
		return "", "", fmt.Errorf("run directory: %w: say --out DIR for another place", err)
	}
	base := now.UTC().Format("20060102-150405") + "-" + slug(title)
	for n := 1; n < 1000; n++ {
		if name = base; n > 1 {
			name = fmt.Sprintf("%s-%d", base, n)
		}
		dir, err = s.create(name, parent)
		if !errors.Is(err, fs.ErrExist) {
			return name, dir, err
		}
	}
	return "", "", fmt.Errorf("run directory: %w", err)
}

func (s Store) create(name, parent string) (string, error) {
	entry := filepath.Join(s.Runs, name)
	if parent == "" {
		return entry, os.Mkdir(entry, 0o700)
	}
	abs, err := filepath.Abs(parent)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(abs, 0o755); err != nil {
		return "", err
	}
	dir := filepath.Join(abs, name)
	if runs, err := filepath.Abs(s.Runs); err == nil && runs == abs {
		return dir, os.Mkdir(dir, 0o700)
	}
	if err := os.Symlink(dir, entry); err != nil {
		return "", err
	}
	return dir, os.Mkdir(dir, 0o700)
}

// slug is a title as a part of a file name.
func slug(title string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(title) {
		switch {
		case r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)):
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() >= 32 {
			break
		}
	}
	if s := strings.Trim(b.String(), "-"); s != "" {
		return s
	}
	return "run"
}

// Stored is a run in a store.
type Stored struct {
	Name string
	Dir  string
}

// List returns the runs of the store, the oldest first. Links whose directory was
// deleted are left out.
func (s Store) List() ([]Stored, error) {
	entries, err := os.ReadDir(s.Runs)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var runs []Stored
	for _, e := range entries {
		dir, err := filepath.EvalSymlinks(filepath.Join(s.Runs, e.Name()))
		if err != nil {
			continue
		}
		if st, err := os.Stat(dir); err == nil && st.IsDir() {
			runs = append(runs, Stored{e.Name(), dir})
		}
	}
	slices.SortStableFunc(runs, func(a, b Stored) int { return strings.Compare(a.Name, b.Name) })
	return runs, nil
}

// Find returns the run of that name or unambiguous beginning or part of a name;
// "last" is the newest. A path of a run's directory, or of a file in it, is good
// too.
func (s Store) Find(what string) (Stored, error) {
	if st, err := os.Stat(what); err == nil {
		dir := what
		if !st.IsDir() {
			dir = filepath.Dir(what)
		}
		abs, err := filepath.Abs(dir)
		return Stored{filepath.Base(abs), abs}, err
	}
	runs, err := s.List()
	if err != nil {
		return Stored{}, err
	}
	if what == "last" && len(runs) > 0 {
		return runs[len(runs)-1], nil
	}
	var found []Stored
	for _, r := range runs {
		if r.Name == what {
			return r, nil
		}
		if strings.Contains(r.Name, what) {
			found = append(found, r)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return Stored{}, fmt.Errorf("no run %q: squall runs lists them", what)
	}
	names := make([]string, len(found))
	for i, r := range found {
		names[i] = r.Name
	}
	return Stored{}, fmt.Errorf("%q could be %s: say more of the name", what, strings.Join(names, " or "))
}

package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/squall-chaos/squall/reports"
)

// files are what a run writes into its directory, beside the agent's journal.
type files struct {
	dir    string
	log    *os.File
	mu     sync.Mutex
	events *os.File
	err    error // first of writing events
}

func openFiles(dir string, source []byte) (*files, error) {
	if err := os.WriteFile(filepath.Join(dir, ExperimentFile), source, 0o600); err != nil {
		return nil, fmt.Errorf("run directory: %w", err)
	}
	log, err := os.OpenFile(filepath.Join(dir, LogFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("run directory: %w", err)
	}
	events, err := os.OpenFile(filepath.Join(dir, EventsFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		log.Close()
		return nil, fmt.Errorf("run directory: %w", err)
	}
	return &files{dir: dir, log: log, events: events}, nil
}

// event appends a line. An error is kept for the end: a full disk must not stop
// the undo.
func (f *files) event(line []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return
	}
	_, f.err = f.events.Write(append(line, '\n'))
}

// plan writes the plan as squall plan --json prints it.
func (f *files) plan(v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(f.dir, PlanFile), append(b, '\n'), 0o600)
}

// finish stores the result.
func (f *files) finish(r *reports.Result) error {
	if err := reports.Write(filepath.Join(f.dir, ResultFile), r); err != nil {
		return fmt.Errorf("the result could not be stored: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return fmt.Errorf("not all events could be stored: %w", f.err)
	}
	return nil
}

// Close closes the files.
func (f *files) Close() error { return errors.Join(f.log.Close(), f.events.Close()) }

package injectors

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/squall-chaos/squall/experiments/units"
	"github.com/squall-chaos/squall/targets"
)

func init() {
	register(Kind{
		Name: "exec", For: ForRequired, NoOn: true, New: func() Spec { return &Exec{Timeout: units.Duration(30 * time.Second)} },
		Doc: "runs commands of your own on this machine: do, undo, and check, whose exit code 0 means in force",
	})
}

// Exec is the way out for faults that Squall does not have. Its commands run on
// this machine as the user that runs Squall, without a shell, in the experiment
// file's folder. With targets, they run once for each, which the environment
// names in SQUALL_TARGET, SQUALL_TARGET_ID and, where known, SQUALL_TARGET_PID.
//
// Undo must be right after a whole, a partial or no do, and when repeated: it is
// run again after a crash.
type Exec struct {
	Do      []string       `yaml:"do" json:"do" jsonschema:"required"`         // argv that brings the fault about
	Undo    []string       `yaml:"undo" json:"undo" jsonschema:"required"`     // argv that takes it back; also run after a crash
	Check   []string       `yaml:"check" json:"check" jsonschema:"required"`   // argv that exits with 0 while, and only while, the fault is in force
	Timeout units.Duration `yaml:"timeout,omitempty" json:"timeout,omitempty"` // of each command; default 30s
}

// Validate says which command is missing.
func (e *Exec) Validate() error {
	var errs []error
	for _, c := range []struct {
		name, why string
		argv      []string
	}{
		{"do", "what brings the fault about", e.Do},
		{"undo", "what takes it back; no fault is injected that cannot be undone", e.Undo},
		{"check", "what proves it: it exits with 0 while the fault is in force", e.Check},
	} {
		if len(c.argv) == 0 || c.argv[0] == "" {
			errs = append(errs, fmt.Errorf("%s is missing: %s, as a list such as [./tool, on]", c.name, c.why))
		}
	}
	if e.Timeout <= 0 {
		errs = append(errs, errors.New("timeout must be more than zero"))
	}
	return errors.Join(errs...)
}

func (e *Exec) String() string { return strings.Join(e.Do, " ") }

func (e *Exec) plan(ctx context.Context, r Request) ([]change, error) {
	dir, err := filepath.Abs(r.Dir)
	if err != nil {
		return nil, err
	}
	for _, argv := range [][]string{e.Do, e.Undo, e.Check} {
		if err := runnable(argv[0], dir); err != nil {
			return nil, fmt.Errorf("exec: %w", err)
		}
	}
	base := command{Do: e.Do, Undo: e.Undo, Check: e.Check, Dir: dir, Timeout: e.Timeout, Secrets: r.Secrets}
	if len(r.Targets) == 0 {
		base.Name = filepath.Base(e.Do[0])
		return []change{&base}, nil
	}
	return planEach(ctx, r, func(v victim) (change, error) {
		c := base
		c.subject = v.subject
		c.Env = []string{"SQUALL_TARGET=" + v.Name, "SQUALL_TARGET_ID=" + v.Ref.ID}
		if site, err := v.target.Site(ctx); err == nil {
			c.Env = append(c.Env, "SQUALL_TARGET_PID="+strconv.Itoa(site.PID))
		} else if !errors.Is(err, targets.ErrElsewhere) && v.Ref.Epoch != "" {
			return nil, err
		}
		return &c, nil
	})
}

// runnable says whether a command can be found, as it will be looked for.
func runnable(name, dir string) error {
	if strings.ContainsRune(name, filepath.Separator) && !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	if strings.Contains(name, "${") {
		return nil
	}
	_, err := exec.LookPath(name)
	return err
}

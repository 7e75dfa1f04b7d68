package experiments_test

import (
	"context"
	"errors"
	"path"
	"syscall"
	"testing"
	"time"

	"github.com/squall-chaos/squall/experiments"
	"github.com/squall-chaos/squall/injectors"
	"github.com/squall-chaos/squall/targets"
	"github.com/squall-chaos/squall/targets/lab"
)

// boxes is a driver of a world that never changes: targets with names.
type boxes struct {
	names []string
	err   error
}

// boxSelector names boxes by a pattern.
type boxSelector struct {
	Name    string            `yaml:"name" jsonschema:"required"`
	Label   map[string]string `yaml:"label,omitempty"`
	Running bool              `yaml:"running,omitempty"`
}

func (s *boxSelector) Validate() error {
	if s.Name == "" {
		return errors.New("name is missing: write a pattern of the box's name")
	}
	_, err := path.Match(s.Name, "")
	return err
}

func (s *boxSelector) String() string { return "box " + s.Name }

type box struct{ name string }

func (b box) Ref() targets.Ref { return targets.Ref{Driver: "box", ID: "id-" + b.name, Epoch: "1"} }
func (b box) Name() string     { return b.name }
func (b box) Site(context.Context) (targets.Site, error) {
	return targets.Site{}, targets.ErrElsewhere
}

func (b box) State(context.Context) (targets.State, error) {
	return targets.State{Status: targets.Running}, nil
}
func (b box) Signal(context.Context, syscall.Signal) error { return nil }
func (b box) Kill(context.Context, syscall.Signal) error   { return nil }
func (b box) Stop(context.Context, time.Duration) error    { return nil }
func (b box) Pause(context.Context) error                  { return nil }
func (b box) Unpause(context.Context) error                { return nil }
func (b box) Restart(context.Context, time.Duration) error { return nil }

func (d *boxes) Name() string               { return "box" }
func (d *boxes) Doc() string                { return "boxes" }
func (d *boxes) Selector() targets.Selector { return &boxSelector{} }

func (d *boxes) Find(_ context.Context, sel targets.Selector) ([]targets.Target, error) {
	var found []targets.Target
	for _, n := range d.names {
		if ok, _ := path.Match(sel.(*boxSelector).Name, n); ok {
			found = append(found, box{n})
		}
	}
	return found, d.err
}

func (d *boxes) Open(_ context.Context, ref targets.Ref) (targets.Target, error) {
	for _, n := range d.names {
		if (box{n}).Ref() == ref {
			return box{n}, nil
		}
	}
	return nil, targets.ErrGone
}

func (d *boxes) Capture(context.Context, targets.Target, bool) (targets.Blueprint, error) {
	return targets.Blueprint(`{}`), nil
}

func (d *boxes) Restore(_ context.Context, ref targets.Ref, _ targets.Blueprint) (targets.Ref, error) {
	return ref, nil
}

func world(names ...string) injectors.Drivers {
	return injectors.Drivers{"box": &boxes{names: names}, "lab": lab.New()}
}

// options are those that the files under testdata are read with, on a machine
// without environment.
func options() experiments.Options {
	return experiments.Options{
		Drivers: []targets.Driver{&boxes{}, lab.New()},
		Getenv:  func(string) (string, bool) { return "", false },
	}
}

// load reads files that must be right.
func load(t *testing.T, o experiments.Options, files ...string) []*experiments.Experiment {
	t.Helper()
	es, err := experiments.Load(files, o)
	if err != nil {
		t.Fatal(err)
	}
	return es
}

func targetsOf(names ...string) []targets.Target {
	var ts []targets.Target
	for _, n := range names {
		ts = append(ts, box{n})
	}
	return ts
}

func namesOf(ts []targets.Target) []string {
	var names []string
	for _, t := range ts {
		names = append(names, t.Name())
	}
	return names
}

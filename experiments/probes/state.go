package probes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/squall-chaos/squall/experiments/units"
)

func init() {
	register(Kind{
		Name: "state",
		Doc:  "looks at the state of targets: running, healthy, how often restarted",
		New:  func() Probe { return &Targets{Timeout: units.Duration(defaultTimeout)} },
	})
}

// Targets looks at the state of a group of targets. Its value is how many of
// them are as expected.
type Targets struct {
	Of      string         `yaml:"of" jsonschema:"required"` // name of a group of targets; required
	Timeout units.Duration `yaml:"timeout,omitempty"`        // default 2s; later, nothing was measured

	expect StateExpect
	state  func(context.Context) ([]State, error)
}

// StateExpect is what is expected of every target of the group, or of some.
type StateExpect struct {
	Status   string    `yaml:"status,omitempty" jsonschema:"enum=running,enum=paused,enum=exited,enum=restarting,enum=created,enum=gone"` // default running
	Healthy  *bool     `yaml:"healthy,omitempty"`                                                                                         // whether its health check says healthy; a target without one is not
	Restarts *MaxCount `yaml:"restarts,omitempty"`                                                                                        // how often its supervisor brought it back, since it was made
	Count    *int      `yaml:"count,omitempty"`                                                                                           // how many targets at least; default: all, and at least one
}

var statuses = []string{"running", "paused", "exited", "restarting", "created", "gone"}

// Expect returns the expectations.
func (t *Targets) Expect() any { return &t.expect }

// Limit is the timeout.
func (t *Targets) Limit() time.Duration { return t.Timeout.D() }

// Targets is the one group.
func (t *Targets) Targets() []string { return []string{t.Of} }

// Validate says what is wrong with the probe.
func (t *Targets) Validate() error {
	errs := []error{timeoutOf(t.Timeout)}
	if t.Of == "" {
		errs = append(errs, errors.New("of: it is missing: write the name of a group under targets"))
	}
	if s := t.expect.Status; s != "" && !unresolved(s) && !slices.Contains(statuses, s) {
		errs = append(errs, fmt.Errorf("expect.status: %q is not a state: use one of %s", s, strings.Join(statuses, ", ")))
	}
	if c := t.expect.Count; c != nil && *c < 1 {
		errs = append(errs, errors.New("expect.count: it must be at least 1: leave it out for all"))
	}
	return errors.Join(errs...)
}

// Bind takes what reads the states.
func (t *Targets) Bind(e Env) error {
	if e.State == nil {
		return fmt.Errorf("state: nothing can tell the state of %q", t.Of)
	}
	t.state = e.State
	return nil
}

// Read looks at all targets once. That they cannot be looked at, or that there
// are none, is an error.
func (t *Targets) Read(ctx context.Context) (Reading, error) {
	a, bounded, cancel := begin(ctx, t.Timeout.D())
	defer cancel()
	states, err := t.state(bounded)
	if err != nil {
		return Reading{}, fmt.Errorf("state of %s: %w", t.Of, err)
	}
	if len(states) == 0 {
		return Reading{}, fmt.Errorf("state of %s: there are no targets", t.Of)
	}
	met, why := 0, ""
	for _, s := range states {
		d := t.mismatch(s)
		if d == "" {
			met++
		} else if why == "" {
			why = s.Name + " " + d
		}
	}
	r := Reading{OK: true, Latency: time.Since(a.start), Value: float64(met), HasValue: true}
	need := len(states)
	if t.expect.Count != nil {
		need = *t.expect.Count
	}
	if met < need {
		r.OK = false
		r.Detail = fmt.Sprintf("%d of %d as expected, wanted %d", met, len(states), need)
		if why != "" {
			r.Detail += ": " + why
		}
	}
	return r, nil
}

// mismatch says how s is not as expected; "" if it is.
func (t *Targets) mismatch(s State) string {
	want := t.expect.Status
	if want == "" {
		want = "running"
	}
	switch h := t.expect.Healthy; {
	case s.Status != want:
		return "is " + s.Status
	case h != nil && *h != (s.Health == "healthy"):
		if s.Health == "" {
			return "has no health check"
		}
		return "is " + s.Health
	case t.expect.Restarts != nil && s.Restarts > int(*t.expect.Restarts):
		return fmt.Sprintf("was restarted more than %d times", *t.expect.Restarts)
	}
	return ""
}

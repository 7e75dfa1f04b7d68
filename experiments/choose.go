package experiments

import (
	"context"
	"errors"
	"fmt"

	"github.com/squall-chaos/squall/injectors"
	"github.com/squall-chaos/squall/targets"
)

// TargetError says which target group stands in the way of a run, and why.
type TargetError struct {
	Target string // the group
	Err    error
}

// Error is the group and the reason.
func (e *TargetError) Error() string { return "target " + e.Target + ": " + e.Err.Error() }

// Unwrap is the reason.
func (e *TargetError) Unwrap() error { return e.Err }

// Misuse reports whether everything in err is for the author of the file to
// mend, and nothing depends on the state of the world alone: pick is missing or
// asks for too much, limits.targets is exceeded, or faults conflict.
func Misuse(err error) bool {
	errs := each(err)
	for _, e := range errs {
		if !errors.Is(e, ErrPickNeeded) && !errors.Is(e, ErrTooMany) && !errors.Is(e, ErrConflict) {
			return false
		}
	}
	return len(errs) > 0
}

// Group is a target group with the targets that were chosen for a run.
type Group struct {
	Target
	Candidates []targets.Target // all that match, sorted by name
	Chosen     []targets.Target // what the seed took, sorted by name
}

func (g Group) planned() PlannedTarget {
	return PlannedTarget{
		Name: g.Name, Driver: g.Driver, Selector: g.Selector.String(), Pick: g.Pick.String(),
		Candidates: named(g.Candidates), Chosen: named(g.Chosen),
	}
}

func named(ts []targets.Target) []Named {
	out := make([]Named, len(ts))
	for i, t := range ts {
		out[i] = Named{Name: t.Name(), Ref: t.Ref()}
	}
	return out
}

// Declare returns drivers with those that have a section in the file replaced by
// the worlds that the sections declare, and these worlds by name. Nothing is
// started. Drivers that are worlds already stay as they are.
func (e *Experiment) Declare(drivers injectors.Drivers) (injectors.Drivers, map[string]targets.World, error) {
	out := make(injectors.Drivers, len(drivers))
	worlds := map[string]targets.World{}
	var errs []error
	for name, d := range drivers {
		out[name] = d
	}
	for name, section := range e.Sections {
		d, ok := drivers[name].(targets.Sectioned)
		if _, declared := drivers[name].(targets.World); !ok || declared {
			continue
		}
		w, err := d.Declare(section)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
			continue
		}
		out[name], worlds[name] = w, w
	}
	return out, worlds, errors.Join(errs...)
}

// Choose finds the targets of every group and chooses as pick and the seed say.
// It returns all groups, those that failed without chosen targets, and a
// *TargetError for each of these, joined. More targets under faults than
// limits.targets allows are an error too.
func (e *Experiment) Choose(ctx context.Context, drivers injectors.Drivers, seed uint64) ([]Group, error) {
	var (
		groups = make([]Group, len(e.Targets))
		errs   []error
	)
	for i, t := range e.Targets {
		groups[i].Target = t
		if err := groups[i].choose(ctx, drivers, seed); err != nil {
			errs = append(errs, &TargetError{t.Name, err})
		}
	}
	return groups, errors.Join(append(errs, e.tooMany(groups))...)
}

func (g *Group) choose(ctx context.Context, drivers injectors.Drivers, seed uint64) error {
	d, ok := drivers[g.Driver]
	if !ok {
		return fmt.Errorf("the driver %s is not known", g.Driver)
	}
	found, err := d.Find(ctx, g.Selector)
	if err != nil {
		return err
	}
	g.Candidates = sortTargets(found)
	chosen, err := g.Pick.Choose(found, seed, g.Name)
	switch {
	case errors.Is(err, ErrNoTargets):
		return fmt.Errorf("%w %s", ErrNoTargets, g.Selector)
	case err != nil:
		return err
	}
	g.Chosen = chosen
	return nil
}

// tooMany holds the targets of all faults against the limit.
func (e *Experiment) tooMany(groups []Group) error {
	disturbed := map[string]bool{}
	for _, g := range groups {
		if !disturbs(e.Method, g.Name) {
			continue
		}
		for _, t := range g.Chosen {
			disturbed[t.Ref().String()] = true
		}
	}
	if e.Limits.Targets > 0 && len(disturbed) > e.Limits.Targets {
		return fmt.Errorf("%w: %d would be, %d may: lower pick or raise the limit", ErrTooMany, len(disturbed), e.Limits.Targets)
	}
	return nil
}

func disturbs(steps []Step, group string) bool {
	for _, s := range steps {
		if (s.Fault != nil && s.Fault.On == group) || disturbs(s.Parallel, group) || (s.Repeat != nil && disturbs(s.Repeat.Steps, group)) {
			return true
		}
	}
	return false
}

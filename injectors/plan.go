package injectors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/squall-chaos/squall/targets"
)

// Plan says which changes a fault comes down to on its targets. It only reads,
// and it is the preflight: means that are missing, and targets that are not in a
// state to be disturbed, are errors here, before anything is touched. All
// targets' errors are joined.
func Plan(ctx context.Context, r Request) ([]Change, error) {
	changes, err := r.Spec.plan(ctx, r)
	if err != nil {
		return nil, err
	}
	out := make([]Change, len(changes))
	for i, c := range changes {
		if out[i], err = envelope(r, c); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func envelope(r Request, c change) (Change, error) {
	do, undo := c.describe()
	s := c.on()
	e := Change{
		ID: r.ID + "/" + s.Name, Fault: r.Fault, Kind: c.kind(),
		Target: s.Name, Ref: s.Ref, Resource: c.resource(), Do: do, Undo: undo,
	}
	if d, ok := c.(*down); ok {
		e.Notes = d.notes
	}
	if r.Preview {
		return e, nil
	}
	data, err := json.Marshal(c)
	e.Data = data
	return e, err
}

// victim is one target of a fault that is being planned.
type victim struct {
	subject
	target targets.Target
	state  targets.State
	driver targets.Driver
}

// declared reports whether the target exists only in the file as yet, such as
// the host of a lab that has not started. Nothing can be read of it.
func (v victim) declared() bool { return v.Ref.Epoch == "" }

// capture reads what is needed to bring the target back.
func (v victim) capture(ctx context.Context, r Request, remove bool) (targets.Blueprint, error) {
	if v.declared() {
		return nil, nil
	}
	d, ok := v.driver.(targets.Restorer)
	if !ok {
		return nil, fmt.Errorf("%s: %s: driver %s cannot bring targets back", r.Fault, v.Name, v.Ref.Driver)
	}
	b, err := d.Capture(ctx, v.target, remove)
	if err != nil {
		return nil, fmt.Errorf("%s: %s could not be brought back: %w", r.Fault, v.Name, err)
	}
	return b, nil
}

// planEach plans one change for each target, which must be running. It reads many
// targets at a time; one must be safe for that.
func planEach(ctx context.Context, r Request, one func(victim) (change, error)) ([]change, error) {
	var (
		changes = make([]change, len(r.Targets))
		errs    = make([]error, len(r.Targets))
		group   errgroup.Group
	)
	group.SetLimit(atOnce)
	for i, t := range r.Targets {
		group.Go(func() error {
			v, err := examine(ctx, r, t)
			if err == nil {
				changes[i], err = one(v)
			}
			errs[i] = err
			return nil // all targets' errors are wanted
		})
	}
	_ = group.Wait()
	return changes, errors.Join(errs...)
}

func examine(ctx context.Context, r Request, t targets.Target) (victim, error) {
	v := victim{subject: subject{Ref: t.Ref(), Name: t.Name()}, target: t, driver: r.Drivers[t.Ref().Driver]}
	if v.driver == nil {
		return v, fmt.Errorf("%s: %s: driver %s is not known", r.Fault, v.Name, v.Ref.Driver)
	}
	if v.declared() {
		return v, nil
	}
	life, ok := t.(targets.Lifecycle)
	if !ok {
		return v, fmt.Errorf("%s: %s: driver %s cannot change a target's life", r.Fault, v.Name, v.Ref.Driver)
	}
	s, err := life.State(ctx)
	if err != nil {
		return v, fmt.Errorf("%s: %s: %w", r.Fault, v.Name, err)
	}
	if v.state = s; s.Status != targets.Running {
		return v, fmt.Errorf("%s: %s is %s and not running: %w%s", r.Fault, v.Name, s.Status, ErrNotRunning, heldBy(ctx, v.subject.state()))
	}
	return v, nil
}

// ErrNotRunning says that a target is not in a state to be disturbed.
var ErrNotRunning = errors.New("nothing to disturb")

// planDown plans to take each target down as d says.
func planDown(ctx context.Context, r Request, d down) ([]change, error) {
	return planEach(ctx, r, func(v victim) (change, error) {
		c := d
		c.subject, c.Restarts, c.Back = v.subject, v.state.Restarts, r.For > 0
		if !c.Back {
			return &c, nil
		}
		b, err := v.capture(ctx, r, d.Manner == byRemove)
		if err != nil {
			return nil, err
		}
		if n, ok := v.driver.(targets.Noter); ok && b != nil {
			c.notes = n.Notes(b)
		}
		c.Blueprint = b
		return &c, nil
	})
}

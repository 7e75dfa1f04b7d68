package runner

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/squall-chaos/squall/injectors"
	"github.com/squall-chaos/squall/targets"
)

// liveTargets are the chosen targets of a group as they are now. Targets that
// restarted since they were chosen are the same targets; those that are gone are
// an error.
func (r *run) liveTargets(ctx context.Context, group string) ([]targets.Target, error) {
	var (
		chosen = r.groups[group].Chosen
		live   = make([]targets.Target, len(chosen))
		errs   = make([]error, len(chosen))
		all    errgroup.Group
	)
	all.SetLimit(atOnce)
	for i, t := range chosen {
		all.Go(func() error {
			now, err := r.reopen(ctx, t)
			if err != nil {
				errs[i] = fmt.Errorf("%s: %w", t.Name(), err)
			}
			live[i] = now
			return nil // all targets' errors are wanted
		})
	}
	_ = all.Wait()
	return live, errors.Join(errs...)
}

// atOnce bounds how many targets are looked for at the same time.
const atOnce = 64

// reopen finds a chosen target in its present incarnation.
func (r *run) reopen(ctx context.Context, t targets.Target) (targets.Target, error) {
	ref := r.latest(t.Ref())
	d := r.drivers[ref.Driver]
	now, err := d.Open(ctx, ref)
	if errors.Is(err, targets.ErrGone) {
		ref.Epoch = ""
		now, err = d.Open(ctx, ref)
	}
	return now, err
}

func (r *run) latest(chosen targets.Ref) targets.Ref {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now, ok := r.refs[chosen]; ok {
		return now
	}
	return chosen
}

// succeed remembers the new incarnation of a target that was brought back. The
// caller holds r.mu.
func (r *run) succeed(u injectors.Undone) {
	if u.Successor == nil {
		return
	}
	for _, a := range r.attempts {
		for _, c := range a.changes {
			if c.ID == u.ID {
				r.follow(c.Ref, *u.Successor)
			}
		}
	}
}

func (r *run) follow(was, now targets.Ref) {
	for _, g := range r.groups {
		for _, t := range g.Chosen {
			latest, ok := r.refs[t.Ref()]
			if !ok {
				latest = t.Ref()
			}
			if latest.Same(was) {
				r.refs[t.Ref()] = now
			}
		}
	}
}

func (r *run) currentAgent() *injectors.Agent {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.agent
}

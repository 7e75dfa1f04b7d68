package injectors

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/squall-chaos/squall/experiments/units"
	"github.com/squall-chaos/squall/targets"
)

// manner is how a target is taken down.
type manner string

const (
	byKill   manner = "kill"
	byStop   manner = "stop"
	byRemove manner = "remove"
)

// down takes a target down and, with a blueprint, brings it back.
type down struct {
	subject
	Manner    manner            `json:"manner"`
	Signal    syscall.Signal    `json:"signal,omitempty"` // of kill, and the polite one of stop
	Grace     units.Duration    `json:"grace,omitempty"`  // of stop
	Blueprint targets.Blueprint `json:"blueprint,omitempty"`
	Back      bool              `json:"back"`     // bring it back; else that is the system's own business
	Restarts  int               `json:"restarts"` // of the supervisor, before

	notes []string // what will not be as it was; known to the planner only
}

func init() { registerChange(func() change { return new(down) }) }

func (*down) kind() string { return "down" }

func (d *down) resource() string { return d.state() }

func (d *down) describe() (do, undo string) {
	switch d.Manner {
	case byKill:
		do = fmt.Sprintf("kill %s with %s", d.Name, unix.SignalName(d.Signal))
	case byStop:
		do = fmt.Sprintf("stop %s, kill it after %s", d.Name, d.Grace)
	case byRemove:
		do = fmt.Sprintf("remove %s", d.Name)
	}
	switch {
	case !d.Back:
		undo = "none: coming back is the system's own business"
	case d.Manner == byRemove:
		undo = fmt.Sprintf("create and start %s again from its configuration", d.Name)
	default:
		undo = fmt.Sprintf("start %s again the way it was", d.Name)
	}
	return do, undo
}

func (d *down) settleTime() time.Duration {
	if d.Manner == byStop {
		return graceful(d.Grace)
	}
	return lastWish
}

// longestGrace is how long a stop that its agent did not survive is waited for.
const longestGrace = time.Minute

func graceful(g units.Duration) time.Duration { return min(g.D(), longestGrace) + lastWish }

func (d *down) apply(ctx context.Context, w *world) error {
	if d.Back { // else there is no undo that would have to know
		var (
			done context.CancelFunc
			err  error
		)
		if ctx, done, err = begun(ctx); err != nil {
			return err
		}
		defer done()
	}
	b, err := w.open(ctx, d.Ref)
	if err != nil {
		return fmt.Errorf("%s %s: %w", d.Manner, d.Name, err)
	}
	switch {
	case d.Manner == byRemove:
		r, ok := b.(targets.Remover)
		if !ok {
			return fmt.Errorf("remove %s: %w", d.Name, targets.ErrUnsupported)
		}
		return r.Remove(ctx)
	case d.Manner == byKill && d.Back:
		return d.within(ctx, biteTime, func(ctx context.Context) error { return b.Kill(ctx, d.Signal) })
	case d.Manner == byKill:
		return d.crash(ctx, w, b, d.Signal)
	case d.Back:
		return orKill(ctx, b, b.Stop(ctx, d.Grace.D()))
	default:
		return d.leave(ctx, w, b)
	}
}

// orKill ends a target that was asked to end and did not do so before ctx was
// over. It may still do so at any time, so it cannot be told to go on.
func orKill(ctx context.Context, b body, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), biteTime)
	defer cancel()
	return errors.Join(err, b.Kill(ctx, syscall.SIGKILL))
}

// within runs do for a limited time. Running out of it is no error: whether the
// target went down is the evidence's to say.
func (d *down) within(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := do(limited)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return nil
	}
	return err
}

// crash sends sig as a crash from outside and waits for the incarnation's end.
func (d *down) crash(ctx context.Context, w *world, b body, sig syscall.Signal) error {
	if err := b.Signal(ctx, sig); err != nil {
		return err
	}
	_, err := await(ctx, biteTime, func(ctx context.Context) (bool, error) { return d.ended(ctx, w) })
	return err
}

// leave asks the target to end as its supervisor's environment would, and kills
// it after the grace time.
func (d *down) leave(ctx context.Context, w *world, b body) error {
	if err := b.Signal(ctx, d.Signal); err != nil {
		return err
	}
	gone, err := await(ctx, d.Grace.D(), func(ctx context.Context) (bool, error) { return d.ended(ctx, w) })
	if err != nil || gone {
		return err
	}
	return d.crash(ctx, w, b, syscall.SIGKILL)
}

// ended reports whether the incarnation that was to go down is over.
func (d *down) ended(ctx context.Context, w *world) (bool, error) {
	b, err := w.open(ctx, d.Ref)
	if errors.Is(err, targets.ErrGone) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	s, err := b.State(ctx)
	if errors.Is(err, targets.ErrGone) {
		return true, nil
	}
	if err != nil || !alive(s.Status) {
		return err == nil, err
	}
	// It may have been started again between the two looks.
	if _, err = w.open(ctx, d.Ref); errors.Is(err, targets.ErrGone) {
		return true, nil
	}
	return false, err
}

func (d *down) evidence(ctx context.Context, w *world) (Evidence, error) {
	e := Evidence{Target: d.Name, Asked: "down by " + string(d.Manner)}
	over, err := d.ended(ctx, w)
	if err != nil {
		return e, err
	}
	s, now, err := w.lookAt(ctx, d.Ref)
	if err != nil {
		return e, err
	}
	e.Measured = seen(s)
	if over && alive(s.Status) {
		e.Measured = fmt.Sprintf("went down and is %s again as a new incarnation (%s)", s.Status, now.Epoch)
		if s.Restarts > d.Restarts {
			e.Measured += fmt.Sprintf(", restart count %d → %d", d.Restarts, s.Restarts)
		}
	}
	e.Proven = over
	return e, nil
}

func (d *down) lost(ctx context.Context, w *world) (Loss, error) {
	if !d.Back {
		return Loss{}, nil
	}
	s, now, err := w.lookAt(ctx, d.Ref)
	if err != nil || !alive(s.Status) {
		return Loss{}, err
	}
	if now.Epoch != d.Ref.Epoch {
		return Loss{Why: d.Name + " was brought back by somebody else although it should be down", Restarted: true}, nil
	}
	return Loss{Why: fmt.Sprintf("%s is %s although it should be down", d.Name, s.Status)}, nil
}

func (d *down) revert(ctx context.Context, w *world) (targets.Ref, error) {
	if !d.Back {
		return targets.Ref{}, nil
	}
	now, err := w.restore(ctx, d.Ref, d.Blueprint)
	if errors.Is(err, targets.ErrGone) {
		return targets.Ref{}, nil // its whole world is gone
	}
	if err != nil {
		return targets.Ref{}, fmt.Errorf("bring %s back: %w", d.Name, err)
	}
	if now == d.Ref {
		return targets.Ref{}, nil
	}
	return now, nil
}

// residue asks the driver once more to restore, which tells where the target is
// now without changing one that runs.
func (d *down) residue(ctx context.Context, w *world) ([]string, error) {
	if !d.Back {
		return nil, nil
	}
	now, err := w.restore(ctx, d.Ref, d.Blueprint)
	if errors.Is(err, targets.ErrGone) {
		return nil, nil
	}
	if err != nil {
		return []string{fmt.Sprintf("%s (%s) is down: %v", d.Name, d.Ref, err)}, nil
	}
	s, _, err := w.lookAt(ctx, now)
	if err != nil {
		return nil, err
	}
	if s.Status != targets.Running {
		return []string{fmt.Sprintf("%s (%s) is %s after it was brought back: look at its logs", d.Name, now, seen(s))}, nil
	}
	return nil, nil
}

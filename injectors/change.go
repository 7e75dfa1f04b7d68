package injectors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/squall-chaos/squall/targets"
)

// change is one reversible, serialisable edit of the world. It is plain data,
// marshalled to JSON and back between the planner, the agent and the journal.
//
// revert and residue must be right after a whole, a partial or no apply, after
// the target has gone, and when they are repeated.
type change interface {
	// kind names the type in plans and journals.
	kind() string
	// on is the target.
	on() subject
	// resource is what the change claims: one holder at a time on a machine.
	resource() string
	// describe says what is done and how it is undone, for people.
	describe() (do, undo string)
	// apply makes the edit and waits until it is made.
	apply(ctx context.Context, w *world) error
	// evidence measures whether the edit has its effect.
	evidence(ctx context.Context, w *world) (Evidence, error)
	// lost says why the edit is no longer in force, or nothing while it is.
	lost(ctx context.Context, w *world) (Loss, error)
	// revert undoes the edit. The returned reference is the target's new
	// incarnation, or zero if it still is the one it was.
	revert(ctx context.Context, w *world) (targets.Ref, error)
	// residue lists what of the edit is still there, each with how to remove it.
	residue(ctx context.Context, w *world) ([]string, error)
}

// Evidence is what was measured that proves a change bit, or does not.
type Evidence struct {
	Target   string `json:"target"`
	Proven   bool   `json:"proven"`
	Asked    string `json:"asked"`
	Measured string `json:"measured"`
}

// Loss says that a change which should be in force is not.
type Loss struct {
	Why       string `json:"why,omitempty"`       // empty: it is in force
	Restarted bool   `json:"restarted,omitempty"` // because the target runs in a new incarnation
	Unseen    bool   `json:"unseen,omitempty"`    // it may be in force: it could not be looked at
}

// subject is the target of a change, as every change on a target carries it.
type subject struct {
	Ref  targets.Ref `json:"ref"`
	Name string      `json:"name"`
}

func (s subject) state() string { return s.Ref.String() + "/state" }

func (s subject) on() subject { return s }

var changeKinds = map[string]func() change{}

// registerChange makes a kind of change known to journals.
func registerChange(empty func() change) { changeKinds[empty().kind()] = empty }

func (c Change) decode() (change, error) {
	empty, ok := changeKinds[c.Kind]
	if !ok {
		return nil, fmt.Errorf("change %s: kind %q is not known to this version of squall", c.ID, c.Kind)
	}
	v := empty()
	if err := json.Unmarshal(c.Data, v); err != nil {
		return nil, fmt.Errorf("change %s: %w", c.ID, err)
	}
	return v, nil
}

// world is what changes act on.
type world struct {
	drivers Drivers
	log     *slog.Logger
	env     []string // of commands, beside the agent's own
}

func (w *world) driver(name string) (targets.Driver, error) {
	d, ok := w.drivers[name]
	if !ok {
		return nil, fmt.Errorf("driver %q is not part of this squall", name)
	}
	return d, nil
}

// body is a target that can be disturbed.
type body interface {
	targets.Target
	targets.Lifecycle
}

// open finds the target in the very incarnation that ref names.
func (w *world) open(ctx context.Context, ref targets.Ref) (body, error) {
	d, err := w.driver(ref.Driver)
	if err != nil {
		return nil, err
	}
	t, err := d.Open(ctx, ref)
	if err != nil {
		return nil, err
	}
	b, ok := t.(body)
	if !ok {
		return nil, fmt.Errorf("%s: driver %s cannot change a target's life: %w", ref, ref.Driver, targets.ErrUnsupported)
	}
	return b, nil
}

// current finds the target in whatever incarnation it is now: the one that ref
// names, else a later one, for drivers whose targets keep their names.
func (w *world) current(ctx context.Context, ref targets.Ref) (body, error) {
	b, err := w.open(ctx, ref)
	if errors.Is(err, targets.ErrGone) {
		ref.Epoch = ""
		b, err = w.open(ctx, ref)
	}
	return b, err
}

// lookAt reads the state of the target's present incarnation, whatever that is.
// A target that is gone has the state Gone.
func (w *world) lookAt(ctx context.Context, ref targets.Ref) (targets.State, targets.Ref, error) {
	b, err := w.current(ctx, ref)
	if errors.Is(err, targets.ErrGone) {
		return targets.State{Status: targets.Gone}, targets.Ref{}, nil
	}
	if err != nil {
		return targets.State{}, targets.Ref{}, err
	}
	s, err := b.State(ctx)
	if errors.Is(err, targets.ErrGone) {
		return targets.State{Status: targets.Gone}, targets.Ref{}, nil
	}
	return s, b.Ref(), err
}

// restore brings a target back through its driver.
func (w *world) restore(ctx context.Context, ref targets.Ref, b targets.Blueprint) (targets.Ref, error) {
	d, err := w.driver(ref.Driver)
	if err != nil {
		return targets.Ref{}, err
	}
	r, ok := d.(targets.Restorer)
	if !ok {
		return targets.Ref{}, fmt.Errorf("driver %s cannot bring targets back: %w", ref.Driver, targets.ErrUnsupported)
	}
	return r.Restore(ctx, ref, b)
}

// settling is implemented by changes whose apply sets something going that goes
// on without the process that did it: a signal on its way, a stop that an engine
// carries out.
type settling interface {
	// settleTime is how long after the apply began that may last.
	settleTime() time.Duration
}

// lastWish is how long an engine or a kernel may take for what it was asked by a
// process that died before it had the answer.
const lastWish = 2 * time.Second

// begun returns a context for an apply that must not be left halfway, because
// nobody could then tell what is still to come: it ends only after biteTime when
// ctx does. An apply that has not begun when ctx ends must not begin.
func begun(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, fmt.Errorf("not begun: %w", err)
	}
	out, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if sleep(out, biteTime) {
			cancel()
		}
	})
	return out, func() { stop(); cancel() }, nil
}

// biteTime is how long an effect may take to show before it counts as missing.
const biteTime = 10 * time.Second

// await polls until done says so, and reports whether it did before limit or the
// end of ctx, which is no error.
func await(ctx context.Context, limit time.Duration, done func(context.Context) (bool, error)) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	pause := 2 * time.Millisecond
	for {
		ok, err := done(ctx)
		if ok || (err != nil && ctx.Err() == nil) {
			return ok, err
		}
		select {
		case <-ctx.Done():
			return false, nil
		case <-time.After(pause):
		}
		pause = min(2*pause, 100*time.Millisecond)
	}
}

// alive reports whether a target in this state still executes or could go on.
func alive(s targets.Status) bool { return s == targets.Running || s == targets.Paused }

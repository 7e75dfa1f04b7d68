package injectors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/squall-chaos/squall/targets"
)

// freeze holds a target still with all it runs, and lets it go on.
type freeze struct {
	subject

	foreign bool // somebody else had frozen it before: not ours to undo
}

func init() { registerChange(func() change { return new(freeze) }) }

func (*freeze) kind() string { return "freeze" }

func (f *freeze) resource() string { return f.state() }

func (f *freeze) describe() (do, undo string) {
	return "freeze " + f.Name, "let " + f.Name + " go on"
}

func (f *freeze) settleTime() time.Duration { return lastWish }

func (f *freeze) apply(ctx context.Context, w *world) error {
	ctx, done, err := begun(ctx)
	if err != nil {
		return err
	}
	defer done()
	b, err := w.open(ctx, f.Ref)
	if err != nil {
		return fmt.Errorf("freeze %s: %w", f.Name, err)
	}
	if s, err := b.State(ctx); err == nil && s.Status == targets.Paused {
		f.foreign = true
		return fmt.Errorf("freeze %s: somebody else froze it meanwhile: %w", f.Name, ErrNotRunning)
	}
	return b.Pause(ctx)
}

func (f *freeze) evidence(ctx context.Context, w *world) (Evidence, error) {
	e := Evidence{Target: f.Name, Asked: "frozen"}
	b, err := w.open(ctx, f.Ref)
	if err != nil {
		return e, err
	}
	s, err := b.State(ctx)
	if err != nil {
		return e, err
	}
	e.Proven, e.Measured = s.Status == targets.Paused, seen(s)
	return e, nil
}

func (f *freeze) lost(ctx context.Context, w *world) (Loss, error) {
	b, err := w.open(ctx, f.Ref)
	if errors.Is(err, targets.ErrGone) {
		return restartedOrGone(ctx, w, f.subject)
	}
	if err != nil {
		return Loss{}, err
	}
	s, err := b.State(ctx)
	if err != nil || s.Status == targets.Paused {
		return Loss{}, err
	}
	if s.Status == targets.Running {
		return Loss{Why: f.Name + " goes on although it should be frozen: somebody else let it"}, nil
	}
	return Loss{Why: fmt.Sprintf("%s is %s although it should be frozen", f.Name, s.Status)}, nil
}

func (f *freeze) revert(ctx context.Context, w *world) (targets.Ref, error) {
	if f.foreign {
		return targets.Ref{}, nil
	}
	b, err := w.open(ctx, f.Ref)
	if errors.Is(err, targets.ErrGone) {
		return targets.Ref{}, nil // a new incarnation is not frozen, nor is what is gone
	}
	if err != nil {
		return targets.Ref{}, err
	}
	if err := b.Unpause(ctx); err != nil && !errors.Is(err, targets.ErrGone) {
		return targets.Ref{}, err
	}
	return targets.Ref{}, nil
}

func (f *freeze) residue(ctx context.Context, w *world) ([]string, error) {
	if f.foreign {
		return nil, nil
	}
	b, err := w.open(ctx, f.Ref)
	if errors.Is(err, targets.ErrGone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s, err := b.State(ctx)
	if err != nil || s.Status != targets.Paused {
		return nil, err
	}
	return []string{fmt.Sprintf("%s (%s) is still frozen: run squall recover", f.Name, f.Ref)}, nil
}

// restartedOrGone tells how the incarnation of a change's target ended.
func restartedOrGone(ctx context.Context, w *world, t subject) (Loss, error) {
	s, _, err := w.lookAt(ctx, t.Ref)
	if err != nil {
		return Loss{}, err
	}
	if alive(s.Status) || s.Status == targets.Restarting {
		return Loss{Why: t.Name + " was restarted under the fault", Restarted: true}, nil
	}
	return Loss{Why: t.Name + " went away under the fault"}, nil
}

// seen is a state as evidence words it.
func seen(s targets.State) string {
	text := string(s.Status)
	if s.Status == targets.Exited {
		text += fmt.Sprintf(" with code %d", s.ExitCode)
	}
	if s.Detail != "" {
		text += " (" + s.Detail + ")"
	}
	return text
}

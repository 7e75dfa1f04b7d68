package injectors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/squall-chaos/squall/experiments/units"
	"github.com/squall-chaos/squall/targets"
)

// bounce stops a target and starts it again at once.
type bounce struct {
	subject
	Grace     units.Duration    `json:"grace"`
	Blueprint targets.Blueprint `json:"blueprint,omitempty"`
}

func init() { registerChange(func() change { return new(bounce) }) }

func (*bounce) kind() string { return "bounce" }

func (b *bounce) resource() string { return b.state() }

func (b *bounce) describe() (do, undo string) {
	return fmt.Sprintf("restart %s, killing it after %s", b.Name, b.Grace),
		fmt.Sprintf("none: the restart ends by itself; %s is started if it was cut off halfway", b.Name)
}

func (b *bounce) settleTime() time.Duration { return graceful(b.Grace) }

func (b *bounce) apply(ctx context.Context, w *world) error {
	ctx, done, err := begun(ctx)
	if err != nil {
		return err
	}
	defer done()
	t, err := w.open(ctx, b.Ref)
	if err != nil {
		return fmt.Errorf("restart %s: %w", b.Name, err)
	}
	return orKill(ctx, t, t.Restart(ctx, b.Grace.D()))
}

func (b *bounce) evidence(ctx context.Context, w *world) (Evidence, error) {
	e := Evidence{Target: b.Name, Asked: "restarted"}
	now, err := w.restore(ctx, b.Ref, b.Blueprint)
	if err != nil {
		return e, err
	}
	s, now, err := w.lookAt(ctx, now)
	if err != nil {
		return e, err
	}
	e.Proven = alive(s.Status) && now != b.Ref
	e.Measured = fmt.Sprintf("%s, started %s, before %s", s.Status, now.Epoch, b.Ref.Epoch)
	return e, nil
}

func (b *bounce) lost(context.Context, *world) (Loss, error) { return Loss{}, nil }

func (b *bounce) revert(ctx context.Context, w *world) (targets.Ref, error) {
	now, err := w.restore(ctx, b.Ref, b.Blueprint)
	if errors.Is(err, targets.ErrGone) {
		return targets.Ref{}, nil
	}
	if err != nil || now == b.Ref {
		return targets.Ref{}, err
	}
	return now, nil
}

func (b *bounce) residue(ctx context.Context, w *world) ([]string, error) {
	d := down{subject: b.subject, Blueprint: b.Blueprint, Back: true}
	return d.residue(ctx, w)
}

package injectors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/squall-chaos/squall/targets"
)

// Undone is how the undo of one change went.
type Undone struct {
	ID        string       `json:"id"`
	Target    string       `json:"target"`
	Successor *targets.Ref `json:"successor,omitempty"` // the target's new incarnation
	Residue   []string     `json:"residue,omitempty"`
	Err       string       `json:"err,omitempty"`
}

// Clean reports whether nothing is left.
func (u Undone) Clean() bool { return u.Err == "" && len(u.Residue) == 0 }

func failures(all []Undone) error {
	var errs []error
	for _, u := range all {
		if !u.Clean() {
			errs = append(errs, fmt.Errorf("%s: not undone: %s %v", u.ID, u.Err, u.Residue))
		}
	}
	return errors.Join(errs...)
}

// undoAll undoes what is held, newest batch first.
func (a *agent) undoAll(ctx context.Context) []Undone {
	var all []Undone
	for {
		a.mu.Lock()
		var batch []*holding
		for i := len(a.held) - 1; i >= 0 && (len(batch) == 0 || a.held[i].batch == batch[0].batch); i-- {
			batch = append(batch, a.held[i])
		}
		a.mu.Unlock()
		if len(batch) == 0 {
			return all
		}
		all = append(all, a.undo(ctx, batch)...)
	}
}

// undo undoes the changes together, looks for what is left of them and writes
// down how that went. What could not be undone is given up here and stays in the
// journal for recover. A change that somebody else is undoing already is waited
// for.
func (a *agent) undo(ctx context.Context, hs []*holding) []Undone {
	if mine := a.begin(hs); len(mine) > 0 {
		a.undoNow(ctx, mine)
	}
	out := make([]Undone, len(hs))
	for i, h := range hs {
		<-h.over
		out[i] = h.undone
	}
	return out
}

// begin returns those of hs that nobody undoes yet.
func (a *agent) begin(hs []*holding) []*holding {
	a.mu.Lock()
	defer a.mu.Unlock()
	var mine []*holding
	for _, h := range hs {
		if !h.undoing {
			h.undoing = true
			mine = append(mine, h)
		}
	}
	return mine
}

func (a *agent) undoNow(ctx context.Context, hs []*holding) {
	recs := make([]record, len(hs))
	failpoint(pointReverting)
	each(hs, func(i int, h *holding) {
		u := a.undoOne(ctx, h)
		recs[i] = record{Stage: Reverted, ID: h.ID, Successor: u.Successor, Residue: u.Residue, Err: u.Err}
		if !u.Clean() {
			recs[i].Stage = Unrecovered
		}
		h.undone = u
	})
	failpoint(pointReverted)
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.journal.write(recs...)
	if err != nil {
		a.log.Error("undone, but the journal does not know", "err", err)
	}
	a.release(hs)
	for _, h := range hs {
		if err != nil {
			h.undone.Err = joinText(h.undone.Err, err.Error())
		}
		close(h.over)
	}
}

// release gives up the claims of hs and forgets them.
func (a *agent) release(hs []*holding) {
	gone := map[*holding]bool{}
	for _, h := range hs {
		gone[h] = true
		if h.claim != nil {
			h.claim.drop()
		}
	}
	kept := a.held[:0]
	for _, h := range a.held {
		if !gone[h] {
			kept = append(kept, h)
		}
	}
	a.held = kept
}

// undoTime bounds the undo of one change, with all tries.
const undoTime = 2 * time.Minute

// errFinal marks an undo that trying again will not make better.
var errFinal = errors.New("")

func (a *agent) undoOne(ctx context.Context, h *holding) Undone {
	h.cancel()
	<-h.injected
	sleep(context.WithoutCancel(ctx), time.Until(h.settled))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	u := Undone{ID: h.ID, Target: h.Target}
	var err error
	for try, wait := 0, 200*time.Millisecond; try < 7; try, wait = try+1, 2*wait {
		if try > 0 && !sleep(ctx, wait) {
			break
		}
		var now targets.Ref
		if now, err = h.change.revert(ctx, a.world); err == nil && now != (targets.Ref{}) {
			u.Successor = &now
		}
		if err == nil {
			u.Residue, err = h.change.residue(ctx, a.world)
		}
		if err == nil && len(u.Residue) == 0 || errors.Is(err, errFinal) {
			break
		}
		a.log.Warn("undo is not complete", "change", h.ID, "try", try+1, "residue", u.Residue, "err", err)
	}
	if err != nil {
		u.Err = err.Error()
	}
	a.log.Info("undone", "change", h.ID, "target", h.Target, "residue", u.Residue, "err", u.Err)
	return u
}

func joinText(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

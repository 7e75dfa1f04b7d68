package injectors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/squall-chaos/squall/targets"
)

// Outcome is how the injection of one change went.
type Outcome struct {
	ID       string   `json:"id"`
	Target   string   `json:"target"`
	Evidence Evidence `json:"evidence"`
	Err      string   `json:"err,omitempty"`
	Gone     bool     `json:"gone,omitempty"` // the target was gone before it could be touched
}

var (
	errClosing = errors.New("the agent is undoing everything and takes no more faults")
	errSame    = errors.New("is already held")
)

// inject applies and measures changes that were admitted, all together.
func (a *agent) inject(hs []*holding) ([]Outcome, error) {
	defer a.inflight.Done()
	defer func() {
		for _, h := range hs {
			close(h.injected)
		}
	}()
	failpoint(pointPlanned)
	out := make([]Outcome, len(hs))
	each(hs, func(i int, h *holding) {
		out[i] = Outcome{ID: h.ID, Target: h.Target, Evidence: Evidence{Target: h.Target}}
		if err := h.change.apply(h.applying, a.world); err != nil {
			out[i].Err, out[i].Gone = err.Error(), errors.Is(err, targets.ErrGone)
			return
		}
		a.log.Info("applied", "change", h.ID, "target", h.Target, "do", h.Do)
	})
	failpoint(pointApplied)
	if err := a.announceApplied(hs, out); err != nil {
		return nil, err
	}
	each(hs, func(i int, h *holding) {
		if out[i].Err == "" {
			out[i].Evidence, out[i].Err = a.prove(h)
		}
	})
	return out, nil
}

// proveTime is how long an effect may take to show after a change was made.
const proveTime = 2 * time.Second

// prove measures until the effect shows, within bounds. On a machine that is slow
// to answer, one measurement may take longer than all of them should.
func (a *agent) prove(h *holding) (Evidence, string) {
	deadline := time.Now().Add(proveTime)
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		e, err := a.measure(h)
		if err != nil {
			return Evidence{Target: h.Target}, "no evidence: " + err.Error()
		}
		if e.Proven || time.Now().After(deadline) || !sleep(h.applying, pause) {
			return e, ""
		}
	}
}

func (a *agent) measure(h *holding) (Evidence, error) {
	ctx, cancel := context.WithTimeout(h.applying, biteTime)
	defer cancel()
	return h.change.evidence(ctx, a.world)
}

// admit claims the changes' resources and writes them down. Nothing was touched
// when it returns an error.
func (a *agent) admit(changes []Change) ([]*holding, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closing {
		return nil, errClosing
	}
	var (
		hs   []*holding
		recs []record
	)
	drop := func() {
		for _, h := range hs {
			h.claim.drop()
		}
	}
	a.batches++
	for _, c := range changes {
		h, err := a.claim(c)
		if err != nil {
			drop()
			return nil, err
		}
		hs = append(hs, h)
		recs = append(recs, record{Stage: Planned, ID: c.ID, Change: &c})
	}
	if err := a.journal.write(recs...); err != nil {
		drop()
		return nil, fmt.Errorf("nothing was injected: %w", err)
	}
	a.held = append(a.held, hs...)
	a.inflight.Add(1)
	return hs, nil
}

func (a *agent) claim(c Change) (*holding, error) {
	for _, h := range a.held {
		if h.ID == c.ID {
			return nil, fmt.Errorf("change %s %w", c.ID, errSame)
		}
	}
	v, err := c.decode()
	if err != nil {
		return nil, err
	}
	if c.Resource != v.resource() {
		return nil, fmt.Errorf("change %s claims %q, but is on %q", c.ID, c.Resource, v.resource())
	}
	cl, err := take(a.injects, c.Resource, a.holder)
	if err != nil {
		return nil, err
	}
	h := a.newHolding(c, v)
	h.claim = cl
	return h, nil
}

func (a *agent) announceApplied(hs []*holding, out []Outcome) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var recs []record
	for i, h := range hs {
		if out[i].Err != "" {
			continue
		}
		data, err := json.Marshal(h.change)
		if err != nil {
			return err
		}
		h.Data = data
		recs = append(recs, record{Stage: Applied, ID: h.ID, Change: &h.Change})
	}
	if len(recs) == 0 {
		return nil
	}
	return a.journal.write(recs...)
}

// observe says which of the named changes are no longer in force, or cannot be seen
// to be.
func (a *agent) observe(ids []string) map[string]Loss {
	var (
		hs   = a.find(ids)
		mu   sync.Mutex
		lost = map[string]Loss{}
	)
	for _, id := range ids {
		if !slices.ContainsFunc(hs, func(h *holding) bool { return h.ID == id }) {
			lost[id] = Loss{Why: id + " is not held any more", Unseen: true}
		}
	}
	each(hs, func(_ int, h *holding) {
		l, err := h.change.lost(a.injects, a.world)
		if err != nil {
			a.log.Warn("cannot see whether a change is in force", "change", h.ID, "err", err)
			l = Loss{Why: "cannot be looked at: " + err.Error(), Unseen: true}
		}
		if l.Why != "" {
			mu.Lock()
			lost[h.ID] = l
			mu.Unlock()
		}
	})
	return lost
}

func (a *agent) find(ids []string) []*holding {
	a.mu.Lock()
	defer a.mu.Unlock()
	var hs []*holding
	for _, h := range a.held {
		for _, id := range ids {
			if h.ID == id {
				hs = append(hs, h)
			}
		}
	}
	return hs
}

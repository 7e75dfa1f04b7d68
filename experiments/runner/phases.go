package runner

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/squall-chaos/squall/experiments/verifier"
	"github.com/squall-chaos/squall/reports"
	"github.com/squall-chaos/squall/targets"
)

func goneError(err error) bool { return errors.Is(err, targets.ErrGone) }

// phase begins a phase; the returned function ends it.
func (r *run) phase(name string, planned time.Duration) func() {
	i := len(r.record.phases)
	r.update(func() { r.record.phases = append(r.record.phases, reports.Phase{Name: name, Start: r.now().Seconds()}) })
	r.emit(Event{Kind: PhaseStarted, Phase: name, For: planned.Seconds()})
	return func() {
		r.update(func() { r.record.phases[i].End = r.now().Seconds() })
	}
}

func (r *run) span(name string) (from, to time.Duration, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.record.phases {
		if p.Name == name && p.End > p.Start {
			return seconds(p.Start), seconds(p.End), true
		}
	}
	return 0, 0, false
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// subjects are the probes with their steady states.
func (r *run) subjects() []verifier.Subject {
	var all []verifier.Subject
	for _, w := range r.watched {
		all = append(all, verifier.Subject{Probe: w.Name, Series: w.series, Claims: w.steady, Baseline: r.baselineOf(w)})
	}
	return all
}

// baselineOf is the probe's window of the baseline, or nil before its end.
func (r *run) baselineOf(w *watched) *verifier.Window {
	from, to, ok := r.span("baseline")
	if !ok {
		return nil
	}
	win := w.series.Window(from, to)
	return &win
}

// baseline measures the steady state before anything is disturbed. It reports
// whether it held.
func (r *run) baseline() bool {
	end := r.phase("baseline", r.e.Timing.Baseline.D())
	wait(r.method, r.e.Timing.Baseline.D())
	end()
	if r.method.Err() != nil {
		return false
	}
	from, to, _ := r.span("baseline")
	r.awaitReadings(r.method, to)
	if r.method.Err() != nil {
		return false
	}
	checks, steady := verifier.Steady(r.subjects(), "baseline", from, to)
	r.judged(checks)
	if !steady {
		r.giveUp("the baseline was not steady, so nothing was injected")
	}
	return steady && r.method.Err() == nil
}

func (r *run) judged(checks []reports.Check) {
	r.update(func() { r.record.checks = append(r.record.checks, checks...) })
	for _, c := range checks {
		r.emit(Event{Kind: CheckJudged, Check: &c, Phase: c.Phase})
	}
}

// recovery measures until the steady state holds again, or its time is over. A
// run that was stopped has nothing to wait for.
func (r *run) recovery() {
	if r.stopped() {
		return
	}
	limit := r.e.Timing.Recovery.D()
	end := r.phase("recovery", limit)
	defer end()
	start := r.now()
	subjects := slices.DeleteFunc(r.subjects(), func(s verifier.Subject) bool { return len(s.Claims) == 0 })
	for r.now()-start < limit && !r.stopped() {
		settled := r.settled()
		if verifier.SteadyNow(subjects, start, settled) {
			r.steadyAt = settled
			return
		}
		wait(r.life, 50*time.Millisecond)
	}
}

// settled is up to where the readings of all probes have come in.
func (r *run) settled() time.Duration {
	least := r.now()
	for _, w := range r.watched {
		least = min(least, w.sampler.Settled())
	}
	return least
}

// stopped reports whether the run ends as aborted.
func (r *run) stopped() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.record.aborted) > 0
}

// verify judges the hypothesis on all that was measured.
func (r *run) verify() {
	from, to, ok := r.disturbed()
	if !ok {
		return
	}
	during := to
	end := r.now()
	if _, recovered, ok := r.span("recovery"); ok {
		end = recovered
	}
	if r.steadyAt > 0 {
		end = r.steadyAt
	}
	if r.left() {
		during = end
	}
	for _, h := range r.e.Hypothesis {
		w := r.probe(h.Probe)
		if w == nil {
			continue
		}
		base := r.baselineOf(w)
		for _, c := range h.During {
			r.judged([]reports.Check{verifier.Judge(c, w.series.Window(from, during), base).Check(h.Probe, "during", c)})
		}
		if r.stopped() {
			continue
		}
		s := verifier.Subject{Probe: w.Name, Series: w.series, Claims: w.steady, Baseline: base}
		if h.HasRecovery {
			r.judged([]reports.Check{verifier.JudgeRecovery(h.Recovery, s, to, end).Check(h.Probe, "recovery", h.Recovery)})
		}
		need := verifier.SteadyWindow(w.steady, w.Rate)
		checks, _ := verifier.Steady([]verifier.Subject{s}, "after", max(to, end-need), end)
		r.judged(checks)
	}
}

// disturbed is the time from the first fault in force to the last one undone, or
// injected if it is one that is not undone by us.
func (r *run) disturbed() (from, to time.Duration, ok bool) {
	if r.NoInject {
		return r.span("method")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.record.faults {
		if f.State == stateNotInjected {
			continue
		}
		start, end := seconds(f.Start), seconds(f.End)
		if !ok || start < from {
			from = start
		}
		to, ok = max(to, end), true
	}
	return from, to, ok
}

// left reports whether a fault left coming back to the system itself: what it does
// to the system lasts until that has come back, however long ago it was injected.
func (r *run) left() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.record.faults, func(f *reports.Fault) bool { return f.State == stateIrreversible })
}

// cope tells for each fault how the system went through it.
func (r *run) cope() {
	subjects := r.subjects()
	faults := r.record.faults
	for i, f := range faults {
		if f.State == stateNotInjected {
			continue
		}
		until := r.now()
		for _, g := range faults[i+1:] {
			if g.State != stateNotInjected && g.Start > f.End {
				until = seconds(g.Start)
				break
			}
		}
		span := verifier.FaultSpan{Start: seconds(f.Start), End: seconds(f.End), Until: until}
		if f.State == stateIrreversible {
			span.End = until
		}
		c := verifier.Cope(subjects, span)
		c.RecoveredUnder = c.RecoveredUnder && f.State != stateIrreversible
		f.Coping = &c
	}
}

// guardsOf lists the guards as not broken.
func (r *run) guardsOf() {
	for _, g := range r.e.Guards {
		r.record.guards = append(r.record.guards, reports.Guard{Probe: g.Probe, Claim: fmt.Sprint(g.Claim)})
	}
}

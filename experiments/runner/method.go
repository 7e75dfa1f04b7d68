package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/squall-chaos/squall/experiments"
	"github.com/squall-chaos/squall/experiments/verifier"
	"github.com/squall-chaos/squall/reports"
)

// runMethod executes the steps one after another.
func (r *run) runMethod() {
	end := r.phase("method", 0)
	defer end()
	limit := time.AfterFunc(time.Until(r.epoch.Add(r.e.Limits.Duration.D())), func() {
		r.abort("the run's limit of " + r.e.Limits.Duration.String() + " has passed")
	})
	defer limit.Stop()
	guarded, stop := context.WithCancel(r.method)
	defer stop()
	if len(r.e.Guards) > 0 {
		r.crew.Go(func() { r.guard(guarded) })
	}
	r.steps(r.method, r.e.Method, "")
}

// steps executes steps in order until one ends the method. round tells the rounds
// of a repeat apart.
func (r *run) steps(ctx context.Context, steps []experiments.Step, round string) {
	for _, s := range steps {
		if ctx.Err() != nil {
			return
		}
		r.step(ctx, s, s.ID+round, round)
	}
}

func (r *run) step(ctx context.Context, s experiments.Step, id, round string) {
	if s.Fault != nil {
		r.fault(ctx, s.Fault, id)
		return
	}
	planned := r.planned[id]
	r.emit(Event{Kind: StepStarted, Step: id, Text: planned.Text, For: planned.End - planned.Start})
	var err error
	switch {
	case s.Parallel != nil:
		r.parallel(ctx, s.Parallel, round)
	case s.Repeat != nil:
		r.repeat(ctx, s.Repeat, round)
	case s.Check != nil:
		err = r.check(ctx, s.Check, id)
	case s.Confirm != "":
		err = r.confirm(ctx, s.Confirm, id)
	default:
		wait(ctx, s.Wait.D())
	}
	e := Event{Kind: StepEnded, Step: id}
	if err != nil {
		e.Err = err.Error()
	}
	r.emit(e)
}

func (r *run) parallel(ctx context.Context, steps []experiments.Step, round string) {
	var group sync.WaitGroup
	for _, s := range steps {
		group.Go(func() { r.steps(ctx, []experiments.Step{s}, round) })
	}
	group.Wait()
}

// repeat starts a round every so often; a round that takes longer delays the next.
func (r *run) repeat(ctx context.Context, p *experiments.Repeat, round string) {
	start := time.Now()
	for n := range p.Times {
		wait(ctx, time.Until(start.Add(time.Duration(n)*p.Every.D())))
		if ctx.Err() != nil {
			return
		}
		r.steps(ctx, p.Steps, fmt.Sprintf("%s#%d", round, n+1))
	}
}

// check judges claims on the last readings, now. One that does not hold ends the
// method: what comes after it was meant for a system in which it holds.
func (r *run) check(ctx context.Context, list []experiments.Check, id string) error {
	r.awaitReadings(ctx, r.now())
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var broken []string
	for _, p := range list {
		w := r.probe(p.Probe)
		for _, c := range p.Claims {
			over := c.Over
			if over == 0 {
				over = c.TrailingAt(w.Rate)
			}
			j := verifier.Judge(c, w.last(over), r.baselineOf(w))
			check := j.Check(p.Probe, "check "+id, c)
			r.update(func() { r.record.checks = append(r.record.checks, check) })
			r.emit(Event{Kind: CheckJudged, Step: id, Check: &check})
			if j.Status != reports.CheckHeld {
				broken = append(broken, fmt.Sprintf("%s %s: got %s", p.Probe, c, j.Got))
			}
		}
	}
	if len(broken) == 0 {
		return nil
	}
	err := errors.New(strings.Join(broken, "; "))
	r.cancel(fmt.Errorf("%w: check %s: %w", errFutile, id, err))
	return err
}

// confirm asks a person. Anything but a yes ends the run as aborted.
func (r *run) confirm(ctx context.Context, question, id string) error {
	r.emit(Event{Kind: ConfirmAsked, Step: id, Text: question})
	if r.Confirm == nil {
		r.abort("nobody could be asked: " + question)
		return errors.New("nobody could be asked")
	}
	yes, err := r.Confirm(ctx, id, question)
	switch {
	case ctx.Err() != nil:
		return nil // the run says why it was stopped
	case err != nil:
		r.abort("nobody answered: " + err.Error())
		return err
	case !yes:
		r.abort("a person said no to: " + question)
		return errors.New("no")
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

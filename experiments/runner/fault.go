package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/squall-chaos/squall/experiments"
	"github.com/squall-chaos/squall/injectors"
	"github.com/squall-chaos/squall/reports"
	"github.com/squall-chaos/squall/targets"
)

// What became of a fault, as reports.Fault.State.
const (
	stateNotInjected  = "not injected"
	stateInForce      = "in force"
	stateReverted     = "reverted"
	stateIrreversible = "irreversible"
	stateEndedEarly   = "ended early"
	stateUnrecovered  = "unrecovered"
)

// attempt is one fault step while it is executed.
type attempt struct {
	step    *experiments.FaultStep
	id      string
	result  *reports.Fault
	changes []injectors.Change
	again   int // how often it was injected again after a restart
}

// fault injects one fault, holds it for its time and undoes it. What goes wrong
// makes the run inconclusive and ends the method: a run that cannot show anything
// any more must not go on disturbing.
func (r *run) fault(ctx context.Context, f *experiments.FaultStep, id string) {
	a := &attempt{step: f, id: id, result: &reports.Fault{
		ID: id, Fault: f.Fault, On: f.On, Targets: []string{}, Asked: f.String(), State: stateNotInjected, Start: r.now().Seconds(), End: r.now().Seconds(),
	}}
	r.update(func() {
		r.attempts = append(r.attempts, a)
		r.record.faults = append(r.record.faults, a.result)
	})
	if err := r.attempt(ctx, a); err != nil && ctx.Err() == nil {
		r.update(func() { a.result.Error = joined(a.result.Error, err.Error()) })
		r.giveUp(fmt.Sprintf("fault %s (%s): %v", id, f.Fault, err))
	}
}

func joined(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// update changes the record.
func (r *run) update(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

func (r *run) attempt(ctx context.Context, a *attempt) error {
	if err := r.planNow(ctx, a); err != nil {
		r.emit(Event{Kind: StepEnded, Step: a.id, Fault: a.step.Fault, Err: err.Error()})
		return err
	}
	r.emit(Event{Kind: FaultPlanned, Step: a.id, Fault: a.step.Fault, Targets: a.result.Targets, For: a.step.For.Seconds(), Text: a.step.String()})
	if r.NoInject {
		wait(ctx, a.step.For.D())
		r.update(func() { a.result.End = r.now().Seconds() })
		r.emit(Event{Kind: StepEnded, Step: a.id, Text: "not injected, as asked"})
		return nil
	}
	if err := r.inject(ctx, a, a.changes); err != nil {
		r.revert(a)
		return err
	}
	err := r.holdFault(ctx, a)
	return errors.Join(err, r.revert(a))
}

// planNow plans the fault on its targets as they are now.
func (r *run) planNow(ctx context.Context, a *attempt) error {
	chosen, err := r.liveTargets(ctx, a.step.On)
	if err != nil {
		return err
	}
	for _, t := range chosen {
		a.result.Targets = append(a.result.Targets, t.Name())
	}
	changes, err := injectors.Plan(ctx, r.request(a, chosen))
	r.update(func() { a.changes = changes })
	for _, c := range changes {
		for _, n := range c.Notes {
			r.note(fmt.Sprintf("fault %s: %s: %s", a.id, c.Target, n))
		}
	}
	return err
}

func (r *run) request(a *attempt, on []targets.Target) injectors.Request {
	id := a.id
	if a.again > 0 {
		id = fmt.Sprintf("%s~%d", id, a.again)
	}
	return injectors.Request{
		ID: id, Fault: a.step.Fault, Spec: a.step.Spec, Targets: on, Drivers: r.drivers,
		For: a.step.For.D(), Secrets: r.e.Secrets, Dir: r.e.Dir(),
	}
}

// inject has the agent make the changes, and takes down what they showed.
func (r *run) inject(ctx context.Context, a *attempt, changes []injectors.Change) error {
	agent := r.currentAgent()
	if agent == nil {
		return errors.New("there is no agent")
	}
	if a.again == 0 { // what the world suffers while a fault comes about is the fault's
		r.update(func() { a.result.Start = r.now().Seconds() })
	}
	out, err := agent.Inject(ctx, changes)
	if err != nil {
		return err
	}
	bit, evidence, problems := true, []reports.Evidence{}, []string{}
	for _, o := range out {
		proof := reports.Evidence(o.Evidence)
		if o.Err != "" {
			proof.Asked, proof.Measured = a.step.String(), o.Err
		}
		evidence = append(evidence, proof)
		switch {
		case o.Err != "":
			problems = append(problems, o.Target+": "+o.Err)
		case !o.Evidence.Proven:
			problems = append(problems, fmt.Sprintf("no effect on %s: asked %s, measured %s", o.Target, o.Evidence.Asked, o.Evidence.Measured))
		}
		bit = bit && o.Err == "" && o.Evidence.Proven
	}
	r.update(func() {
		a.result.Evidence = append(a.result.Evidence, evidence...)
		a.result.State, a.result.Bit = stateInForce, bit
	})
	r.emit(Event{Kind: FaultInForce, Step: a.id, Fault: a.step.Fault, Targets: a.result.Targets, For: a.step.For.Seconds(), Evidence: evidence, Text: a.step.String()})
	if len(problems) > 0 {
		return errors.New(strings.Join(problems, "; "))
	}
	return nil
}

// observeEvery is how often it is looked whether a fault is still in force.
const observeEvery = 500 * time.Millisecond

// holdFault waits for the fault's end and watches that it stays in force.
func (r *run) holdFault(ctx context.Context, a *attempt) error {
	end := time.NewTimer(a.step.For.D())
	defer end.Stop()
	look := time.NewTicker(observeEvery)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-end.C:
			// A fault that was lost in the last moments was not in force for its time.
			_, err := r.lookAfter(ctx, a, true)
			return err
		case <-look.C:
			if over, err := r.lookAfter(ctx, a, false); err != nil || over {
				return err
			}
		}
	}
}

// lookAfter handles changes that are no longer in force, as on_restart says. It
// reports whether the fault is over. What cannot be looked at for a while, such as
// when an engine is restarted, must be seen again at the last look.
func (r *run) lookAfter(ctx context.Context, a *attempt, last bool) (over bool, err error) {
	if a.step.For == 0 || ctx.Err() != nil {
		return false, nil
	}
	agent := r.currentAgent()
	if agent == nil {
		return false, nil
	}
	lost, err := agent.Observe(ctx, ids(a.changes))
	for end := time.Now().Add(unseenLimit); last && err == nil && anyUnseen(lost) && time.Now().Before(end) && ctx.Err() == nil; {
		wait(ctx, observeEvery/2)
		lost, err = agent.Observe(ctx, ids(a.changes))
	}
	if err != nil || ctx.Err() != nil {
		return false, nil // a dead agent is guardAgent's matter
	}
	if !last {
		maps.DeleteFunc(lost, func(_ string, l injectors.Loss) bool { return l.Unseen })
	}
	if len(lost) == 0 {
		return false, nil
	}
	why := []string{}
	restarted := true
	for _, id := range slices.Sorted(maps.Keys(lost)) {
		why = append(why, lost[id].Why)
		restarted = restarted && lost[id].Restarted
	}
	text := strings.Join(why, "; ")
	r.emit(Event{Kind: FaultLost, Step: a.id, Fault: a.step.Fault, Text: text})
	switch {
	case restarted && a.step.OnRestart == experiments.OnRestartEnd:
		r.note(fmt.Sprintf("fault %s ended early: %s", a.id, text))
		r.update(func() { a.result.State = stateEndedEarly })
		return true, nil
	case restarted && a.step.OnRestart == experiments.OnRestartReapply:
		r.note(fmt.Sprintf("fault %s is injected again: %s", a.id, text))
		return false, r.reapply(ctx, a, lost)
	}
	r.update(func() { a.result.Bit = false })
	return false, errors.New("not in force for its whole time: " + text)
}

// unseenLimit is how much longer than its time a fault is held until it can be seen
// again, when it cannot at its end.
const unseenLimit = 3 * time.Second

func anyUnseen(lost map[string]injectors.Loss) bool {
	for _, l := range lost {
		if l.Unseen {
			return true
		}
	}
	return false
}

// reapply undoes the lost changes and makes them again on the targets as they are
// now.
func (r *run) reapply(ctx context.Context, a *attempt, lost map[string]injectors.Loss) error {
	undone, err := r.currentAgent().Revert(ctx, slices.Sorted(maps.Keys(lost)))
	if err != nil {
		return err
	}
	r.settle(undone)
	chosen, err := r.liveTargets(ctx, a.step.On)
	if err != nil {
		return err
	}
	var on []targets.Target
	var kept []injectors.Change
	for _, c := range a.changes {
		if _, gone := lost[c.ID]; !gone {
			kept = append(kept, c)
			continue
		}
		i := slices.IndexFunc(chosen, func(t targets.Target) bool { return t.Name() == c.Target })
		if i >= 0 {
			on = append(on, chosen[i])
		}
	}
	a.again++
	fresh, err := injectors.Plan(ctx, r.request(a, on))
	if err != nil {
		return err
	}
	r.update(func() { a.changes = append(kept, fresh...) })
	return r.inject(ctx, a, fresh)
}

// revert undoes what the attempt holds, however the run stands.
func (r *run) revert(a *attempt) error {
	agent := r.currentAgent()
	if agent == nil || len(a.changes) == 0 {
		return nil
	}
	tell := func(kind EventKind) {
		e := Event{Kind: kind, Step: a.id, Fault: a.step.Fault, Targets: a.result.Targets, Residue: a.result.Residue}
		if a.step.For == 0 { // the agent is only to forget it
			if kind == FaultReverting {
				return
			}
			e.Kind, e.Text = StepEnded, "coming back is the system's own business"
		}
		r.emit(e)
	}
	tell(FaultReverting)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.life), undoLimit)
	defer cancel()
	undone, err := agent.Revert(ctx, ids(a.changes))
	if errors.Is(err, injectors.ErrAgentGone) {
		return nil // a new agent undoes it, and settles
	}
	if err != nil {
		return err
	}
	r.settle(undone)
	tell(FaultReverted)
	return nil
}

// settle takes down how undoing went, whoever asked for it.
func (r *run) settle(undone []injectors.Undone) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now().Seconds()
	for _, u := range undone {
		step, _, _ := strings.Cut(u.ID, "/")
		step, _, _ = strings.Cut(step, "~")
		i := slices.IndexFunc(r.record.faults, func(f *reports.Fault) bool { return f.ID == step })
		if i < 0 {
			if !u.Clean() { // nobody knows whose it is
				r.record.residue = append(r.record.residue, append(u.Residue, fmt.Sprintf("%s %s: run squall recover %s", u.ID, u.Err, r.name))...)
			}
			continue
		}
		f := r.record.faults[i]
		f.End = now
		if f.State == stateInForce || f.State == stateNotInjected {
			f.State = stateReverted
			if r.attempts[i].step.For == 0 {
				f.State = stateIrreversible
			}
		}
		if !u.Clean() {
			f.State = stateUnrecovered
			left := u.Residue
			if u.Err != "" {
				left = append(left, fmt.Sprintf("%s: %s: run squall recover %s", u.Target, u.Err, r.name))
			}
			f.Residue = append(f.Residue, left...)
			r.record.residue = append(r.record.residue, left...)
		}
	}
	for _, u := range undone {
		r.succeed(u)
	}
}

func ids(changes []injectors.Change) []string {
	out := make([]string, len(changes))
	for i, c := range changes {
		out[i] = c.ID
	}
	return out
}

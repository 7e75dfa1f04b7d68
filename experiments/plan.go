package experiments

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/squall-chaos/squall/experiments/verifier"
	"github.com/squall-chaos/squall/injectors"
	"github.com/squall-chaos/squall/targets"
)

// Plan is what a run of an experiment does, as far as it is known before: it is
// plain data without clocks, so that the same file, seed and world give the same
// bytes of JSON. Times are seconds since the start of the baseline.
type Plan struct {
	Title      string            `json:"title"`
	File       string            `json:"file"`
	Document   int               `json:"document"`
	Seed       uint64            `json:"seed"`
	Variables  map[string]string `json:"variables,omitempty"`
	Targets    []PlannedTarget   `json:"targets"`
	Baseline   Span              `json:"baseline"`
	Method     Span              `json:"method"`
	Recovery   Span              `json:"recovery"` // its end is the latest
	Steps      []PlannedStep     `json:"steps"`
	Hypothesis []string          `json:"hypothesis"` // each claim in one line
	Guards     []string          `json:"guards,omitempty"`
}

// Span is a stretch of the planned timeline.
type Span struct {
	Start float64 `json:"start"` // seconds
	End   float64 `json:"end"`
}

// PlannedTarget is a target group with what it came to.
type PlannedTarget struct {
	Name       string  `json:"name"`
	Driver     string  `json:"driver"`
	Selector   string  `json:"selector"`
	Pick       string  `json:"pick,omitempty"`
	Candidates []Named `json:"candidates"` // all that match, sorted by name
	Chosen     []Named `json:"chosen"`     // what the seed took
}

// Named is a target by its name and reference.
type Named struct {
	Name string      `json:"name"`
	Ref  targets.Ref `json:"ref"`
}

// The kinds of planned steps.
const (
	StepFault    = "fault"
	StepWait     = "wait"
	StepCheck    = "check"
	StepParallel = "parallel"
	StepRepeat   = "repeat"
	StepConfirm  = "confirm"
)

// PlannedStep is a step of the method at its planned time. The rounds of a
// repeat are all there, one after another.
type PlannedStep struct {
	ID        string             `json:"id"`              // the step's ID
	Round     int                `json:"round,omitempty"` // from 1, inside a repeat
	Kind      string             `json:"kind"`
	Text      string             `json:"text"` // the step as a person would say it
	Start     float64            `json:"start"`
	End       float64            `json:"end"`
	Fault     string             `json:"fault,omitempty"`
	On        string             `json:"on,omitempty"`
	Targets   []string           `json:"targets,omitempty"` // names
	For       float64            `json:"for,omitempty"`     // seconds; 0: not undone by us
	OnRestart string             `json:"on_restart,omitempty"`
	Changes   []injectors.Change `json:"changes,omitempty"` // without Data
	Steps     []PlannedStep      `json:"steps,omitempty"`   // of a parallel or a repeat
}

// ErrConflict says that two faults would hold the same thing at the same time.
var ErrConflict = errors.New("two faults in parallel disturb the same thing")

// FaultError says which fault of the method could not be planned.
type FaultError struct {
	Step  string // ID
	Fault string
	Err   error
}

// Error is the step, the fault and the reason.
func (e *FaultError) Error() string { return fmt.Sprintf("step %s, %s: %v", e.Step, e.Fault, e.Err) }

// Unwrap is the reason.
func (e *FaultError) Unwrap() error { return e.Err }

// Resolve makes the plan of e: it finds and chooses the targets and plans every
// fault. It only reads, and may block on drivers.
//
// With an error it still returns the plan as far as it could be made. The error
// joins all that stands in the way: a *TargetError for each group and a
// *FaultError for each fault.
func Resolve(ctx context.Context, e *Experiment, drivers injectors.Drivers, seed uint64) (*Plan, error) {
	p := &Plan{
		Title: e.Title, File: e.File, Document: e.Document, Seed: seed, Variables: e.Variables,
		Targets: []PlannedTarget{}, Steps: []PlannedStep{}, Hypothesis: hypothesisLines(e), Guards: guardLines(e),
	}
	drivers, _, err := e.Declare(drivers)
	errs := []error{err}
	groups, err := e.Choose(ctx, drivers, seed)
	errs = append(errs, err)
	pl := planner{ctx: ctx, e: e, drivers: drivers, groups: map[string]Group{}, planned: map[string][]injectors.Change{}}
	for _, g := range groups {
		p.Targets = append(p.Targets, g.planned())
		pl.groups[g.Name] = g
	}
	p.Baseline.End = e.Timing.Baseline.Seconds()
	start := e.Timing.Baseline.D()
	steps, end := pl.sequence(e.Method, start, 0)
	p.Steps = append(p.Steps, steps...)
	p.Method = Span{start.Seconds(), end.Seconds()}
	p.Recovery = Span{end.Seconds(), (end + e.Timing.Recovery.D()).Seconds()}
	return p, errors.Join(append(errs, pl.errs...)...)
}

func hypothesisLines(e *Experiment) []string {
	lines := []string{}
	for _, h := range e.Hypothesis {
		add := func(when string, claims ...verifier.Claim) {
			for _, c := range claims {
				lines = append(lines, fmt.Sprintf("%s %s: %s", h.Probe, when, c))
			}
		}
		add("steady", h.Steady...)
		add("during", h.During...)
		if h.HasRecovery {
			lines = append(lines, fmt.Sprintf("%s recovery: %s", h.Probe, h.Recovery.Wanted()))
		}
	}
	return lines
}

func guardLines(e *Experiment) []string {
	var lines []string
	for _, g := range e.Guards {
		lines = append(lines, fmt.Sprintf("%s: %s", g.Probe, g.Claim))
	}
	return lines
}

// planner walks the method.
type planner struct {
	ctx     context.Context //nolint:containedctx // lives for one call of Resolve
	e       *Experiment
	drivers injectors.Drivers
	groups  map[string]Group
	planned map[string][]injectors.Change // by the step's ID: rounds differ in IDs only
	errs    []error
}

// sequence plans steps one after another from start and returns when they end.
func (p *planner) sequence(list []Step, start time.Duration, round int) ([]PlannedStep, time.Duration) {
	var out []PlannedStep
	for _, s := range list {
		one := p.step(s, start, round)
		out = append(out, one)
		start += s.length()
	}
	return out, start
}

func (p *planner) step(s Step, start time.Duration, round int) PlannedStep {
	out := PlannedStep{ID: s.ID, Round: round, Text: s.String(), Start: start.Seconds(), End: (start + s.length()).Seconds()}
	switch {
	case s.Fault != nil:
		out.Kind = StepFault
		p.fault(s, &out)
	case s.Check != nil:
		out.Kind = StepCheck
	case s.Parallel != nil:
		out.Kind = StepParallel
		for _, one := range s.Parallel {
			out.Steps = append(out.Steps, p.step(one, start, round))
		}
		if round <= 1 {
			p.conflicts(out)
		}
	case s.Repeat != nil:
		out.Kind = StepRepeat
		for i := range s.Repeat.Times {
			steps, end := p.sequence(s.Repeat.Steps, start, i+1)
			out.Steps = append(out.Steps, steps...)
			start = max(end, start+s.Repeat.Every.D())
		}
	case s.Confirm != "":
		out.Kind = StepConfirm
	default:
		out.Kind = StepWait
	}
	return out
}

// fault plans the changes of one fault. Those of later rounds are the same.
func (p *planner) fault(s Step, out *PlannedStep) {
	f := s.Fault
	out.Fault, out.On, out.For = f.Fault, f.On, f.For.Seconds()
	if f.For > 0 {
		out.OnRestart = f.OnRestart
	}
	g := p.groups[f.On]
	for _, t := range g.Chosen {
		out.Targets = append(out.Targets, t.Name())
	}
	if f.On != "" && len(g.Chosen) == 0 {
		return // the group's own error says why
	}
	changes, ok := p.planned[s.ID]
	if !ok {
		var err error
		changes, err = injectors.Plan(p.ctx, injectors.Request{
			ID: s.ID, Fault: f.Fault, Spec: f.Spec, Targets: g.Chosen, Drivers: p.drivers,
			For: f.For.D(), Secrets: p.e.Secrets, Dir: p.e.Dir(), Preview: true,
		})
		if err != nil {
			p.errs = append(p.errs, &FaultError{Step: s.ID, Fault: f.String(), Err: err})
		}
		p.planned[s.ID] = changes
	}
	for _, c := range changes {
		if out.Round > 0 {
			c.ID = fmt.Sprintf("%s#%d%s", s.ID, out.Round, c.ID[len(s.ID):])
		}
		out.Changes = append(out.Changes, c)
	}
}

// conflicts notes changes of steps in parallel that claim the same resource.
func (p *planner) conflicts(parallel PlannedStep) {
	holder := map[string]PlannedStep{}
	for _, s := range parallel.Steps {
		for _, c := range s.Changes {
			if first, held := holder[c.Resource]; held && first.ID != s.ID {
				p.errs = append(p.errs, &FaultError{Step: s.ID, Fault: s.Text, Err: fmt.Errorf(
					"%w: step %s, %s, holds %s already; write them one after another", ErrConflict, first.ID, first.Text, c.Target,
				)})
				continue
			}
			holder[c.Resource] = s
		}
	}
}

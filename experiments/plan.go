package experiments

import (
	"context"
	"errors"

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

// Resolve makes the plan of e: it finds and chooses the targets and plans every
// fault. It only reads.
func Resolve(ctx context.Context, e *Experiment, drivers injectors.Drivers, seed uint64) (*Plan, error) {
	return nil, errors.New("not yet")
}

// Group is a target group with the targets that were chosen for a run.
type Group struct {
	Target
	Candidates []targets.Target // all that match, sorted by name
	Chosen     []targets.Target // what the seed took, sorted by name
}

// Declare returns drivers with those that have a section in the file replaced by
// the worlds that the sections declare, and these worlds by name. Nothing is started.
func (e *Experiment) Declare(drivers injectors.Drivers) (injectors.Drivers, map[string]targets.World, error) {
	return nil, nil, errors.New("not yet")
}

// Choose finds the targets of every group and chooses as pick and the seed say.
func (e *Experiment) Choose(ctx context.Context, drivers injectors.Drivers, seed uint64) ([]Group, error) {
	return nil, errors.New("not yet")
}

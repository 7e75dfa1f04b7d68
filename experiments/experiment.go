package experiments

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/squall-chaos/squall/experiments/probes"
	"github.com/squall-chaos/squall/experiments/secrets"
	"github.com/squall-chaos/squall/experiments/units"
	"github.com/squall-chaos/squall/experiments/verifier"
	"github.com/squall-chaos/squall/injectors"
	"github.com/squall-chaos/squall/targets"
)

// Experiment is one document of an experiment file, decoded and checked. It
// holds no value of a secret: where the file refers to one, ${name} stays.
type Experiment struct {
	File        string // path as it was found
	Document    int    // index within the file, from 0, without empty documents
	Source      []byte // the file's whole text
	Title       string
	Description string
	Tags        []string
	Seed        *uint64 // nil: the run draws one
	Variables   map[string]string
	Secrets     map[string]secrets.Ref
	Sections    map[string]targets.Section // drivers' own sections by the driver's name; ${lab} and secrets are left in them
	Targets     []Target                   // in the file's order, as all lists
	Probes      []Probe
	Hypothesis  []Hypothesis
	Guards      []Guard
	Timing      Timing
	Limits      Limits
	Method      []Step
}

// Dir is the directory of the file, to which relative paths in it belong.
func (e *Experiment) Dir() string { return filepath.Dir(e.File) }

// Target is a group of targets that the file gives a name.
type Target struct {
	Name     string
	Driver   string
	Selector targets.Selector
	Pick     Pick
	HasPick  bool // the file says how many
}

// Target returns the group of that name.
func (e *Experiment) Target(name string) (Target, bool) {
	for _, t := range e.Targets {
		if t.Name == name {
			return t, true
		}
	}
	return Target{}, false
}

// Probe is a probe that the file gives a name.
type Probe struct {
	Name  string
	Kind  string
	Probe probes.Probe // as the file says, with ${secret} left in; never read with it, see Instance
	Rate  units.Rate   // readings in time; as written, or 10/s, or 1/s for kinds that look at state or run a command
	From  string       // name of the target group, or of the driver section, whose network it starts from; empty: not said

	fresh func(values map[string]string) (probes.Probe, error)
}

// Instance returns a new probe with the values of secrets filled in. It fails
// when a value is missing or makes the probe invalid.
func (p Probe) Instance(values map[string]string) (probes.Probe, error) { return p.fresh(values) }

// Probe returns the probe of that name.
func (e *Experiment) Probe(name string) (Probe, bool) {
	for _, p := range e.Probes {
		if p.Name == name {
			return p, true
		}
	}
	return Probe{}, false
}

// Hypothesis is what is claimed of one probe.
type Hypothesis struct {
	Probe       string
	Steady      []verifier.Claim // hold in the baseline and again after recovery; never relative to the baseline
	During      []verifier.Claim // hold from the first fault to the end of the method
	HasRecovery bool
	Recovery    verifier.Claim // how soon after the last fault Steady holds again
}

// Guard is a claim that aborts the run once it is broken. Its Over is never 0.
type Guard struct {
	Probe string
	Claim verifier.Claim
}

// Timing is how long the run measures before and after the method.
type Timing struct {
	Baseline units.Duration `yaml:"baseline,omitempty" jsonschema_description:"before anything is disturbed; default 10s, or what steady needs, up to 1m"`
	Recovery units.Duration `yaml:"recovery,omitempty" jsonschema_description:"at most, after the last fault, until steady again; default 30s, or the longest recovery that is claimed"`
}

// Limits bound what a run may do.
type Limits struct {
	Duration units.Duration `yaml:"duration,omitempty" jsonschema_description:"of baseline, method and recovery together; default 1h"`
	Targets  int            `yaml:"targets,omitempty" jsonschema_description:"how many different targets may be chosen; 0: as many as pick says"`
}

// Step is one entry of the method. Exactly one of the fields below Line is set.
type Step struct {
	ID       string // position, such as "1", or "3.2" for the second step inside the third
	Line     int    // in the file
	Fault    *FaultStep
	Wait     units.Duration
	Check    []Check
	Parallel []Step
	Repeat   *Repeat
	Confirm  string // the question
}

// String is the step as a person would say it.
func (s Step) String() string {
	switch {
	case s.Fault != nil && s.Fault.Name != "":
		return s.Fault.Name + ": " + s.Fault.String()
	case s.Fault != nil:
		return s.Fault.String()
	case s.Parallel != nil:
		return "in parallel"
	case s.Repeat != nil && s.Repeat.Every > 0:
		return fmt.Sprintf("repeat %d times, every %s", s.Repeat.Times, s.Repeat.Every)
	case s.Repeat != nil:
		return fmt.Sprintf("repeat %d times", s.Repeat.Times)
	case s.Confirm != "":
		return "ask: " + s.Confirm
	case s.Check != nil:
		var claims []string
		for _, c := range s.Check {
			for _, claim := range c.Claims {
				claims = append(claims, c.Probe+" "+claim.String())
			}
		}
		return "check " + strings.Join(claims, ", ")
	}
	return "wait " + s.Wait.String()
}

// FaultStep is one fault of the method.
type FaultStep struct {
	Fault     string // kind
	Name      string // what people call it; may be empty
	On        string // name of the target group; empty for kinds that need none
	For       units.Duration
	OnRestart string // OnRestartEnd, OnRestartReapply or OnRestartFail
	Spec      injectors.Spec
}

// What happens when a target restarts under a fault.
const (
	OnRestartEnd     = "end"     // the fault has ended
	OnRestartReapply = "reapply" // it is injected again
	OnRestartFail    = "fail"    // the run is inconclusive
)

// String is the fault and its parameters in one line.
func (f *FaultStep) String() string {
	s := f.Fault
	if p := f.Spec.String(); p != "" {
		s += " " + p
	}
	if f.On != "" {
		s += " on " + f.On
	}
	if f.For > 0 {
		s += " for " + f.For.String()
	}
	return s
}

// Check asserts claims of one probe now, each over its own trailing window.
type Check struct {
	Probe  string
	Claims []verifier.Claim
}

// Repeat runs steps several times.
type Repeat struct {
	Times int            // at least 1
	Every units.Duration // from the start of one round to the start of the next; 0: back to back
	Steps []Step
}

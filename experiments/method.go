package experiments

import (
	"fmt"
	"strings"

	"github.com/squall-chaos/squall/experiments/units"
	"github.com/squall-chaos/squall/injectors"
)

// stepEntry is one step as the file writes it.
type stepEntry struct {
	node     *node
	key      string // what kind of step it is; empty if it could not be told
	Fault    *faultEntry
	Wait     units.Duration
	Check    table[claims]
	Parallel []stepEntry
	Repeat   *repeatEntry
	Confirm  string
}

// faultKeys are what all faults have.
type faultKeys struct {
	Fault     string          `yaml:"fault" jsonschema:"required" jsonschema_description:"the kind"`
	Name      string          `yaml:"name,omitempty" jsonschema_description:"what people call it"`
	On        string          `yaml:"on,omitempty" jsonschema_description:"the target group"`
	For       *units.Duration `yaml:"for,omitempty" jsonschema_description:"after which it is undone"`
	OnRestart string          `yaml:"on_restart,omitempty" jsonschema:"enum=end,enum=reapply,enum=fail" jsonschema_description:"when a target restarts under it: end it, inject it again, or fail, which makes the run inconclusive; default fail"`
}

type faultEntry struct {
	faultKeys
	kind injectors.Kind
	spec injectors.Spec // nil if it could not be decoded
}

type repeatEntry struct {
	Times *int           `yaml:"times" jsonschema:"required,minimum=1" jsonschema_description:"how many rounds"`
	Every units.Duration `yaml:"every,omitempty" jsonschema_description:"from the start of one round to the start of the next; default: back to back"`
	Steps []stepEntry    `yaml:"steps" jsonschema:"required,minItems=1" jsonschema_description:"of one round"`
}

// times is how many rounds there are; none if that could not be read.
func (r *repeatEntry) times() int {
	if r.Times == nil {
		return 0
	}
	return *r.Times
}

// stepKeys tell the kinds of steps apart.
var stepKeys = []string{StepFault, StepWait, StepCheck, StepParallel, StepRepeat, StepConfirm}

func (s *stepEntry) decode(d *decoder, n *node) {
	s.node = n
	if n.kind != mapping {
		d.suggestStep(n)
		return
	}
	for _, k := range stepKeys {
		if n.child(k) == nil || s.key == StepFault && k == StepCheck { // check is a parameter of exec, too
			continue
		}
		if s.key != "" {
			d.fail(n.keyNode(k), "a step does one thing: this one is a %s already; write two steps, or parallel", s.key)
			return
		}
		s.key = k
	}
	switch s.key {
	case "":
		d.suggestStep(n)
	case StepFault:
		s.Fault = &faultEntry{}
		s.Fault.decode(d, n)
	default:
		failed := d.failed(func() { d.object(n, "a "+s.key+" step", []any{s.only()}, nil) })
		if r := s.Repeat; r != nil && r.Times != nil && *r.Times < 1 {
			d.fail(n.at(s.key, "times"), "times must be at least 1")
		}
		if !failed {
			s.check(d)
		}
	}
}

// The steps that have one key. Each is a struct of its own, so that a key of
// another kind of step is unknown in it.
type (
	waitStep struct {
		Wait *units.Duration `yaml:"wait" jsonschema:"required" jsonschema_description:"how long nothing new happens"`
	}
	checkStep struct {
		Check *table[claims] `yaml:"check" jsonschema:"required" jsonschema_description:"what must hold now, by the probe's name"`
	}
	parallelStep struct {
		Parallel *[]stepEntry `yaml:"parallel" jsonschema:"required,minItems=1" jsonschema_description:"steps that start together"`
	}
	repeatStep struct {
		Repeat **repeatEntry `yaml:"repeat" jsonschema:"required" jsonschema_description:"steps that run several times"`
	}
	confirmStep struct {
		Confirm *string `yaml:"confirm" jsonschema:"required" jsonschema_description:"a question that a person must answer with yes"`
	}
)

// only is a struct with the one key of the step, which fills the step in.
func (s *stepEntry) only() any {
	switch s.key {
	case StepWait:
		return &waitStep{&s.Wait}
	case StepCheck:
		return &checkStep{&s.Check}
	case StepParallel:
		return &parallelStep{&s.Parallel}
	case StepRepeat:
		return &repeatStep{&s.Repeat}
	default:
		return &confirmStep{&s.Confirm}
	}
}

// check looks for what is wrong with a step by itself.
func (s *stepEntry) check(d *decoder) {
	at := s.node.at(s.key)
	switch {
	case s.key == StepWait && s.Wait == 0:
		d.fail(at, "wait must be more than zero")
	case s.key == StepParallel && len(s.Parallel) == 0, s.key == StepCheck && len(s.Check) == 0:
		d.fail(at, "%s is empty", s.key)
	case s.key == StepConfirm && strings.TrimSpace(s.Confirm) == "":
		d.fail(at, "confirm needs a question")
	case s.key == StepRepeat && len(s.Repeat.Steps) == 0:
		d.fail(at.at("steps"), "steps is empty: name at least one step to repeat")
	}
}

func (d *decoder) suggestStep(n *node) {
	at, near := n, ""
	for _, e := range n.entries {
		if c := nearest(e.key.text, stepKeys); c != "" {
			at, near = e.key, c
			break
		}
	}
	if n.kind == scalar {
		near = nearest(n.text, stepKeys)
	}
	d.suggest(at, near, "a step is one of %s; got %s", strings.Join(stepKeys, ", "), stepGot(n, at))
}

func stepGot(n, at *node) string {
	if n.kind == mapping && at != n {
		return fmt.Sprintf("the key %q", shorten(at.text))
	}
	return n.gotEmpty()
}

func (f *faultEntry) decode(d *decoder, n *node) {
	at := n.at(StepFault)
	kind, known := injectors.KindOf(at.text)
	if at.kind != scalar || !known {
		d.unknownFault(at)
		return
	}
	f.kind = kind
	// Parameters may name secrets, which are filled in only when they are used.
	hidden := *d
	hidden.expander.hidden, hidden.expander.again = true, true
	spec := kind.New()
	if hidden.failed(func() { hidden.object(n, "fault "+kind.Name, []any{&f.faultKeys, spec}, nil) }) {
		d.validatePart(n, spec, kind.Name)
		f.checkFor(d, n)
		return
	}
	f.spec = spec
	d.validate(n, spec, kind.Name)
	f.checkFor(d, n)
}

func (d *decoder) unknownFault(n *node) {
	var names []string
	for _, k := range injectors.Kinds() {
		names = append(names, k.Name)
	}
	if n.kind != scalar {
		d.fail(n, "fault: want the kind of fault, got %s: write for example fault: %s", n.got(), names[0])
		return
	}
	near := nearest(n.text, names)
	message := fmt.Sprintf("unknown fault %q", shorten(n.text))
	if near == "" {
		message += ": known are " + strings.Join(names, ", ")
	}
	d.suggest(n, near, "%s", message)
}

// checkFor holds the keys that all faults have against what the kind allows.
func (f *faultEntry) checkFor(d *decoder, n *node) {
	name := f.kind.Name
	written := n.child("for") != nil
	switch {
	case !written && f.kind.For == injectors.ForRequired:
		d.fail(n, "%s needs for:, the time after which it is undone, such as for: 15s", name)
	case written && f.kind.For == injectors.ForForbidden:
		d.fail(n.keyNode("for"), "%s has nothing to undo: leave for: out", name)
	case f.For != nil && *f.For == 0:
		d.fail(n.at("for"), "for must be more than zero")
	}
	if !written && f.OnRestart != "" && f.kind.For != injectors.ForRequired {
		d.fail(n.keyNode("on_restart"), "on_restart needs for:, while which the fault is in force")
	}
	if f.On == "" && !f.kind.NoOn && (n.child("on") == nil || n.at("on").null()) {
		d.fail(n, "%s needs on:, the name of a target group", name)
	}
}

// step is the checked form of s.
func (s *stepEntry) step(id string) Step {
	out := Step{ID: id, Line: s.node.line, Wait: s.Wait, Confirm: s.Confirm}
	for _, row := range s.Check {
		out.Check = append(out.Check, Check{Probe: row.name, Claims: row.value.plain()})
	}
	if f := s.Fault; f != nil {
		out.Fault = &FaultStep{Fault: f.Fault, Name: f.Name, On: f.On, OnRestart: OnRestartFail, Spec: f.spec}
		if f.For != nil {
			out.Fault.For = *f.For
		}
		if f.OnRestart != "" {
			out.Fault.OnRestart = f.OnRestart
		}
	}
	if s.Parallel != nil {
		out.Parallel = steps(s.Parallel, id+".")
	}
	if s.Repeat != nil {
		out.Repeat = &Repeat{Times: s.Repeat.times(), Every: s.Repeat.Every, Steps: steps(s.Repeat.Steps, id+".")}
	}
	return out
}

func steps(list []stepEntry, prefix string) []Step {
	out := make([]Step, len(list))
	for i := range list {
		out[i] = list[i].step(fmt.Sprintf("%s%d", prefix, i+1))
	}
	return out
}

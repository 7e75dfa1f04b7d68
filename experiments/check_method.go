package experiments

import (
	"slices"
	"time"

	"github.com/squall-chaos/squall/experiments/units"
)

// checkMethod looks at the steps together with the names they use.
func (x *draft) checkMethod() {
	n := x.root.child("method")
	if n == nil {
		return
	}
	if n.kind == sequence && !hasFault(x.Method) && !unclear(x.Method) {
		x.d.fail(n, "the method injects no fault: nothing could be shown by it")
	}
	x.checkSteps(x.Method, "")
	if count := countSteps(x.Method); count > maxSteps {
		x.d.fail(n, "the method has more than %d steps with its repeats written out", maxSteps)
	}
}

func hasFault(list []stepEntry) bool {
	return slices.ContainsFunc(list, func(s stepEntry) bool {
		return s.Fault != nil || hasFault(s.Parallel) || (s.Repeat != nil && hasFault(s.Repeat.Steps))
	})
}

// unclear reports whether there are steps that could not be read.
func unclear(list []stepEntry) bool {
	return slices.ContainsFunc(list, func(s stepEntry) bool {
		return s.key == "" || unclear(s.Parallel) || (s.Repeat != nil && unclear(s.Repeat.Steps)) || (s.key == StepRepeat && s.Repeat == nil)
	})
}

// countSteps is how many steps run, at most a little more than maxSteps.
func countSteps(list []stepEntry) int {
	n := 0
	for _, s := range list {
		n += 1 + countSteps(s.Parallel)
		if s.Repeat != nil {
			n += min(s.Repeat.times(), maxSteps+1) * countSteps(s.Repeat.Steps)
		}
		n = min(n, maxSteps+1)
	}
	return n
}

// checkSteps checks steps inside a step of kind within, which is empty for the
// method itself.
func (x *draft) checkSteps(list []stepEntry, within string) {
	for i := range list {
		s := &list[i]
		switch {
		case within == StepParallel && (s.key == StepParallel || s.key == StepRepeat || s.key == StepConfirm):
			x.d.fail(s.node.keyNode(s.key), "a parallel step holds faults, waits and checks: %s cannot stand inside it", s.key)
			continue
		case within == StepRepeat && s.key == StepRepeat:
			x.d.fail(s.node.keyNode(s.key), "a repeat cannot stand inside a repeat: write out one of them")
			continue
		}
		x.checkStep(s)
	}
}

func (x *draft) checkStep(s *stepEntry) {
	if s.Fault != nil {
		x.known(s.node.at("on"), "target", s.Fault.On, x.Targets.names())
	}
	for _, c := range s.Check {
		x.known(c.key, "probe", c.name, x.Probes.names())
		x.checkJudgeable(c.name, c.value)
	}
	if s.Parallel != nil {
		x.checkSteps(s.Parallel, StepParallel)
		x.checkTwice(s.Parallel)
	}
	if r := s.Repeat; r != nil {
		x.checkSteps(r.Steps, StepRepeat)
		if round := lengthOf(steps(r.Steps, "")); r.Every > 0 && round > r.Every.D() && r.times() > 1 {
			x.d.fail(s.node.at("repeat", "every"), "one round takes %s, longer than every %s", units.Duration(round), r.Every)
		}
	}
}

// checkTwice refuses two faults of one kind on one group at one time: undoing
// one would undo the other.
func (x *draft) checkTwice(list []stepEntry) {
	for i, s := range list {
		if s.Fault == nil || s.Fault.On == "" {
			continue
		}
		same := slices.IndexFunc(list[:i], func(o stepEntry) bool {
			return o.Fault != nil && o.Fault.Fault == s.Fault.Fault && o.Fault.On == s.Fault.On
		})
		if same >= 0 {
			x.d.fail(s.node.at("fault"), "%s on %s runs in parallel with itself: it stands on line %d already", s.Fault.Fault, s.Fault.On, list[same].node.line)
		}
	}
}

// lengthOf is how long steps take one after another, as planned. Repeats count
// whole; a question takes no time.
func lengthOf(list []Step) time.Duration {
	var total time.Duration
	for _, s := range list {
		total = plus(total, s.length())
	}
	return total
}

// forever is longer than every limit; sums stop there instead of overflowing.
const forever = 1000 * 24 * time.Hour

func plus(a, b time.Duration) time.Duration { return min(a, forever) + min(b, forever) }

func (s Step) length() time.Duration {
	switch {
	case s.Fault != nil:
		return s.Fault.For.D()
	case s.Repeat != nil:
		return s.Repeat.length()
	}
	longest := s.Wait.D()
	for _, p := range s.Parallel {
		longest = max(longest, p.length())
	}
	return longest
}

func (r *Repeat) length() time.Duration {
	round := lengthOf(r.Steps)
	if r.Times < 1 {
		return 0
	}
	start := max(round, r.Every.D())
	if start > forever/time.Duration(r.Times) {
		return forever
	}
	return start*time.Duration(r.Times-1) + round
}

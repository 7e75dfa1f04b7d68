package experiments

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/squall-chaos/squall/experiments/probes"
	"github.com/squall-chaos/squall/experiments/units"
	"github.com/squall-chaos/squall/experiments/verifier"
	"github.com/squall-chaos/squall/targets"
)

// What a file gets that does not say otherwise.
var (
	defaultRate     = units.Rate{N: 10, Per: time.Second}
	slowRate        = units.Rate{N: 1, Per: time.Second} // of probes that start a command or ask an engine
	defaultBaseline = units.Duration(10 * time.Second)
	defaultRecovery = units.Duration(30 * time.Second)
	defaultLimit    = units.Duration(time.Hour)
)

// longestDefault bounds how far the default baseline grows with what steady
// needs.
const longestDefault = time.Minute

// maxSteps bounds a method with its repeats written out.
const maxSteps = 10_000

// check looks for what is wrong between the parts of a document, and fills in
// defaults.
func (x *draft) check() {
	if x.root.child("title") != nil && x.root.at("title").kind == scalar && strings.TrimSpace(x.root.at("title").text) == "" {
		x.d.fail(x.root.at("title"), "title is empty")
	}
	x.checkTargets()
	x.checkProbes()
	x.checkHypothesis()
	x.checkGuards()
	x.checkTiming()
	x.checkMethod()
	x.checkLimits()
}

// known notes a name that is not there.
func (x *draft) known(n *node, what, name string, names []string) {
	if name == "" || slices.Contains(names, name) {
		return
	}
	near := nearest(name, names)
	message := fmt.Sprintf("unknown %s %q", what, shorten(name))
	switch {
	case len(names) == 0:
		message += ": the file declares none"
	case near == "":
		message += ": known are " + strings.Join(names, ", ")
	}
	x.d.suggest(n, near, "%s", message)
}

func (x *draft) checkTargets() {
	for _, t := range x.Targets {
		if _, ok := x.sections[t.name]; ok {
			x.d.fail(t.key, "%q is the name of a section of this file: call the group something else", t.name)
		}
		i := slices.IndexFunc(x.d.drivers, func(d targets.Driver) bool { return d.Name() == t.value.driver })
		if i < 0 {
			continue
		}
		if _, sectioned := x.d.drivers[i].(targets.Sectioned); sectioned && x.sections[t.value.driver] == nil {
			x.d.fail(t.node.keyNode(t.value.driver), "the file has no %s: section that declares what could be selected here", t.value.driver)
		}
	}
}

func (x *draft) checkProbes() {
	origins := x.Targets.names()
	for name := range x.sections {
		origins = append(origins, name)
	}
	slices.Sort(origins)
	for i := range x.Probes {
		p := &x.Probes[i]
		if p.value.probe == nil {
			continue
		}
		x.known(p.node.at("from"), "target", p.value.from, origins)
		if w, ok := p.value.probe.(probes.Watcher); ok {
			for _, name := range w.Targets() {
				x.known(p.value.node.find(name), "target", name, x.Targets.names())
			}
		}
		if p.value.rate == nil {
			rate := defaultRate
			if !dials(p.value.kind) {
				rate = slowRate
			}
			p.value.rate = &rate
		}
	}
	if n := x.root.child("probes"); n != nil && n.kind == mapping && len(n.entries) == 0 {
		x.d.fail(n, "probes is empty: without a probe nothing is measured")
	}
}

func (x *draft) checkHypothesis() {
	n := x.root.child("hypothesis")
	if n != nil && n.kind == mapping && len(n.entries) == 0 {
		x.d.fail(n, "hypothesis is empty: without a claim nothing could hold")
	}
	for _, h := range x.Hypothesis {
		x.known(h.key, "probe", h.name, x.Probes.names())
		for _, c := range h.value.Steady {
			if c.Relative() {
				x.d.fail(c.node, "%s: steady is judged in the baseline itself, so it cannot be a multiple of it: write a bound with a unit", c.Metric)
			}
		}
		x.checkJudgeable(h.name, h.value.Steady)
		x.checkJudgeable(h.name, h.value.During)
	}
}

func (x *draft) checkGuards() {
	for i := range x.Guards {
		g := &x.Guards[i]
		x.known(g.key, "probe", g.name, x.Probes.names())
		for j := range g.value {
			c := &g.value[j]
			rate, known := x.rateOf(g.name)
			if c.Over == 0 {
				c.Over = c.Trailing()
				if known {
					c.Over = c.TrailingAt(rate)
				}
			}
		}
		x.checkJudgeable(g.name, g.value)
	}
}

// rateOf is the rate of a probe that is known.
func (x *draft) rateOf(probe string) (units.Rate, bool) {
	i := slices.Index(x.Probes.names(), probe)
	if i < 0 || x.Probes[i].value.rate == nil {
		return units.Rate{}, false
	}
	return *x.Probes[i].value.rate, true
}

// checkJudgeable refuses claims that readings at the probe's rate could never hold
// or break.
func (x *draft) checkJudgeable(probe string, list claims) {
	rate, ok := x.rateOf(probe)
	if !ok {
		return
	}
	for _, c := range list {
		if err := c.Judgeable(rate); err != nil {
			x.d.fail(c.node, "%v", err)
		}
	}
}

func (x *draft) checkTiming() {
	n := x.root.child("timing")
	if n.child("baseline") == nil {
		x.Timing.Baseline = max(defaultBaseline, units.Duration(min(longestDefault, x.steadyNeeds())))
	} else if x.Timing.Baseline == 0 && n.at("baseline").kind == scalar {
		x.zero(n.at("baseline"), "baseline")
	}
	longest := time.Duration(0)
	for _, h := range x.Hypothesis {
		if h.value.Recovery.set {
			longest = max(longest, claimed(h.value.Recovery.claim))
		}
	}
	if n.child("recovery") == nil {
		x.Timing.Recovery = max(defaultRecovery, units.Duration(longest))
	} else if x.Timing.Recovery == 0 && n.at("recovery").kind == scalar {
		x.zero(n.at("recovery"), "recovery")
	}
	x.checkWindows()
}

// zero refuses a duration of nothing; one that could not be read is noted
// already.
func (x *draft) zero(n *node, name string) {
	if s, ok := x.d.expander.expand(n.text); ok == nil && units.Duration(0) == x.asDuration(s) {
		x.d.fail(n, "%s must be more than zero", name)
	}
}

func (x *draft) asDuration(s string) units.Duration {
	d := units.Duration(-1)
	_ = d.UnmarshalText([]byte(s)) // stays below zero when it is no duration
	return d
}

// claimed is the time that a recovery claim allows.
func claimed(c verifier.Claim) time.Duration {
	return time.Duration(c.Bound.Value * float64(time.Second))
}

// checkWindows refuses what is claimed of less time than it takes to measure
// it: a run could only ever be inconclusive.
func (x *draft) checkWindows() {
	for _, h := range x.Hypothesis {
		if h.value.Recovery.set && claimed(h.value.Recovery.claim) > x.Timing.Recovery.D() && x.Timing.Recovery > 0 {
			x.d.fail(h.node.at("recovery"), "recovery: %s cannot be seen in the %s that timing.recovery waits: raise timing.recovery",
				h.value.Recovery.claim.Wanted(), x.Timing.Recovery)
		}
	}
	x.eachSteady(func(c claim, rate units.Rate, need time.Duration) {
		if need > x.Timing.Baseline.D() && x.Timing.Baseline > 0 {
			x.d.fail(c.node, "%s %s takes %s to judge at %s, and timing.baseline is %s: raise timing.baseline or the probe's rate",
				c.Metric, c.Wanted(), units.Duration(need), rate, x.Timing.Baseline)
		}
	})
}

// steadyNeeds is how long the baseline must be for every claim to be judged.
func (x *draft) steadyNeeds() time.Duration {
	longest := time.Duration(0)
	x.eachSteady(func(_ claim, _ units.Rate, need time.Duration) { longest = max(longest, need) })
	return longest
}

// eachSteady calls one for every claim of steady on a probe that is known.
func (x *draft) eachSteady(one func(c claim, rate units.Rate, need time.Duration)) {
	for _, h := range x.Hypothesis {
		rate, ok := x.rateOf(h.name)
		if !ok {
			continue
		}
		for _, c := range h.value.Steady {
			if !c.Relative() {
				one(c, rate, upTo(verifier.SteadyWindow([]verifier.Claim{c.Claim}, rate), time.Second))
			}
		}
	}
}

func upTo(d, step time.Duration) time.Duration {
	return time.Duration(math.Ceil(float64(d)/float64(step))) * step
}

func (x *draft) checkLimits() {
	n := x.root.child("limits")
	if n.child("targets") != nil && x.Limits.Targets < 1 && n.at("targets").plain {
		x.d.fail(n.at("targets"), "targets must be at least 1: leave it out for no limit")
	}
	for _, t := range x.Targets {
		if p := t.value.pick; p != nil && x.Limits.Targets > 0 && p.Count > x.Limits.Targets {
			x.d.fail(t.node.at("pick"), "pick %d is more than limits.targets allows, which is %d", p.Count, x.Limits.Targets)
		}
	}
	at := x.root.at("method")
	if n.child("duration") == nil {
		x.Limits.Duration = defaultLimit
	} else if at = n.at("duration"); x.Limits.Duration == 0 && at.kind == scalar {
		x.zero(at, "duration")
		return
	}
	total := x.Timing.Baseline.D() + x.Timing.Recovery.D() + lengthOf(steps(x.Method, ""))
	if x.Limits.Duration > 0 && total > x.Limits.Duration.D() {
		x.d.fail(at, "baseline, method and recovery take %s together, longer than limits.duration, which is %s",
			units.Duration(total), x.Limits.Duration)
	}
}

// experiment is the checked document.
func (x *draft) experiment(values map[string]string) *Experiment {
	e := &Experiment{
		Title: x.Title, Description: x.Description, Tags: x.Tags, Seed: x.Seed,
		Variables: values, Secrets: x.Secrets, Sections: x.sections,
		Timing: x.Timing, Limits: x.Limits, Method: steps(x.Method, ""),
	}
	for _, t := range x.Targets {
		out := Target{Name: t.name, Driver: t.value.driver, Selector: t.value.selector}
		if t.value.pick != nil {
			out.Pick, out.HasPick = *t.value.pick, true
		}
		e.Targets = append(e.Targets, out)
	}
	for _, p := range x.Probes {
		e.Probes = append(e.Probes, Probe{
			Name: p.name, Kind: p.value.kind, Probe: p.value.probe, Rate: *p.value.rate, From: p.value.from, fresh: p.value.fresh,
		})
	}
	for _, h := range x.Hypothesis {
		e.Hypothesis = append(e.Hypothesis, Hypothesis{
			Probe: h.name, Steady: h.value.Steady.plain(), During: h.value.During.plain(),
			HasRecovery: h.value.Recovery.set, Recovery: h.value.Recovery.claim,
		})
	}
	for _, g := range x.Guards {
		for _, c := range g.value {
			e.Guards = append(e.Guards, Guard{Probe: g.name, Claim: c.Claim})
		}
	}
	return e
}

package verifier

import (
	"fmt"
	"slices"
	"time"

	"github.com/squall-chaos/squall/experiments/units"
	"github.com/squall-chaos/squall/reports"
)

// Subject is one probe with what its steady state is.
type Subject struct {
	Probe    string
	Series   *Series
	Claims   []Claim // the steady state
	Baseline *Window // nil while there is none
}

// baselineFor is what relative claims are compared with in [from, to): the
// window itself while there is no baseline, so that the gate asks of them only
// that they were measured well enough to be compared with later.
func (s Subject) baselineFor(from, to time.Duration) *Window {
	if s.Baseline != nil {
		return s.Baseline
	}
	w := s.Series.Window(from, to)
	return &w
}

// judge judges all claims in [from, to).
func (s Subject) judge(from, to time.Duration) []Judgement {
	js := make([]Judgement, 0, len(s.Claims))
	base := s.baselineFor(from, to)
	for _, c := range s.Claims {
		js = append(js, Judge(c, s.Series.Window(from, to), base))
	}
	return js
}

// steady reports whether there are claims and all are held in [from, to).
func (s Subject) steady(from, to time.Duration) bool {
	js := s.judge(from, to)
	return len(js) > 0 && !slices.ContainsFunc(js, func(j Judgement) bool { return !j.Held() })
}

// Need is how long a window must be to say whether s is steady.
func (s Subject) Need() time.Duration { return SteadyWindow(s.Claims, s.Series.Rate()) }

// SteadyNow reports whether all subjects were steady in the window, as long as
// each needs it, that ends at settled: the offset before which all samples have
// come in, the least of all Sampler.Settled. It never looks before since.
func SteadyNow(subjects []Subject, since, settled time.Duration) bool {
	for _, s := range subjects {
		from := settled - s.Need()
		if from < since || !s.steady(from, settled) {
			return false
		}
	}
	return true
}

// Steady judges every claim of every subject in [from, to) and reports whether
// all are held; without any claim nothing is steady. phase goes into the checks.
func Steady(subjects []Subject, phase string, from, to time.Duration) (checks []reports.Check, steady bool) {
	steady = true
	for _, s := range subjects {
		for i, j := range s.judge(from, to) {
			checks = append(checks, j.Check(s.Probe, phase, s.Claims[i]))
			steady = steady && j.Held()
		}
	}
	return checks, steady && len(checks) > 0
}

// Recovery is when a subject was steady again.
type Recovery struct {
	Status string        // held: steady from At on; broken: not until the end; unknown: it cannot be told
	At     time.Duration // offset; only if held
	Reason string        // why not
}

// mostCandidates bounds the work of Recovered. Where readings turn good and bad
// more often than that, its answer is exact to this part of the time it looks at.
const mostCandidates = 500

// Recovered finds the earliest offset in [from, to) from which on s is steady:
// all claims hold in the window that begins there and is as long as s needs, and
// in everything from there up to to.
func Recovered(s Subject, from, to time.Duration) Recovery {
	need := s.Need()
	if len(s.Claims) == 0 {
		return Recovery{Status: reports.CheckUnknown, Reason: "no steady state is claimed"}
	}
	if to-from < need {
		return Recovery{
			Status: reports.CheckUnknown,
			Reason: fmt.Sprintf("only %s were left to look at, and %s are needed: lengthen timing.recovery",
				units.Duration(max(to-from, 0).Round(time.Millisecond)), units.Duration(need)),
		}
	}
	for _, t := range s.candidates(from, to-need) {
		if s.steady(t, t+need) && s.steady(t, to) {
			return Recovery{Status: reports.CheckHeld, At: t}
		}
	}
	r := Recovery{Status: reports.CheckUnknown}
	for i, j := range s.judge(to-need, to) {
		if j.Broken() {
			return Recovery{Status: reports.CheckBroken, Reason: fmt.Sprintf("%s was still %s", s.Claims[i].Metric, j.Got)}
		}
		if j.Reason != "" {
			r.Reason = j.Reason
		}
	}
	return r
}

// candidates are the offsets in [from, last] at which a steady time can begin:
// from itself, and wherever a reading that goes against a claim is followed by
// one that does not. To begin anywhere else would only leave good readings out.
func (s Subject) candidates(from, last time.Duration) []time.Duration {
	ts := []time.Duration{from}
	against := s.against(from, last)
	was := false
	s.Series.Window(from, last+1).each(func(r record) bool {
		if r.has(unmeasured) {
			return true
		}
		is := against(r)
		if was && !is {
			ts = append(ts, r.at)
		}
		was = is
		return true
	})
	if ts[len(ts)-1] != last {
		ts = append(ts, last)
	}
	if n := len(ts); n > mostCandidates {
		thin := make([]time.Duration, 0, mostCandidates+1)
		for i := range mostCandidates {
			thin = append(thin, ts[i*n/mostCandidates])
		}
		ts = append(thin, last)
	}
	return ts
}

// against returns what tells readings that speak against a claim: those that
// failed, that took longer than a claim on latency allows, and whose value is
// out of bounds.
func (s Subject) against(from, to time.Duration) func(record) bool {
	type bound struct {
		claim Claim
		limit float64
	}
	var latencies, values []bound
	base := s.baselineFor(from, to)
	for _, c := range s.Claims {
		m, _ := metricOf(c.Metric)
		limit, reason := c.limit(m, base)
		switch {
		case reason != "":
		case m.value != nil:
			values = append(values, bound{c, limit})
		case m.permille > 0 || m.name == "max":
			latencies = append(latencies, bound{c, limit})
		}
	}
	return func(r record) bool {
		if !r.has(good) {
			return true
		}
		for _, b := range latencies {
			if !b.claim.Op.met(r.latency.Seconds(), b.limit) {
				return true
			}
		}
		for _, b := range values {
			if r.has(number) && !b.claim.Op.met(r.value, b.limit) {
				return true
			}
		}
		return false
	}
}

// JudgeRecovery says whether s was steady again within the bound of c after
// from, when the last fault was undone, on what was measured up to to. The value
// is the time it took; for what did not recover, the time it was watched.
func JudgeRecovery(c Claim, s Subject, from, to time.Duration) Judgement {
	j := Judgement{Status: reports.CheckUnknown, Wanted: c.Wanted(), Got: nothing}
	if c.Metric != recovery.name {
		j.Reason = fmt.Sprintf("%q is not a claim on recovery", c.Metric)
		return j
	}
	j.Samples = s.Series.Window(from, to).tally().measured
	r := Recovered(s, from, to)
	switch {
	case r.Status == reports.CheckHeld:
		j.Value = (r.At - from).Seconds()
		j.Got = Seconds.show(j.Value)
		j.Status = reports.CheckBroken
		if c.Op.met(j.Value, c.Bound.Value) {
			j.Status = reports.CheckHeld
		}
	case r.Status == reports.CheckBroken && c.Op.met((to-s.Need()-from).Seconds(), c.Bound.Value):
		j.Reason = fmt.Sprintf("%s, but it was watched for %s only: lengthen timing.recovery",
			r.Reason, units.Duration((to - from).Round(time.Millisecond)))
	case r.Status == reports.CheckBroken:
		j.Status = reports.CheckBroken
		j.Value = (to - from).Seconds()
		j.Got = "not within " + Seconds.show(j.Value)
	default:
		j.Reason = r.Reason
	}
	return j
}

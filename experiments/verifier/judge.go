package verifier

import (
	"fmt"
	"math"
	"time"

	"github.com/squall-chaos/squall/experiments/units"
	"github.com/squall-chaos/squall/reports"
)

// nothing stands for what was not measured.
const nothing = "–"

// Judgement is what a window says about a claim.
type Judgement struct {
	Status  string  // reports.CheckHeld, reports.CheckBroken or reports.CheckUnknown
	Wanted  string  // the claim's right-hand side
	Got     string  // what was measured, with its unit; "–" if nothing was
	Value   float64 // Got as a number in percent, seconds, per second or as the probe reads it; 0 if nothing was measured
	Samples int     // measured readings it stands on
	Reason  string  // why it is unknown
}

// Held reports whether the claim was measured and met.
func (j Judgement) Held() bool { return j.Status == reports.CheckHeld }

// Broken reports whether the claim was measured and not met.
func (j Judgement) Broken() bool { return j.Status == reports.CheckBroken }

// Check is the judgement of c as a part of a result.
func (j Judgement) Check(probe, phase string, c Claim) reports.Check {
	return reports.Check{
		Probe: probe, Phase: phase, Metric: c.Metric, Wanted: j.Wanted, Got: j.Got,
		Value: j.Value, Samples: j.Samples, Status: j.Status, Reason: j.Reason,
	}
}

// Judge says whether c holds in w. Only relative claims need a baseline; for
// others it may be nil.
//
// A claim is unknown, whatever the readings say, when the window has too few of
// them (Claim.MinSamples), when more than a tenth of those that were due are
// missing, when a relative bound has no baseline that was measured as well as
// that, or when the baseline is zero. What is certain in spite of missing
// readings (too many failures, too long an outage, too high a maximum, too little
// success even if all that is missing were good) is broken, not unknown.
//
// While a run lasts, w should end where all that was due has come in
// (Sampler.Settled): up to now the slow readings are missing.
func Judge(c Claim, w Window, baseline *Window) Judgement {
	j := Judgement{Status: reports.CheckUnknown, Wanted: c.Wanted(), Got: nothing}
	m, ok := metricOf(c.Metric)
	switch {
	case !ok:
		j.Reason = fmt.Sprintf("%q is nothing that a window can be judged by", c.Metric)
		return j
	case c.Over > w.To-w.From:
		j.Reason = fmt.Sprintf("the %s that were measured are shorter than %s",
			units.Duration(max(w.To-w.From, 0)), units.Duration(c.Over))
		return j
	}
	limit, reason := c.limit(m, baseline)
	if reason != "" {
		j.Reason = reason
		return j
	}
	if c.Over > 0 && c.Over < w.To-w.From {
		return c.judgeSpans(m, w, limit, j)
	}
	return c.judge(m, w, limit, j)
}

// limit is the bound as an absolute number, or why there is none.
func (c Claim) limit(m metric, baseline *Window) (limit float64, reason string) {
	if !c.Bound.Relative {
		return c.Bound.Value, ""
	}
	if baseline == nil {
		return 0, "there is no baseline to compare with"
	}
	t := baseline.tally()
	for _, reason := range []string{t.uncovered(*baseline), t.shortage(c, m), t.unfit(c, m, 0)} {
		if reason != "" {
			return 0, "in the baseline: " + reason
		}
	}
	base := m.of(t)
	switch {
	case math.IsNaN(base) || math.IsInf(base, 0):
		return 0, "the baseline is not a number"
	case base == 0:
		return 0, "the baseline is 0, of which there are no multiples: give an absolute bound"
	case base < 0:
		return 0, "the baseline is negative: give an absolute bound"
	}
	return c.Bound.Value * base, ""
}

// of is the metric of what was counted; NaN if there is nothing to measure.
func (m metric) of(t tally) float64 {
	switch {
	case m.value != nil && len(t.values) == 0, t.measured == 0:
		return math.NaN()
	case m.value != nil:
		return m.value(t.values)
	default:
		return m.measure(m, t)
	}
}

// judge judges w as a whole. j comes with what is known beforehand.
func (c Claim) judge(m metric, w Window, limit float64, j Judgement) Judgement {
	t := w.tally()
	j.Samples = t.measured
	if m.value != nil {
		j.Samples = len(t.values)
	}
	v := m.of(t)
	if t.measured == 0 && t.unmeasured == 0 {
		j.Reason = "there are no readings"
		return j
	}
	if !math.IsNaN(v) && !math.IsInf(v, 0) {
		j.Value, j.Got = v, m.unit.show(v)
	}
	if c.surelyBroken(m, t, v, limit) {
		j.Status = reports.CheckBroken
		return j
	}
	for _, reason := range []string{t.uncovered(w), t.shortage(c, m), t.unfit(c, m, limit)} {
		if reason != "" {
			j.Reason = reason
			return j
		}
	}
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		j.Reason = "what was measured is not a number"
	case c.Op.met(v, limit):
		j.Status = reports.CheckHeld
	default:
		j.Status = reports.CheckBroken
	}
	return j
}

// surelyBroken reports whether no reading that is missing could save c.
func (c Claim) surelyBroken(m metric, t tally, v, limit float64) bool {
	if m.name == "success" && (c.Op == AtLeast || c.Op == Above) && t.measured >= c.MinSamples() {
		due := t.due()
		return !c.Op.met(100*float64(t.succeeded()+due-t.measured)/float64(due), limit)
	}
	if !m.certain || t.measured == 0 || (c.Op != AtMost && c.Op != Below) {
		return false
	}
	if m.name == "outage" {
		v = t.sureOutage.Seconds()
		return v > limit || (c.Op == Below && v >= limit)
	}
	return !c.Op.met(v, limit)
}

// judgeSpans judges every span of length c.Over, ten of which overlap, and
// returns the worst.
func (c Claim) judgeSpans(m metric, w Window, limit float64, j Judgement) Judgement {
	var worst *Judgement
	step := max(c.Over/10, time.Millisecond)
	for from := w.From; ; from += step {
		from = min(from, w.To-c.Over)
		next := c.judge(m, Window{series: w.series, From: from, To: from + c.Over}, limit, j)
		if worst == nil || c.worse(next, *worst) {
			worst = &next
		}
		if from == w.To-c.Over {
			return *worst
		}
	}
}

// worse reports whether a is worse for c than b: broken before unknown before
// held, then by value.
func (c Claim) worse(a, b Judgement) bool {
	rank := map[string]int{reports.CheckHeld: 0, reports.CheckUnknown: 1, reports.CheckBroken: 2}
	if rank[a.Status] != rank[b.Status] {
		return rank[a.Status] > rank[b.Status]
	}
	if c.Op == AtLeast || c.Op == Above {
		return a.Value < b.Value
	}
	return a.Value > b.Value
}

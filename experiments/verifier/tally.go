package verifier

import (
	"fmt"
	"slices"
	"time"

	"github.com/squall-chaos/squall/experiments/units"
)

// tally is what one pass over a window counts.
type tally struct {
	length     time.Duration
	interval   time.Duration // between readings that are due; 0 if unknown
	measured   int
	failed     int
	unmeasured int
	why        uint32          // detail of the last unmeasured one
	good       []time.Duration // latencies
	bad        []time.Duration
	values     []float64
	valueless  int  // good readings without a number
	notNumbers int  // readings whose number is none
	lastNumber bool // the last measured reading has a number
	outage     time.Duration
	sureOutage time.Duration // from the first to the last failed reading of the longest
	gap        time.Duration // longest time without a measured reading
}

func (t tally) succeeded() int { return t.measured - t.failed }

// tally counts the window.
func (w Window) tally() tally {
	t := tally{length: w.To - w.From, interval: w.interval()}
	down, since := false, time.Duration(0)
	seen := w.From
	w.each(func(r record) bool {
		if r.has(unmeasured) {
			t.unmeasured++
			t.why = r.detail
			return true
		}
		t.gap = max(t.gap, r.at-seen)
		seen = r.at
		t.count(r)
		switch {
		case r.has(good) && down:
			t.outage = max(t.outage, r.at-since)
			down = false
		case !r.has(good) && !down:
			down, since = true, r.at
		}
		if down {
			t.sureOutage = max(t.sureOutage, r.at-since)
		}
		return true
	})
	t.gap = max(t.gap, w.To-seen)
	if down {
		t.outage = max(t.outage, w.To-since)
	}
	return t
}

func (t *tally) count(r record) {
	t.measured++
	if r.has(good) {
		t.good = append(t.good, r.latency)
	} else {
		t.failed++
		t.bad = append(t.bad, r.latency)
	}
	t.lastNumber = r.has(number)
	switch {
	case r.has(number):
		t.values = append(t.values, r.value)
	case r.has(notNumber):
		t.notNumbers++
	case r.has(good):
		t.valueless++
	}
}

// missingShare is the share of the readings that were due in a window that may
// be missing before nothing is said of it any more.
const missingShare = 0.1

// due is how many readings were due in the window.
func (t tally) due() int {
	n := t.measured + t.unmeasured
	if t.interval > 0 {
		n = max(n, int(t.length/t.interval))
	}
	return n
}

// uncovered says why too much of the window was not measured; "" if enough was.
func (t tally) uncovered(w Window) string {
	due := t.due()
	missing := due - t.measured
	if missing <= 1 && t.measured > 0 || float64(missing) <= missingShare*float64(due) {
		return ""
	}
	why := ""
	if t.unmeasured > 0 {
		why = fmt.Sprintf(" (%d could not be measured: %s)", t.unmeasured, w.detail(t.why))
	}
	return fmt.Sprintf("only %d of the %d readings that were due were measured%s", t.measured, due, why)
}

// shortage says why there are too few readings for c; "" if there are enough.
func (t tally) shortage(c Claim, m metric) string {
	have, of := t.measured, "readings"
	switch {
	case m.value != nil:
		have, of = len(t.values), "numbers"
	case m.permille > 0:
		have, of = t.succeeded(), "good readings"
	}
	if need := c.MinSamples(); have < need {
		return fmt.Sprintf("%d %s, but this claim needs %d: measure longer or more often", have, of, need)
	}
	return ""
}

// unfit says why the readings, though many enough, are not what c is about.
func (t tally) unfit(c Claim, m metric, limit float64) string {
	switch {
	case m.value != nil && t.notNumbers > 0:
		return fmt.Sprintf("%d readings were not a number", t.notNumbers)
	case m.value != nil && t.valueless > 0:
		return fmt.Sprintf("%d good readings had no number: give the probe a value to read", t.valueless)
	case m.value != nil && float64(t.measured-len(t.values)) > missingShare*float64(t.measured):
		return fmt.Sprintf("only %d of %d readings had a number", len(t.values), t.measured)
	case (m.name == "value" || m.name == "value.last") && !t.lastNumber:
		return "the last reading had no number"
	case m.name == "outage" && t.gap > seconds(limit/2)+time.Millisecond:
		return fmt.Sprintf("up to %s between readings is too coarse for an outage of %s: measure at least every %s",
			units.Duration(t.gap), units.Duration(seconds(limit)), units.Duration(seconds(limit/2)))
	default:
		return ""
	}
}

func success(_ metric, t tally) float64 { return 100 * float64(t.succeeded()) / float64(t.measured) }

// percentile is exact, by the nearest-rank method: a bucketed histogram would
// round, and a verdict must not hang on a bucket's edge. Sorting 600,000
// latencies takes less than a tenth of a second.
func percentile(m metric, t tally) float64 {
	slices.Sort(t.good)
	p := rank(t.good, m.permille)
	if len(t.bad) > 0 {
		all := slices.Concat(t.good, t.bad)
		slices.Sort(all)
		p = max(p, rank(all, m.permille))
	}
	return p.Seconds()
}

// rank is the smallest of sorted that at least permille of them do not exceed.
func rank(sorted []time.Duration, permille int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(ceilDiv(len(sorted)*permille, 1000), 1)-1]
}

func slowest(_ metric, t tally) float64 {
	var longest time.Duration
	for _, d := range t.good {
		longest = max(longest, d)
	}
	for _, d := range t.bad {
		longest = max(longest, d)
	}
	return longest.Seconds()
}

func goodRate(_ metric, t tally) float64 { return float64(t.succeeded()) / t.length.Seconds() }
func outage(_ metric, t tally) float64   { return t.outage.Seconds() }
func failures(_ metric, t tally) float64 { return float64(t.failed) }

func last(v []float64) float64  { return v[len(v)-1] }
func least(v []float64) float64 { return slices.Min(v) }
func most(v []float64) float64  { return slices.Max(v) }

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x / float64(len(v)) // divided first, so that it cannot overflow
	}
	return sum
}

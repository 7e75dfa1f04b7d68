package verifier

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/squall-chaos/squall/experiments/units"
)

// Unit is what a metric is measured in.
type Unit int

// The units of metrics.
const (
	Number    Unit = iota // as the probe reads it, or a count
	Percent               // 0 to 100, written with its sign
	Seconds               // written as a duration
	PerSecond             // written as a rate
)

// parse reads a bound in the unit. A number without its unit is an error that
// says what to write.
func (u Unit) parse(s string) (float64, error) {
	switch u {
	case Percent:
		var p units.Percent
		err := text(&p, s)
		return float64(p), err
	case Seconds:
		var d units.Duration
		err := text(&d, s)
		return d.Seconds(), err
	case PerSecond:
		var r units.Rate
		err := text(&r, s)
		return r.PerSecond(), err
	default:
		v, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return 0, fmt.Errorf("%q is not a plain number", s)
		}
		return v, nil
	}
}

// format is v in the unit, short enough for a table.
func (u Unit) format(v float64) string {
	switch u {
	case Percent:
		return units.Percent(v).String()
	case Seconds:
		return units.Duration(seconds(v)).String()
	case PerSecond:
		return strconv.FormatFloat(v, 'f', -1, 64) + "/s"
	default:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
}

// show is v in the unit as something measured: rounded, but never so that a
// value seems to meet a bound that it does not.
func (u Unit) show(v float64) string {
	switch u {
	case Percent:
		return strconv.FormatFloat(math.Floor(v*1000)/1000, 'f', -1, 64) + "%"
	case Seconds:
		d := seconds(v)
		for _, step := range []time.Duration{time.Second, time.Millisecond} {
			if d >= step {
				return units.Duration(d.Round(step / 1000)).String()
			}
		}
		return units.Duration(d).String()
	case PerSecond:
		return strconv.FormatFloat(math.Floor(v*100)/100, 'f', -1, 64) + "/s"
	default:
		return strconv.FormatFloat(v, 'g', 8, 64)
	}
}

// metric is one thing that can be measured of a window.
type metric struct {
	name         string
	unit         Unit
	ops          []Op // that make sense; the first is the usual one
	bound        string
	permille     int                     // of a percentile
	value        func([]float64) float64 // of the numbers that were read, in order
	measure      func(m metric, t tally) float64
	absoluteOnly bool // a multiple of the baseline says nothing
	positive     bool // a bound of zero says nothing
	count        bool // it only takes whole numbers
	certain      bool // what is too much stays too much, however many readings are missing
}

func (m metric) example() string { return string(m.ops[0]) + " " + m.bound }

var (
	upper = []Op{AtMost, Below, AtLeast, Above}
	lower = []Op{AtLeast, Above, AtMost, Below}
	every = []Op{AtLeast, AtMost, Equal, Above, Below}
)

// recovery is judged by JudgeRecovery only.
var recovery = metric{name: "recovery", unit: Seconds, ops: []Op{AtMost}, bound: "10s", absoluteOnly: true, positive: true}

var metrics = []metric{
	{name: "success", unit: Percent, ops: lower, bound: "99.9%", measure: success},
	{name: "p50", unit: Seconds, ops: upper, bound: "100ms", permille: 500, measure: percentile},
	{name: "p90", unit: Seconds, ops: upper, bound: "200ms", permille: 900, measure: percentile},
	{name: "p95", unit: Seconds, ops: upper, bound: "200ms", permille: 950, measure: percentile},
	{name: "p99", unit: Seconds, ops: upper, bound: "250ms", permille: 990, measure: percentile},
	{name: "p999", unit: Seconds, ops: upper, bound: "500ms", permille: 999, measure: percentile},
	{name: "max", unit: Seconds, ops: upper, bound: "1s", measure: slowest, certain: true},
	{name: "rate", unit: PerSecond, ops: lower, bound: "5/s", measure: goodRate},
	{name: "outage", unit: Seconds, ops: []Op{AtMost, Below}, bound: "3s", measure: outage, absoluteOnly: true, positive: true, certain: true},
	{name: "failures", unit: Number, ops: []Op{AtMost, Below, Equal}, bound: "3", measure: failures, absoluteOnly: true, count: true, certain: true},
	{name: "value", unit: Number, ops: every, bound: "10", value: last},
	{name: "value.last", unit: Number, ops: every, bound: "10", value: last},
	{name: "value.mean", unit: Number, ops: every, bound: "10", value: mean},
	{name: "value.min", unit: Number, ops: every, bound: "10", value: least},
	{name: "value.max", unit: Number, ops: every, bound: "10", value: most},
}

// Metrics returns the names of all metrics that a claim can be about, in the
// order in which people should see them.
//
//   - success: share of good readings of those that were measured
//   - p50, p90, p95, p99, p999: latency that this share of readings does not
//     exceed. Readings that failed count where they make it worse, so that
//     timeouts show and quick refusals do not flatter
//   - max: the longest latency, failed readings included
//   - rate: good readings a second
//   - outage: the longest time without a good reading, from the first failed
//     reading to the next good one
//   - failures: how many readings failed
//   - value, value.last, value.mean, value.min, value.max: of the numbers that
//     the probe read; value is value.last
func Metrics() []string {
	names := make([]string, 0, len(metrics))
	for _, m := range metrics {
		names = append(names, m.name)
	}
	return names
}

func metricOf(name string) (metric, bool) {
	for _, m := range metrics {
		if m.name == name {
			return m, true
		}
	}
	return metric{}, false
}

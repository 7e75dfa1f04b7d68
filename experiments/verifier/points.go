package verifier

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/squall-chaos/squall/reports"
)

// Points cuts the window into spans of that length and returns what each shows,
// up to the last one with a sample. Spans without samples are there, with zeros.
func (w Window) Points(every time.Duration) []reports.Point {
	var points []reports.Point
	var latencies []time.Duration
	var sum float64
	var numbers int
	flush := func() {
		if len(points) == 0 {
			return
		}
		p := &points[len(points)-1]
		slices.Sort(latencies)
		p.P50, p.P99 = rank(latencies, 500).Seconds(), rank(latencies, 990).Seconds()
		if numbers > 0 {
			m := sum / float64(numbers)
			p.Value = &m
		}
		latencies, sum, numbers = latencies[:0], 0, 0
	}
	w.each(func(r record) bool {
		for k := int((r.at - w.From) / every); len(points) <= k; {
			flush()
			points = append(points, reports.Point{T: (w.From + time.Duration(len(points))*every).Seconds()})
		}
		p := &points[len(points)-1]
		switch {
		case r.has(unmeasured):
			p.Unmeasured++
			return true
		case r.has(good):
			p.OK++
		default:
			p.Failed++
		}
		latencies = append(latencies, r.latency)
		if r.has(number) {
			sum += r.value
			numbers++
		}
		return true
	})
	flush()
	return points
}

// mostFailures is how many different reasons a summary names.
const mostFailures = 10

// Summary returns what the series shows as a whole: the rate, the counts,
// failures by reason, a point a second, and latencies over all measured readings.
// Readings counts those that were measured. The rest of the reports.Probe is the
// caller's to fill.
func (s *Series) Summary() reports.Probe {
	w := s.All()
	p := reports.Probe{Rate: s.rate, Points: w.Points(time.Second)}
	reasons := map[uint32]int{}
	var latencies []time.Duration
	w.each(func(r record) bool {
		if !r.has(good) {
			reasons[r.detail]++
		}
		switch {
		case r.has(unmeasured):
			p.Unmeasured++
			return true
		case !r.has(good):
			p.Failed++
		}
		p.Readings++
		latencies = append(latencies, r.latency)
		return true
	})
	p.Failures = w.frequent(reasons)
	slices.Sort(latencies)
	if n := len(latencies); n > 0 {
		p.Latency = map[string]float64{"max": latencies[n-1].Seconds()}
		for name, permille := range map[string]int{"p50": 500, "p90": 900, "p99": 990, "p99.9": 999} {
			p.Latency[name] = rank(latencies, permille).Seconds()
		}
	}
	return p
}

// frequent names the most frequent of reasons.
func (w Window) frequent(reasons map[uint32]int) map[string]int {
	ids := slices.SortedFunc(maps.Keys(reasons), func(a, b uint32) int {
		return cmp.Or(reasons[b]-reasons[a], int(a)-int(b))
	})
	named := map[string]int{}
	for _, id := range ids[:min(len(ids), mostFailures)] {
		named[w.detail(id)] = reasons[id]
	}
	return named
}

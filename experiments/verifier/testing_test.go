package verifier

import (
	"time"

	"github.com/squall-chaos/squall/experiments/probes"
	"github.com/squall-chaos/squall/experiments/units"
)

type sampled = probes.Sample

// fill appends what is due from from to to: good readings of 10 ms, as far as
// change does not make them something else. Its first argument counts them.
func fill(s *Series, from, to time.Duration, change func(i int, x *sampled)) {
	step := s.rate.Interval()
	first := (from + step - 1) / step
	for k := first; k*step < to; k++ {
		x := sampled{At: k * step, Latency: 10 * time.Millisecond, OK: true}
		if change != nil {
			change(int(k-first), &x)
		}
		s.Append(x)
	}
}

func every20() units.Rate { return units.Rate{N: 20, Per: time.Second} }

// between fails readings that are due in [from, to).
func between(from, to time.Duration) func(int, *sampled) {
	return func(_ int, x *sampled) {
		if x.At >= from && x.At < to {
			x.OK, x.Detail = false, "connection refused"
		}
	}
}

// series is a new one at 20/s, filled from 0 to to.
func series(to time.Duration, change func(int, *sampled)) *Series {
	s := NewSeries(every20())
	fill(s, 0, to, change)
	return s
}

package verifier

import (
	"time"

	"github.com/squall-chaos/squall/reports"
)

// FaultSpan is when a fault was in force.
type FaultSpan struct {
	Start, End time.Duration
	Until      time.Duration // where readings stop saying something of this fault: the start of the next one, or the run's end
}

// Cope tells how the subjects went through one fault: who noticed first, what it
// cost, when all of them were steady again, and how much was served while it was
// in force.
//
// A reading is bad when it failed, or took longer than its claims allow and than
// anything in the baseline did.
func Cope(subjects []Subject, f FaultSpan) reports.Coping {
	var c reports.Coping
	f.Until = max(f.Until, f.End)
	measured, ok := 0, 0
	for _, s := range subjects {
		t := s.Series.Window(f.Start, f.End).tally()
		measured += t.measured
		ok += t.succeeded()
		if at, bad := s.firstBad(f.Start, f.Until); bad {
			if d := (at - f.Start).Seconds(); c.Detected == nil || d < *c.Detected {
				c.Detected, c.DetectedBy = &d, s.Probe
			}
		}
	}
	if measured > 0 {
		c.Continued = float64(ok) / float64(measured)
	}
	recovered, seen := recoveredAll(subjects, c.Detected, f)
	until := f.Until
	if seen {
		r := (recovered - f.Start).Seconds()
		c.Recovered, c.RecoveredUnder = &r, recovered < f.End
		until = max(recovered, f.End)
	}
	c.Damaged = damage(subjects, f.Start, until)
	return c
}

// recoveredAll is when the last of the subjects was steady again.
func recoveredAll(subjects []Subject, detected *float64, f FaultSpan) (last time.Duration, seen bool) {
	from := f.Start
	if detected != nil {
		from += seconds(*detected)
	}
	last = from
	for _, s := range subjects {
		if len(s.Claims) == 0 {
			continue
		}
		r := Recovered(s, from, f.Until)
		if r.Status != reports.CheckHeld {
			return 0, false
		}
		seen = true
		last = max(last, r.At)
	}
	return last, seen
}

func damage(subjects []Subject, from, to time.Duration) []reports.Damage {
	var ds []reports.Damage
	for _, s := range subjects {
		if t := s.Series.Window(from, to).tally(); t.failed > 0 {
			ds = append(ds, reports.Damage{Probe: s.Probe, Failed: t.failed, Of: t.measured, Outage: t.outage.Seconds()})
		}
	}
	return ds
}

// firstBad is when the first bad reading in [from, to) was due.
func (s Subject) firstBad(from, to time.Duration) (at time.Duration, found bool) {
	slow := s.slow()
	s.Series.Window(from, to).each(func(r record) bool {
		if r.has(unmeasured) || (r.has(good) && (slow == 0 || r.latency <= slow)) {
			return true
		}
		at, found = r.at, true
		return false
	})
	return at, found
}

// slow is the latency above which a reading is bad; 0 if none is.
func (s Subject) slow() time.Duration {
	var loosest time.Duration
	for _, c := range s.Claims {
		m, _ := metricOf(c.Metric)
		if (m.permille == 0 && m.name != "max") || (c.Op != AtMost && c.Op != Below) {
			continue
		}
		if limit, reason := c.limit(m, s.Baseline); reason == "" {
			loosest = max(loosest, seconds(limit))
		}
	}
	if loosest == 0 || s.Baseline == nil {
		return loosest
	}
	return max(loosest, seconds(slowest(metric{}, s.Baseline.tally())))
}

package main

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/squall-chaos/squall/reports"
)

// recent is what "now" means for a probe, in seconds.
const recent = 5

// history is how many seconds of a probe are kept for drawing.
const history = 180

// gauge sums up what one probe reported so far.
type gauge struct {
	name                   string
	points                 []reports.Point // the last ones, one a second
	ok, failed, unmeasured int
}

func (g *gauge) add(p reports.Point) {
	g.ok, g.failed, g.unmeasured = g.ok+p.OK, g.failed+p.Failed, g.unmeasured+p.Unmeasured
	g.points = append(g.points, p)
	if len(g.points) > history {
		g.points = slices.Delete(g.points, 0, len(g.points)-history)
	}
}

// last is the time of the newest point.
func (g *gauge) last() float64 {
	if len(g.points) == 0 {
		return 0
	}
	return g.points[len(g.points)-1].T
}

// window sums up the points of the last seconds: their median p50 and highest p99.
func (g *gauge) window(seconds float64) reports.Point {
	var sum reports.Point
	var medians []float64
	for _, p := range g.points {
		if p.T <= g.last()-seconds {
			continue
		}
		sum.OK, sum.Failed, sum.Unmeasured = sum.OK+p.OK, sum.Failed+p.Failed, sum.Unmeasured+p.Unmeasured
		if p.P50 > 0 {
			medians = append(medians, p.P50)
		}
		sum.P99 = max(sum.P99, p.P99)
	}
	if slices.Sort(medians); len(medians) > 0 {
		sum.P50 = medians[len(medians)/2]
	}
	return sum
}

// gauges are the probes in the order of their names.
type gauges []*gauge

func (l *gauges) of(name string) *gauge {
	i, found := slices.BinarySearchFunc(*l, name, func(g *gauge, n string) int { return strings.Compare(g.name, n) })
	if !found {
		*l = slices.Insert(*l, i, &gauge{name: name})
	}
	return (*l)[i]
}

// share is good of good and bad in percent, never rounded up to 100%.
func share(good, bad int) string {
	switch {
	case good+bad == 0:
		return "–"
	case bad == 0:
		return "100%"
	}
	return fmt.Sprintf("%.1f%%", math.Floor(1000*float64(good)/float64(good+bad))/10)
}

// latency is a time of a probe; 0 was not measured.
func latency(seconds float64) string {
	if seconds <= 0 {
		return "–"
	}
	return reports.Seconds(seconds)
}

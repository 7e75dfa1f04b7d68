package verifier

import (
	"time"

	"github.com/squall-chaos/squall/experiments/probes"
	"github.com/squall-chaos/squall/experiments/units"
	"github.com/squall-chaos/squall/reports"
)

// Series holds all samples of one probe.
type Series struct{ rate units.Rate }

// NewSeries returns an empty series of samples that are due at that rate.
func NewSeries(rate units.Rate) *Series { return &Series{rate: rate} }

// Append adds a sample.
func (s *Series) Append(x probes.Sample) {}

// Window is the part of the series that was due from from, included, to to,
// excluded.
func (s *Series) Window(from, to time.Duration) Window { return Window{s, from, to} }

// Window is a span of a series.
type Window struct {
	series   *Series
	From, To time.Duration
}

// Points cuts the window into spans of that length and returns what each shows.
func (w Window) Points(every time.Duration) []reports.Point { return nil }

// Summary returns what the series shows as a whole: the counts, failures,
// points a second and latencies of a reports.Probe.
func (s *Series) Summary() reports.Probe { return reports.Probe{} }

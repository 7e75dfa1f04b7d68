package reports

import (
	"fmt"
	"math"
	"time"
)

// Mark says how the readings behind one column of a Sparkline went.
type Mark int

// The marks, from nothing to the worst.
const (
	MarkNone       Mark = iota // no reading
	MarkGood                   // all were good
	MarkUnmeasured             // some could not be measured, none failed
	MarkSome                   // some failed
	MarkAll                    // all failed
)

// Column is one column of a Sparkline. The glyph alone tells the mark, so that
// nothing is lost without colours.
type Column struct {
	Glyph string // one cell wide
	Mark  Mark
}

// Legend explains the glyphs of a Sparkline.
const Legend = "× all failed, ! some, ? unmeasured, · none"

var bars = []rune("▁▂▃▄▅▆▇█")

// spread is the ratio between the slowest and the fastest second that fills the
// whole height at least, so that the noise of a calm system stays flat.
const spread = 16

// Sparkline draws the p99 of points between from and to, in seconds, in that many
// columns. The scale is logarithmic: one slow second does not flatten the rest. A
// column with a failed reading shows that instead of a height.
func Sparkline(points []Point, from, to float64, columns int) []Column {
	if columns <= 0 || !(to > from) {
		return nil
	}
	bins := make([]Point, columns)
	low, high := math.Inf(1), 0.0
	for _, p := range points {
		i := int(math.Floor((p.T-from)/(to-from)*float64(columns) + 1e-3))
		if i < 0 || i >= columns {
			continue
		}
		b := &bins[i]
		b.OK, b.Failed, b.Unmeasured = b.OK+p.OK, b.Failed+p.Failed, b.Unmeasured+p.Unmeasured
		b.P99 = max(b.P99, p.P99)
		if p.P99 > 0 && !math.IsInf(p.P99, 0) {
			low, high = min(low, p.P99), max(high, p.P99)
		}
	}
	out := make([]Column, columns)
	for i, b := range bins {
		out[i] = column(b, low, high)
	}
	return out
}

func column(p Point, low, high float64) Column {
	switch {
	case p.Failed > 0 && p.OK == 0:
		return Column{"×", MarkAll}
	case p.Failed > 0:
		return Column{"!", MarkSome}
	case p.Unmeasured > 0:
		return Column{"?", MarkUnmeasured}
	case p.OK == 0:
		return Column{"·", MarkNone}
	}
	level := 0.0
	if p.P99 > low {
		level = math.Log(p.P99/low) / math.Log(max(high/low, spread))
	}
	i := int(math.Round(min(max(level, 0), 1) * float64(len(bars)-1)))
	return Column{string(bars[i]), MarkGood}
}

// Seconds is a span of time as people read it: "0.4ms", "12ms", "1.2s", "2m5s".
func Seconds(s float64) string {
	switch {
	case math.IsNaN(s) || math.IsInf(s, 0):
		return "–"
	case s < 0:
		return "-" + Seconds(-s)
	case s == 0:
		return "0s"
	case s < 0.00995:
		return trimZero(fmt.Sprintf("%.1f", s*1e3)) + "ms"
	case s < 0.9995:
		return fmt.Sprintf("%.0fms", s*1e3)
	case s < 59.95:
		return trimZero(fmt.Sprintf("%.1f", s)) + "s"
	case s > 1e9:
		return "–"
	}
	return (time.Duration(math.Round(s)) * time.Second).String()
}

func trimZero(s string) string {
	if n := len(s); n > 2 && s[n-2:] == ".0" {
		return s[:n-2]
	}
	return s
}

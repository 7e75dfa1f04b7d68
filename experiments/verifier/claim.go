package verifier

import (
	"errors"
	"time"

	"github.com/squall-chaos/squall/experiments/units"
)

// Op is how a claim compares.
type Op string

// The comparisons.
const (
	AtMost  Op = "<="
	AtLeast Op = ">="
	Below   Op = "<"
	Above   Op = ">"
	Equal   Op = "=="
)

// Bound is the right-hand side of a claim.
type Bound struct {
	Value    float64 // percent, seconds, events a second, a plain number; or a factor, if Relative
	Relative bool    // Value is a multiple of the same metric in the baseline
	Unit     Unit
}

// Unit is what a metric is measured in.
type Unit int

// The units of metrics.
const (
	Number    Unit = iota // as the probe reads it, or a count
	Percent               // 0 to 100
	Seconds               // written as a duration
	PerSecond             // written as a rate
)

// Claim is one thing said of one metric of one probe.
type Claim struct {
	Metric string
	Op     Op
	Bound  Bound
	Over   time.Duration // must hold over every span of this length; 0: over the whole window
}

// ParseClaim reads what a file says of a metric.
func ParseClaim(metric, bound string) (Claim, error) { return Claim{}, errors.New("not yet") }

// ParseRecovery reads the bound of a recovery claim, such as "<= 10s".
func ParseRecovery(bound string) (Claim, error) { return Claim{}, errors.New("not yet") }

// Metrics returns the names of all metrics a claim can be about.
func Metrics() []string { return nil }

// String is the claim as a file writes it: "p99 <= 250ms".
func (c Claim) String() string { return "" }

// Wanted is the right-hand side with its comparison: "<= 250ms over 5s".
func (c Claim) Wanted() string { return "" }

// MinSamples is how many measured readings a window needs before c can be
// judged at all.
func (c Claim) MinSamples() int { return 0 }

// Trailing is how long the window is over which c is watched while a run
// lasts, as a guard is.
func (c Claim) Trailing() time.Duration { return 0 }

// SteadyWindow is how long a window must be so that all claims can be judged on
// readings at that rate; at least 1 s.
func SteadyWindow(claims []Claim, rate units.Rate) time.Duration { return 0 }

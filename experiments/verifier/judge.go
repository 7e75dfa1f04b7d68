package verifier

import (
	"time"

	"github.com/squall-chaos/squall/reports"
)

// Judgement is what a window says about a claim.
type Judgement struct {
	Status  string  // reports.CheckHeld, CheckBroken or CheckUnknown
	Wanted  string  // the claim's right-hand side
	Got     string  // what was measured, with its unit; "–" if nothing was
	Value   float64 // Got as a number: percent, seconds, per second, or as the probe reads it; 0 if nothing was measured
	Samples int     // measured readings it stands on
	Reason  string  // why it is unknown
}

// Check is the judgement as a part of a result.
func (j Judgement) Check(probe, phase string, c Claim) reports.Check { return reports.Check{} }

// Judge says whether c holds in w. baseline is needed by relative claims only.
func Judge(c Claim, w Window, baseline *Window) Judgement { return Judgement{} }

// Subject is one probe with what its steady state is.
type Subject struct {
	Probe    string
	Series   *Series
	Claims   []Claim // the steady state
	Baseline *Window // nil while there is none
}

// Steady judges every claim of every subject in [from, to) and reports whether
// all are held. phase goes into the checks.
func Steady(subjects []Subject, phase string, from, to time.Duration) ([]reports.Check, bool) {
	return nil, false
}

// Recovery is when a probe was steady again.
type Recovery struct {
	Status string        // held: steady from At on; broken: never; unknown: cannot be told
	At     time.Duration // offset; only if held
	Reason string        // why not
}

// Recovered finds the earliest offset in [from, to) from which on the subject is
// steady.
func Recovered(s Subject, from, to time.Duration) Recovery { return Recovery{} }

// JudgeRecovery says whether s was steady again within the bound of c after
// from, on what was measured up to to.
func JudgeRecovery(c Claim, s Subject, from, to time.Duration) Judgement { return Judgement{} }

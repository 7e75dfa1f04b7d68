// Package reports holds the Result of a run, which is the stable contract with
// everything that reads one later, and the formats it is rendered in, one file
// a format.
//
// A Result says only what was measured. It is complete: rendering needs no other
// file and never looks at the world.
package reports

import (
	"time"

	"github.com/squall-chaos/squall/experiments/units"
)

// Version is the version of the contract that Result describes. It grows when a
// field is added and never for another reason: fields are not removed, renamed
// or given another meaning.
const Version = 1

// Verdict is what a run showed.
type Verdict string

// The verdicts, and below them the exit codes of the process.
const (
	Held         Verdict = "held"
	Deviated     Verdict = "deviated"
	Inconclusive Verdict = "inconclusive"
	Aborted      Verdict = "aborted"
	Unrecovered  Verdict = "unrecovered"
)

// ExitCode is the exit code for v. An unknown verdict is inconclusive.
func (v Verdict) ExitCode() int {
	switch v {
	case Held:
		return 0
	case Deviated:
		return 1
	case Aborted:
		return 4
	case Unrecovered:
		return 5
	default:
		return 3
	}
}

// ExitUsage is the exit code for wrong usage and for files that do not validate.
const ExitUsage = 2

// severity orders exit codes from the best to the worst.
var severity = map[int]int{0: 0, 3: 1, 1: 2, 2: 3, 4: 4, 5: 5}

// Worse returns the worse of two exit codes: 5 > 4 > 2 > 1 > 3 > 0.
func Worse(a, b int) int {
	if severity[b] > severity[a] {
		return b
	}
	return a
}

// Result is one run from its file to its verdict. Times within the run are
// seconds from the start of the baseline.
type Result struct {
	Version   int               `json:"version"`
	Run       string            `json:"run"`      // the run's name, unique on its machine
	Title     string            `json:"title"`    // of the experiment
	File      string            `json:"file"`     // as it was given
	Document  int               `json:"document"` // index within the file, from 0
	Tags      []string          `json:"tags,omitempty"`
	Seed      uint64            `json:"seed"`
	Variables map[string]string `json:"variables,omitempty"`
	NoInject  bool              `json:"no_inject,omitempty"` // everything but the faults was done
	Squall    string            `json:"squall"`              // version of the program
	Host      Host              `json:"host"`
	Started   time.Time         `json:"started"`
	Duration  float64           `json:"duration"` // seconds
	Directory string            `json:"directory"`
	Replay    string            `json:"replay"` // the command that runs the same again
	Verdict   Verdict           `json:"verdict"`
	Reasons   []string          `json:"reasons"` // why, the weightiest first; never empty
	Phases    []Phase           `json:"phases"`
	Targets   []Target          `json:"targets"`
	Faults    []Fault           `json:"faults"`
	Checks    []Check           `json:"checks"`
	Guards    []Guard           `json:"guards,omitempty"`
	Probes    []Probe           `json:"probes"`
	Residue   []string          `json:"residue,omitempty"` // what is left behind and how to remove it
	Notes     []string          `json:"notes,omitempty"`   // what a reader should know, such as a target that restarted
}

// Host is the machine that ran the experiment.
type Host struct {
	Name   string `json:"name"`
	OS     string `json:"os"`
	Kernel string `json:"kernel"`
	CPUs   int    `json:"cpus"`
	User   string `json:"user"`
}

// Phase is a part of the run's timeline: baseline, method or recovery.
type Phase struct {
	Name  string  `json:"name"`
	Start float64 `json:"start"` // seconds
	End   float64 `json:"end"`
}

// Target is something the run chose to disturb.
type Target struct {
	Name       string   `json:"name"` // as the file calls the group
	Driver     string   `json:"driver"`
	Selector   string   `json:"selector"`
	Pick       string   `json:"pick,omitempty"`
	Candidates []string `json:"candidates"` // all that matched
	Chosen     []string `json:"chosen"`     // what the seed picked
}

// Fault is one fault of the method with what it did.
type Fault struct {
	ID       string     `json:"id"` // position in the method, such as "2" or "3.1"
	Fault    string     `json:"fault"`
	On       string     `json:"on,omitempty"` // name of the target group
	Targets  []string   `json:"targets"`
	Asked    string     `json:"asked"` // the fault and its parameters in one line
	Start    float64    `json:"start"` // in force, seconds
	End      float64    `json:"end"`   // undone, seconds
	State    string     `json:"state"` // reverted, irreversible, not injected, ended early, unrecovered
	Bit      bool       `json:"bit"`   // proven to have had its effect on every target
	Evidence []Evidence `json:"evidence"`
	Residue  []string   `json:"residue,omitempty"`
	Error    string     `json:"error,omitempty"`
	Coping   *Coping    `json:"coping,omitempty"`
}

// Evidence is what was measured that proves a change bit, or does not.
type Evidence struct {
	Target   string `json:"target"`
	Proven   bool   `json:"proven"`
	Asked    string `json:"asked"`
	Measured string `json:"measured"`
}

// Coping is how the system went through the four phases of fault tolerance for
// one fault. Times are seconds since the fault was in force.
type Coping struct {
	Detected       *float64 `json:"detected"` // first bad reading; nil: nobody noticed
	DetectedBy     string   `json:"detected_by,omitempty"`
	Damaged        []Damage `json:"damaged,omitempty"`
	Recovered      *float64 `json:"recovered"`       // steady again; nil: not seen
	RecoveredUnder bool     `json:"recovered_under"` // while the fault was still in force
	Continued      float64  `json:"continued"`       // share of good readings of all probes while it lasted, 0 to 1
}

// Damage is what one probe saw of a fault.
type Damage struct {
	Probe  string  `json:"probe"`
	Failed int     `json:"failed"`
	Of     int     `json:"of"`
	Outage float64 `json:"outage"` // longest unbroken failure, seconds
}

// Check statuses.
const (
	CheckHeld    = "held"
	CheckBroken  = "broken"
	CheckUnknown = "unknown" // not measured, or on too few samples
)

// Check is one claim of the hypothesis with what was measured.
type Check struct {
	Probe   string  `json:"probe"`
	Phase   string  `json:"phase"`  // baseline, during, recovery, after, or the step of a check
	Metric  string  `json:"metric"` // success, p99, outage…
	Wanted  string  `json:"wanted"`
	Got     string  `json:"got"`
	Value   float64 `json:"value"` // Got as a number in seconds, percent, per second or the probe's own unit
	Samples int     `json:"samples"`
	Status  string  `json:"status"`
	Reason  string  `json:"reason,omitempty"` // why unknown
}

// Guard is one guard and whether it broke.
type Guard struct {
	Probe  string   `json:"probe"`
	Claim  string   `json:"claim"`
	Broken bool     `json:"broken"`
	At     *float64 `json:"at,omitempty"`
	Got    string   `json:"got,omitempty"`
}

// Probe is what one probe measured over the whole run.
type Probe struct {
	Name       string             `json:"name"`
	Kind       string             `json:"kind"`
	Rate       units.Rate         `json:"rate,omitzero"`
	From       string             `json:"from,omitempty"`
	Readings   int                `json:"readings"`
	Failed     int                `json:"failed"`
	Unmeasured int                `json:"unmeasured"`
	Failures   map[string]int     `json:"failures,omitempty"` // by what was said, the most frequent ones
	Points     []Point            `json:"points"`             // one a second
	Latency    map[string]float64 `json:"latency,omitempty"`  // p50, p90, p99, p99.9, max over the whole run, in seconds
}

// Point is one second of a probe.
type Point struct {
	T          float64  `json:"t"` // start, seconds
	OK         int      `json:"ok"`
	Failed     int      `json:"failed,omitempty"`
	Unmeasured int      `json:"unmeasured,omitempty"`
	P50        float64  `json:"p50,omitempty"` // seconds
	P99        float64  `json:"p99,omitempty"`
	Value      *float64 `json:"value,omitempty"` // mean
}

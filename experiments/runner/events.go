package runner

import (
	"time"

	"github.com/squall-chaos/squall/reports"
)

// EventKind says what an Event tells.
type EventKind string

// The kinds of events, roughly in the order in which a run sends them.
const (
	RunStarted     EventKind = "run-started"     // Text: title; Run, Seed, Dir, Plan
	Preparing      EventKind = "preparing"       // Text: what is being done before the first phase
	PhaseStarted   EventKind = "phase-started"   // Phase: baseline, method, recovery; For: its planned length
	StepStarted    EventKind = "step-started"    // Step, Text, For
	StepEnded      EventKind = "step-ended"      // Step; Err when it did not do what it should
	FaultPlanned   EventKind = "fault-planned"   // Step, Fault, Targets; about to be injected
	FaultInForce   EventKind = "fault-in-force"  // Step, Fault, Targets, For, Evidence
	FaultLost      EventKind = "fault-lost"      // Step, Text: no longer in force although it should be
	FaultReverting EventKind = "fault-reverting" // Step
	FaultReverted  EventKind = "fault-reverted"  // Step; Residue
	ReadingsTaken  EventKind = "readings"        // Probe, Point: one second of one probe
	GuardBroken    EventKind = "guard-broken"    // Probe, Text
	CheckJudged    EventKind = "check"           // Check
	ConfirmAsked   EventKind = "confirm"         // Step, Text: the run waits for a person
	Stopping       EventKind = "stopping"        // Text: why, and what is being waited for
	Noted          EventKind = "note"            // Text
	RunEnded       EventKind = "run-ended"       // Verdict, Reasons
)

// Event is one thing that happened in a run. The stream of events is all that
// can be observed of a run while it lasts: the terminal, --events and the result
// are made from it.
type Event struct {
	Kind     EventKind          `json:"kind"`
	At       time.Time          `json:"at"`
	T        float64            `json:"t"` // seconds since the baseline started; 0 before
	Run      string             `json:"run,omitempty"`
	Dir      string             `json:"dir,omitempty"`
	Seed     uint64             `json:"seed,omitempty"`
	Phase    string             `json:"phase,omitempty"`
	Step     string             `json:"step,omitempty"` // position in the method, such as "2" or "3.1"
	Fault    string             `json:"fault,omitempty"`
	Targets  []string           `json:"targets,omitempty"`
	For      float64            `json:"for,omitempty"` // planned length, seconds; 0: none
	Probe    string             `json:"probe,omitempty"`
	Point    *reports.Point     `json:"point,omitempty"`
	Evidence []reports.Evidence `json:"evidence,omitempty"`
	Residue  []string           `json:"residue,omitempty"`
	Check    *reports.Check     `json:"check,omitempty"`
	Verdict  reports.Verdict    `json:"verdict,omitempty"`
	Reasons  []string           `json:"reasons,omitempty"`
	Text     string             `json:"text,omitempty"`
	Err      string             `json:"err,omitempty"`
	Timeline []Span             `json:"timeline,omitempty"` // with RunStarted: what is planned, in order
}

// Span is a planned part of the timeline, for drawing it.
type Span struct {
	Name  string  `json:"name"`           // phase, or step as a person would say it
	Step  string  `json:"step,omitempty"` // empty for a phase
	Start float64 `json:"start"`          // seconds since the run started, as planned
	End   float64 `json:"end"`
}

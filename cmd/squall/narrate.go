package main

import (
	"fmt"
	"strings"

	"github.com/squall-chaos/squall/experiments/runner"
	"github.com/squall-chaos/squall/reports"
)

// tone is what a line is about, for its colour.
type tone int

const (
	toneQuiet tone = iota
	tonePlain
	toneGood
	toneDoubt
	toneBad
	toneFault
)

// line is one event as a sentence, inert.
type line struct {
	t    float64 // seconds since the run started
	tone tone
	text string
}

// narrate tells e in one line. It reports false for events that are not worth
// one, such as readings.
func narrate(e runner.Event) (line, bool) {
	tone, text := tell(e)
	return line{e.T, tone, reports.Inert(text)}, text != ""
}

func tell(e runner.Event) (tone, string) {
	switch e.Kind {
	case runner.RunStarted:
		return tonePlain, fmt.Sprintf("%s (run %s, seed %d)", e.Text, e.Run, e.Seed)
	case runner.Preparing:
		return toneQuiet, e.Text
	case runner.PhaseStarted:
		return tonePlain, e.Phase + lasting(e.For)
	case runner.StepStarted:
		return tonePlain, "step " + e.Step + ": " + e.Text
	case runner.StepEnded:
		return tellStepEnd(e)
	case runner.FaultInForce, runner.FaultLost, runner.FaultReverting, runner.FaultReverted:
		return tellFault(e)
	case runner.GuardBroken:
		return toneBad, "guard of " + e.Probe + " broken: " + e.Text
	case runner.CheckJudged:
		if e.Step == "" {
			return toneQuiet, "" // of the hypothesis, at the end: the summary has them all
		}
		return tellCheck(e.Check)
	case runner.ConfirmAsked:
		return toneDoubt, "step " + e.Step + " asks: " + e.Text
	case runner.Stopping:
		return toneDoubt, "stopping: " + e.Text
	case runner.Noted:
		return tonePlain, e.Text
	case runner.RunEnded:
		return verdictTone(e.Verdict), strings.Join(append([]string{e.Verdict.Sign()}, e.Reasons...), "; ")
	}
	return toneQuiet, ""
}

func lasting(seconds float64) string {
	if seconds <= 0 {
		return ""
	}
	return " for " + reports.Seconds(seconds)
}

func tellStepEnd(e runner.Event) (tone, string) {
	switch {
	case e.Err != "":
		return toneBad, "step " + e.Step + ": " + e.Err
	case e.Text != "":
		return toneQuiet, "step " + e.Step + ": " + e.Text
	}
	return toneQuiet, ""
}

func tellFault(e runner.Event) (tone, string) {
	name := "fault " + e.Step
	switch e.Kind {
	case runner.FaultInForce:
		proof, proven := tellEvidence(e.Evidence)
		tone := toneFault
		if !proven {
			tone = toneBad
		}
		if name += " in force"; len(e.Targets) > 0 {
			name += " on " + someOf(e.Targets, 4)
		}
		return tone, fmt.Sprintf("%s: %s%s (%s)", name, e.Fault, lasting(e.For), proof)
	case runner.FaultLost:
		return toneBad, name + " is not in force any more: " + e.Text
	case runner.FaultReverting:
		return toneQuiet, "undoing " + name
	}
	if len(e.Residue) > 0 {
		return toneBad, name + " left something behind: " + strings.Join(e.Residue, "; ")
	}
	return toneGood, name + " undone"
}

// tellEvidence says whether a fault was proven on every target, and by what.
func tellEvidence(evidence []reports.Evidence) (string, bool) {
	var proofs, missing []string
	for _, e := range evidence {
		said := e.Measured
		if len(evidence) > 1 {
			said = e.Target + " " + e.Measured
		}
		if e.Proven {
			proofs = append(proofs, said)
		} else {
			missing = append(missing, fmt.Sprintf("%s: asked %s, measured %s", e.Target, e.Asked, e.Measured))
		}
	}
	switch {
	case len(missing) > 0:
		return "not proven on " + someOf(missing, 3), false
	case len(proofs) == 0:
		return "no proof was taken", false
	}
	return "proven: " + someOf(proofs, 3), true
}

func tellCheck(c *reports.Check) (tone, string) {
	if c == nil {
		return toneQuiet, ""
	}
	text := fmt.Sprintf("%s %s %s: %s, wanted %s", c.Probe, c.Phase, c.Metric, c.Status, c.Wanted)
	if c.Got != "" {
		text += ", got " + c.Got
	}
	if c.Reason != "" {
		text += " (" + c.Reason + ")"
	}
	switch c.Status {
	case reports.CheckHeld:
		return toneGood, text
	case reports.CheckBroken:
		return toneBad, text
	}
	return toneDoubt, text
}

func verdictTone(v reports.Verdict) tone {
	switch v {
	case reports.Held:
		return toneGood
	case reports.Deviated, reports.Unrecovered:
		return toneBad
	}
	return toneDoubt
}

// someOf joins list, cut to its first n.
func someOf(list []string, n int) string {
	if len(list) == 0 {
		return "nothing"
	}
	if len(list) <= n {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:n], ", "), len(list)-n)
}

package verifier

import (
	"fmt"
	"slices"
	"strings"

	"github.com/squall-chaos/squall/reports"
)

// Baseline is the phase whose checks are the gate: broken there, they say that
// the run cannot show anything, not that a fault broke something.
const Baseline = "baseline"

// Outcome is all that a verdict depends on.
type Outcome struct {
	Checks   []reports.Check // of all phases
	Faults   []reports.Fault // that the method asked for, injected or not
	Guards   []reports.Guard
	Residue  []string // what is left behind
	Aborted  []string // why a person or a signal stopped the run
	Problems []string // why the run could not show anything, such as a selector that matched nothing
	NoInject bool     // the run was asked to do everything but the faults
}

// Verdict rolls an outcome up: the worst of what it finds, with all the reasons,
// the weightiest first. It starts from nothing shown and is held only if claims
// were made, in the baseline and later, every one was measured and held, and every
// fault was injected, proven to bite on every target, and undone. A run without
// faults is never held.
func Verdict(o Outcome) (reports.Verdict, []string) {
	found := []struct {
		verdict reports.Verdict
		reasons []string
	}{
		{reports.Unrecovered, o.unrecovered()},
		{reports.Aborted, o.aborted()},
		{reports.Deviated, o.deviated()},
		{reports.Inconclusive, o.inconclusive()},
	}
	var verdict reports.Verdict
	var reasons []string
	for _, f := range found {
		if len(f.reasons) > 0 && verdict == "" {
			verdict = f.verdict
		}
		reasons = append(reasons, f.reasons...)
	}
	if verdict == "" {
		return reports.Held, []string{fmt.Sprintf("every claim held (%d), and every fault bit and was undone (%d)", len(o.Checks), len(o.Faults))}
	}
	return verdict, reasons
}

func (o Outcome) unrecovered() []string {
	var rs []string
	for _, r := range o.Residue {
		if !slices.ContainsFunc(o.Faults, func(f reports.Fault) bool { return slices.Contains(f.Residue, r) }) {
			rs = append(rs, "left behind: "+r)
		}
	}
	for _, f := range o.Faults {
		for _, r := range f.Residue {
			rs = append(rs, fmt.Sprintf("left behind by %s: %s", name(f), r))
		}
		if f.State == "unrecovered" && len(f.Residue) == 0 {
			rs = append(rs, fmt.Sprintf("%s could not be undone%s", name(f), because(f.Error)))
		}
	}
	return rs
}

func (o Outcome) aborted() []string {
	rs := append([]string(nil), o.Aborted...)
	for _, g := range o.Guards {
		if g.Broken {
			rs = append(rs, fmt.Sprintf("guard on %s broken: wanted %s, got %s", g.Probe, g.Claim, g.Got))
		}
	}
	return rs
}

func (o Outcome) deviated() []string {
	var rs []string
	for _, c := range o.Checks {
		if c.Phase != Baseline && c.Status == reports.CheckBroken {
			rs = append(rs, fmt.Sprintf("%s: %s %s, got %s", subject(c), c.Metric, c.Wanted, c.Got))
		}
	}
	return rs
}

func (o Outcome) inconclusive() []string {
	rs := append([]string(nil), o.Problems...)
	rs = append(rs, o.unsteady()...)
	if o.NoInject {
		rs = append(rs, "nothing was injected, as asked")
	} else {
		if len(o.Faults) == 0 {
			rs = append(rs, "no fault was injected")
		}
		for _, f := range o.Faults {
			if r := unproven(f); r != "" && !o.told(f) {
				rs = append(rs, fmt.Sprintf("%s %s", name(f), r))
			}
		}
	}
	for _, c := range o.Checks {
		switch {
		case c.Phase == Baseline, c.Status == reports.CheckHeld, c.Status == reports.CheckBroken:
		default:
			rs = append(rs, fmt.Sprintf("%s: %s %s is unknown%s", subject(c), c.Metric, c.Wanted, because(c.Reason)))
		}
	}
	return rs
}

// told reports whether a problem says already what went wrong with f.
func (o Outcome) told(f reports.Fault) bool {
	return f.Error != "" && slices.ContainsFunc(o.Problems, func(p string) bool { return strings.Contains(p, f.Error) })
}

// unsteady says why the gate was not passed.
func (o Outcome) unsteady() []string {
	var rs []string
	gate, later := 0, 0
	for _, c := range o.Checks {
		switch {
		case c.Phase != Baseline:
			later++
			continue
		case c.Status == reports.CheckHeld:
		case c.Status == reports.CheckBroken:
			rs = append(rs, fmt.Sprintf("not steady before any fault: %s %s %s, got %s", c.Probe, c.Metric, c.Wanted, c.Got))
		default:
			rs = append(rs, fmt.Sprintf("not known to be steady before any fault: %s %s %s%s", c.Probe, c.Metric, c.Wanted, because(c.Reason)))
		}
		gate++
	}
	if gate == 0 {
		rs = append(rs, "the steady state was not measured before the faults")
	} else if later == 0 {
		rs = append(rs, "nothing was judged during or after the faults")
	}
	return rs
}

// unproven says why a fault shows nothing; "" if it was proven to have bitten
// and ended as it should.
func unproven(f reports.Fault) string {
	switch f.State {
	case "reverted", "irreversible", "ended early": // early, where the file says that a restart ends it
	case "unrecovered":
		return "" // said already, and worse
	case "":
		return "was not injected"
	default:
		return "was " + strings.TrimPrefix(f.State, "was ") + because(f.Error)
	}
	switch {
	case len(f.Targets) == 0 && f.On != "":
		return "had no target"
	case f.Error != "":
		return "did not go as it should" + because(f.Error)
	case len(f.Evidence) == 0:
		return "was not proven to bite: there is no evidence"
	}
	seen := map[string]bool{}
	for _, e := range f.Evidence {
		seen[e.Target] = true
		if !e.Proven {
			return fmt.Sprintf("did not bite %s: asked %s, measured %s", e.Target, e.Asked, e.Measured)
		}
	}
	if !f.Bit || len(seen) < len(f.Targets) {
		return "was not proven to bite every target"
	}
	return ""
}

func name(f reports.Fault) string {
	if f.On == "" {
		return fmt.Sprintf("fault %s (%s)", f.ID, f.Fault)
	}
	return fmt.Sprintf("fault %s (%s on %s)", f.ID, f.Fault, f.On)
}

func subject(c reports.Check) string { return c.Probe + " " + c.Phase }

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

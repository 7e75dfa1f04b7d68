package verifier

import "github.com/squall-chaos/squall/reports"

// Outcome is all that a verdict depends on.
type Outcome struct {
	Checks   []reports.Check // of all phases; those of the phase "baseline" are the gate
	Faults   []reports.Fault
	Guards   []reports.Guard
	Residue  []string // what is left behind
	Aborted  []string // why a person or a signal stopped the run
	Problems []string // why the run could not show anything, such as a selector that matched nothing
	NoInject bool     // the run was asked to do everything but the faults
}

// Verdict rolls an outcome up.
func Verdict(o Outcome) (reports.Verdict, []string) { return reports.Inconclusive, nil }

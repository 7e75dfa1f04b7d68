package verifier

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/squall-chaos/squall/reports"
)

func check(phase, status string) reports.Check {
	c := reports.Check{Probe: "checkout", Phase: phase, Metric: "success", Wanted: ">= 99%", Got: "100%", Status: status}
	if status == reports.CheckUnknown {
		c.Reason = "there are no readings"
	}
	return c
}

func bitten() reports.Fault {
	return reports.Fault{
		ID: "1", Fault: "kill", On: "cache", Targets: []string{"cache-1"}, State: "reverted", Bit: true,
		Evidence: []reports.Evidence{{Target: "cache-1", Proven: true}},
	}
}

// green is an outcome that is held.
func green() Outcome {
	return Outcome{
		Checks: []reports.Check{check(Baseline, "held"), check("during", "held"), check("after", "held")},
		Faults: []reports.Fault{bitten()},
		Guards: []reports.Guard{{Probe: "checkout", Claim: "success >= 20% over 5s"}},
	}
}

func TestVerdictHeld(t *testing.T) {
	v, reasons := Verdict(green())
	if v != reports.Held || len(reasons) != 1 {
		t.Errorf("got %s, %q", v, reasons)
	}
	o := green()
	o.Faults[0].State = "irreversible"
	o.Faults = append(o.Faults, reports.Fault{ID: "2", Fault: "exec", State: "reverted", Bit: true, Evidence: []reports.Evidence{{Proven: true}}})
	if v, reasons := Verdict(o); v != reports.Held {
		t.Errorf("got %s, %q", v, reasons)
	}
}

// spoiled lists single ways in which an outcome is not held.
var spoiled = []struct {
	name   string
	spoil  func(*Outcome)
	want   reports.Verdict
	reason string
}{
	{"nothing at all", func(o *Outcome) { *o = Outcome{} }, reports.Inconclusive, "steady state was not measured"},
	{"no checks", func(o *Outcome) { o.Checks = nil }, reports.Inconclusive, "steady state was not measured"},
	{"no gate", func(o *Outcome) { o.Checks = o.Checks[1:] }, reports.Inconclusive, "steady state was not measured"},
	{"nothing after the gate", func(o *Outcome) { o.Checks = o.Checks[:1] }, reports.Inconclusive, "nothing was judged"},
	{"gate broken", func(o *Outcome) { o.Checks[0].Status = "broken" }, reports.Inconclusive, "not steady before any fault"},
	{"gate unknown", func(o *Outcome) { o.Checks[0].Status = "unknown" }, reports.Inconclusive, "not known to be steady"},
	{"gate in a state nobody knows", func(o *Outcome) { o.Checks[0].Status = "" }, reports.Inconclusive, "not known to be steady"},
	{"check unknown", func(o *Outcome) { o.Checks[1].Status = "unknown" }, reports.Inconclusive, "is unknown"},
	{"check in a state nobody knows", func(o *Outcome) { o.Checks[1].Status = "fine" }, reports.Inconclusive, "is unknown"},
	{"check broken", func(o *Outcome) { o.Checks[1].Status = "broken" }, reports.Deviated, "checkout during: success >= 99%"},
	{"check after broken", func(o *Outcome) { o.Checks[2].Status = "broken" }, reports.Deviated, "checkout after"},
	{"no fault", func(o *Outcome) { o.Faults = nil }, reports.Inconclusive, "no fault was injected"},
	{"no target", func(o *Outcome) { o.Faults[0].Targets = nil }, reports.Inconclusive, "had no target"},
	{"no effect", func(o *Outcome) { o.Faults[0].Evidence[0].Proven = false }, reports.Inconclusive, "did not bite cache-1"},
	{"no evidence", func(o *Outcome) { o.Faults[0].Evidence = nil }, reports.Inconclusive, "no evidence"},
	{"not bitten", func(o *Outcome) { o.Faults[0].Bit = false }, reports.Inconclusive, "not proven to bite"},
	{"evidence of one target of two", func(o *Outcome) { o.Faults[0].Targets = []string{"cache-1", "cache-2"} }, reports.Inconclusive, "not proven to bite every target"},
	{"not injected", func(o *Outcome) { o.Faults[0].State = "not injected" }, reports.Inconclusive, "was not injected"},
	{"no state", func(o *Outcome) { o.Faults[0].State = "" }, reports.Inconclusive, "was not injected"},
	{"fault failed", func(o *Outcome) { o.Faults[0].Error = "engine gone" }, reports.Inconclusive, "engine gone"},
	{"nothing injected as asked", func(o *Outcome) { o.NoInject, o.Faults = true, nil }, reports.Inconclusive, "as asked"},
	{"problem", func(o *Outcome) { o.Problems = []string{"the selector matched nothing"} }, reports.Inconclusive, "matched nothing"},
	{"guard", func(o *Outcome) { o.Guards[0].Broken = true }, reports.Aborted, "guard on checkout broken"},
	{"stopped", func(o *Outcome) { o.Aborted = []string{"interrupted"} }, reports.Aborted, "interrupted"},
	{"residue", func(o *Outcome) { o.Residue = []string{"table squall"} }, reports.Unrecovered, "left behind: table squall"},
	{"residue of a fault", func(o *Outcome) { o.Faults[0].Residue = []string{"paused"} }, reports.Unrecovered, "left behind by fault 1 (kill on cache): paused"},
	{"undo failed", func(o *Outcome) { o.Faults[0].State, o.Faults[0].Error = "unrecovered", "denied" }, reports.Unrecovered, "could not be undone: denied"},
}

func TestVerdictSpoiled(t *testing.T) {
	for _, c := range spoiled {
		t.Run(c.name, func(t *testing.T) {
			o := green()
			c.spoil(&o)
			v, reasons := Verdict(o)
			if v != c.want || !strings.Contains(strings.Join(reasons, "\n"), c.reason) {
				t.Errorf("got %s, %q; want %s with %q", v, reasons, c.want, c.reason)
			}
			if v == reports.Held || v.ExitCode() == 0 {
				t.Error("a false green")
			}
		})
	}
}

// TestTheWorstWins spoils outcomes in several ways at once.
func TestTheWorstWins(t *testing.T) {
	order := []reports.Verdict{reports.Held, reports.Inconclusive, reports.Deviated, reports.Aborted, reports.Unrecovered}
	for i, a := range spoiled[5:] {
		for _, b := range spoiled[5+i:] {
			o := green()
			if !applies(&o, a.spoil, b.spoil) {
				continue
			}
			v, reasons := Verdict(o)
			// What the second spoils may take away what the first did, never more
			// than that: the verdict is one of the two, and the worse if both show.
			worst := a.want
			if slices.Index(order, b.want) > slices.Index(order, worst) {
				worst = b.want
			}
			all := strings.Join(reasons, "\n")
			if strings.Contains(all, a.reason) && strings.Contains(all, b.reason) && v != worst {
				t.Errorf("%s and %s: got %s, want %s: %q", a.name, b.name, v, worst, reasons)
			}
			if v == reports.Held {
				t.Errorf("%s and %s: held", a.name, b.name)
			}
			if reports.Worse(v.ExitCode(), worst.ExitCode()) != worst.ExitCode() {
				t.Errorf("%s and %s: %s is worse than both", a.name, b.name, v)
			}
		}
	}
}

// applies reports whether both could be done to o.
func applies(o *Outcome, spoil ...func(*Outcome)) (ok bool) {
	defer func() { ok = recover() == nil }()
	for _, f := range spoil {
		f(o)
	}
	return true
}

func TestReasonsAreOrdered(t *testing.T) {
	o := green()
	o.Residue, o.Aborted, o.Problems = []string{"r"}, []string{"a"}, []string{"p"}
	o.Checks[1].Status = "broken"
	v, reasons := Verdict(o)
	want := []string{"left behind: r", "a", "checkout during: success >= 99%, got 100%", "p"}
	if v != reports.Unrecovered || !slices.Equal(reasons, want) {
		t.Errorf("got %s, %q", v, reasons)
	}
}

// TestHeldNeedsEverything draws outcomes at random: none with anything unknown,
// broken, unproven or left behind is held.
func TestHeldNeedsEverything(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	statuses := []string{"held", "held", "held", "held", "broken", "unknown"}
	held := 0
	for range 20_000 {
		o := Outcome{NoInject: r.IntN(20) == 0}
		perfect := !o.NoInject
		gate, later := false, false
		for range r.IntN(4) {
			c := check([]string{Baseline, "during", "after"}[r.IntN(3)], statuses[r.IntN(len(statuses))])
			gate, later = gate || c.Phase == Baseline, later || c.Phase != Baseline
			perfect = perfect && c.Status == "held"
			o.Checks = append(o.Checks, c)
		}
		for range r.IntN(3) {
			f := bitten()
			if r.IntN(6) == 0 {
				f.Bit, perfect = false, false
			}
			if r.IntN(6) == 0 {
				f.Evidence[0].Proven, perfect = false, false
			}
			o.Faults = append(o.Faults, f)
		}
		if r.IntN(10) == 0 {
			o.Residue, perfect = []string{"x"}, false
		}
		perfect = perfect && gate && later && len(o.Faults) > 0
		v, reasons := Verdict(o)
		if (v == reports.Held) != perfect || len(reasons) == 0 {
			t.Fatalf("got %s, %q of %+v", v, reasons, o)
		}
		if perfect {
			held++
		}
	}
	if held == 0 {
		t.Error("none was held: the test shows nothing")
	}
}

package reports

import (
	"fmt"
	"slices"
	"strings"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"
)

// maxProofs is how much evidence of one fault is spelled out; what was not
// proven always is.
const maxProofs = 5

func (p *page) faults(r *Result) {
	if len(r.Faults) == 0 {
		p.section("Faults", "none")
		return
	}
	p.section("Faults", faultTally(r.Faults))
	for i, f := range r.Faults {
		if i > 0 {
			p.b.WriteString("\n")
		}
		p.fault1(f)
	}
}

func faultTally(faults []Fault) string {
	bit, undone := 0, 0
	for _, f := range faults {
		if f.Bit {
			bit++
		}
		if f.State != "unrecovered" && len(f.Residue) == 0 {
			undone++
		}
	}
	s := fmt.Sprintf("%d of %d proven to bite", bit, len(faults))
	if undone < len(faults) {
		s += ", " + counted(len(faults)-undone, "fault") + " not undone"
	}
	return s
}

// fault1 writes one fault with its proof and how the system coped.
func (p *page) fault1(f Fault) {
	asked := Inert(f.Asked)
	if asked == "" {
		asked = Inert(f.Fault)
	}
	p.item(fmt.Sprintf("%s%-2s ", indent, ansi.Truncate(Inert(f.ID), 8, "…")), p.fault.Bold(true), asked, p.bold)
	if len(f.Targets) > 0 {
		p.field("on", strings.Join(InertAll(f.Targets), ", "), p.plain)
	}
	state, style := p.faultState(f)
	p.field("in force", state, style)
	if f.Error != "" {
		p.field("error", Inert(f.Error), p.bad)
	}
	p.proofs(f)
	for _, s := range f.Residue {
		p.field("left", Inert(s), p.bad)
	}
	if f.Coping != nil && f.State != "not injected" {
		p.coping(*f.Coping)
	}
}

func (p *page) faultState(f Fault) (string, lipgloss.Style) {
	span := offset(f.Start) + " to " + offset(f.End) + ", "
	switch f.State {
	case "reverted":
		return span + "then undone", p.plain
	case "irreversible":
		return "from " + offset(f.Start) + "; coming back was left to the system", p.plain
	case "ended early":
		return span + "ended early and undone", p.doubt
	case "not injected":
		return "never: not injected", p.doubt
	case "unrecovered":
		return "from " + offset(f.Start) + "; not undone, or not all of it", p.bad
	}
	return span + Inert(f.State), p.plain
}

func (p *page) proofs(f Fault) {
	evidence := slices.Clone(f.Evidence)
	slices.SortStableFunc(evidence, func(a, b Evidence) int {
		switch {
		case a.Proven == b.Proven:
			return 0
		case b.Proven:
			return -1
		}
		return 1
	})
	if len(evidence) == 0 && f.State != "not injected" {
		p.field("proof", "? none was taken", p.doubt)
	}
	for i, e := range evidence {
		if i >= maxProofs && e.Proven {
			p.field("", "… and "+counted(len(evidence)-i, "more target")+", all proven", p.faint)
			return
		}
		label, sign, style := "", "✓ ", p.good
		if i == 0 {
			label = "proof"
		}
		if !e.Proven {
			sign, style = "✗ ", p.bad
		}
		p.field(label, sign+Inert(e.Target)+": asked "+said(e.Asked)+", measured "+said(e.Measured), style)
	}
}

// said is what evidence holds, or that it holds nothing.
func said(s string) string {
	if s == "" {
		return "nothing"
	}
	return Inert(s)
}

// coping writes the four phases of fault tolerance.
func (p *page) coping(c Coping) {
	switch {
	case c.Detected == nil:
		p.field("detected", "never: no probe noticed", p.plain)
	case c.DetectedBy != "":
		p.field("detected", Seconds(*c.Detected)+" later, by "+Inert(c.DetectedBy), p.plain)
	default:
		p.field("detected", Seconds(*c.Detected)+" later", p.plain)
	}
	var damage []string
	for _, d := range c.Damaged {
		damage = append(damage, fmt.Sprintf("%s: %d of %d failed, longest outage %s", Inert(d.Probe), d.Failed, d.Of, Seconds(d.Outage)))
	}
	if damage == nil {
		damage = []string{"none"}
	}
	p.field("damage", strings.Join(damage, "; "), p.plain)
	switch {
	case c.Detected == nil:
		p.field("recovered", "nothing to recover from", p.plain)
	case c.Recovered != nil && c.RecoveredUnder:
		p.field("recovered", Seconds(*c.Recovered)+" later, while the fault was in force", p.plain)
	case c.Recovered != nil:
		p.field("recovered", Seconds(*c.Recovered)+" later, after the fault", p.plain)
	default:
		p.field("recovered", "not seen", p.bad)
	}
	p.field("continued", fmt.Sprintf("%.1f%% of all readings were good while it lasted", finite(c.Continued)*100), p.plain)
}

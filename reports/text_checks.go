package reports

import (
	"strconv"
	"strings"

	"github.com/charmbracelet/lipgloss"
)

func (p *page) checks(r *Result) {
	if len(r.Checks) == 0 {
		p.section("Checks", "none was made")
		return
	}
	p.section("Checks", tally(r.Checks))
	head := []cell{{}, {}, {text: "probe"}, {text: "phase"}, {text: "metric"}, {text: "wanted"}, {text: "got"}, {text: "samples", right: true}}
	for i := range head {
		head[i].style = p.faint
	}
	t := table{rows: [][]cell{head}}
	for _, c := range r.Checks {
		t.rows = append(t.rows, p.checkRow(c))
	}
	p.table(t)
	for _, c := range r.Checks {
		if c.Reason != "" {
			claim := strings.Join(InertAll([]string{c.Probe, c.Phase, c.Metric}), " ")
			p.item(indent+"? ", p.doubt, claim+": "+Inert(c.Reason), p.plain)
		}
	}
}

func (p *page) checkRow(c Check) []cell {
	sign, style := p.checkSign(c.Status)
	got := Inert(c.Got)
	if got == "" {
		got = "–"
	}
	return []cell{
		{text: sign, style: style},
		{text: Inert(c.Status), style: style},
		{text: Inert(c.Probe), style: p.plain},
		{text: Inert(c.Phase), style: p.plain},
		{text: Inert(c.Metric), style: p.plain},
		{text: Inert(c.Wanted), style: p.plain},
		{text: got, style: style},
		{text: strconv.Itoa(c.Samples), style: p.faint, right: true},
	}
}

func (p *page) checkSign(status string) (string, lipgloss.Style) {
	switch status {
	case CheckHeld:
		return "✓", p.good
	case CheckBroken:
		return "✗", p.bad
	}
	return "?", p.doubt
}

// tally counts checks by their status.
func tally(checks []Check) string {
	n := map[string]int{}
	for _, c := range checks {
		n[c.Status]++
	}
	if n[CheckHeld] == len(checks) {
		return strings.TrimPrefix("all "+strconv.Itoa(len(checks))+" held", "all 1 ")
	}
	var parts []string
	for _, s := range []string{CheckBroken, CheckUnknown, CheckHeld} {
		if n[s] > 0 {
			parts = append(parts, strconv.Itoa(n[s])+" "+s)
		}
	}
	return strings.Join(parts, ", ")
}

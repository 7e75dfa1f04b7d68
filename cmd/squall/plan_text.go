package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"

	"github.com/squall-chaos/squall/experiments"
	"github.com/squall-chaos/squall/injectors"
	"github.com/squall-chaos/squall/reports"
)

// planText writes p for people: which targets were chosen, then step by step what
// will be done to which of them, when, with which change and which undo, then
// what is claimed of the system meanwhile.
func planText(w io.Writer, p *experiments.Plan, o reports.TextOptions) error {
	t := newPlanPage(o)
	t.about(p)
	t.targets(p.Targets)
	t.heading("Timeline")
	t.moment(p.Baseline.Start, "", "baseline"+lasting(p.Baseline.End-p.Baseline.Start)+": nothing is disturbed unless the system is steady", t.styles.title)
	t.steps(p.Steps)
	t.moment(p.Recovery.Start, "", "recovery, until the system is steady, at the latest "+offset(p.Recovery.End), t.styles.good)
	t.list("Hypothesis", p.Hypothesis)
	t.list("Guards", p.Guards)
	_, err := io.WriteString(w, t.b.String())
	return err
}

// Columns of a plan.
const (
	timeColumn   = 9  // the moment, aligned to the right
	stepColumn   = 6  // the step's ID
	detailIndent = 4  // of what belongs to a step
	labelColumn  = 11 // names of such details
)

type planPage struct {
	b      strings.Builder
	width  int
	styles palette
}

func newPlanPage(o reports.TextOptions) *planPage {
	width := o.Width
	if width == 0 {
		width = defaultCols
	}
	return &planPage{width: max(width, 40), styles: newPalette(liveColors(io.Discard, o.Color))}
}

func (t *planPage) about(p *experiments.Plan) {
	t.item("", t.styles.plain, reports.Inert(p.Title), t.styles.bold)
	file := reports.Inert(p.File)
	if p.Document > 0 {
		file += ", document " + strconv.Itoa(p.Document+1)
	}
	t.item("", t.styles.plain, fmt.Sprintf("%s · seed %d · at most %s", file, p.Seed, reports.Seconds(p.Recovery.End)), t.styles.faint)
	var vars []string
	for _, name := range slices.Sorted(maps.Keys(p.Variables)) {
		vars = append(vars, reports.Inert(name+"="+p.Variables[name]))
	}
	if len(vars) > 0 {
		t.item("", t.styles.plain, strings.Join(vars, ", "), t.styles.faint)
	}
}

func (t *planPage) heading(name string) {
	t.b.WriteString("\n" + t.styles.title.Render(name) + "\n")
}

// item writes text after a lead, wrapped beside it.
func (t *planPage) item(lead string, leadStyle lipgloss.Style, text string, style lipgloss.Style) {
	room := ansi.StringWidth(lead)
	for i, l := range reports.Wrap(text, max(t.width-room, 10)) {
		if i == 0 && lead != "" {
			t.b.WriteString(leadStyle.Render(lead))
		} else {
			t.b.WriteString(strings.Repeat(" ", room))
		}
		t.b.WriteString(style.Render(l) + "\n")
	}
}

func (t *planPage) targets(all []experiments.PlannedTarget) {
	if len(all) == 0 {
		return
	}
	t.heading("Targets")
	name := 0
	for _, g := range all {
		name = max(name, ansi.StringWidth(reports.Inert(g.Name)))
	}
	name = min(name, t.width/4)
	for _, g := range all {
		text := reports.Inert(g.Selector)
		if !strings.Contains(g.Selector, g.Driver) {
			text = reports.Inert(g.Driver) + " " + text
		}
		if g.Pick != "" {
			text += ", pick " + reports.Inert(g.Pick)
		}
		style := t.styles.plain
		switch {
		case len(g.Candidates) == 0:
			text, style = text+": matches nothing", t.styles.bad
		case len(g.Chosen) == len(g.Candidates):
			text += ": " + names(g.Chosen)
		default:
			text += ": " + names(g.Chosen) + ", out of " + names(g.Candidates)
		}
		t.item("  "+pad(reports.Inert(g.Name), name)+"  ", t.styles.bold, text, style)
	}
}

func names(list []experiments.Named) string {
	if len(list) == 0 {
		return "none"
	}
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = reports.Inert(n.Name)
	}
	return strings.Join(out, ", ")
}

func offset(seconds float64) string { return fmt.Sprintf("%.1fs", seconds) }

// moment writes what happens at one time.
func (t *planPage) moment(at float64, id, text string, style lipgloss.Style) {
	lead := fmt.Sprintf("%*s  ", timeColumn, offset(at))
	if id != "" {
		lead += pad(reports.Inert(id), stepColumn)
	}
	t.item(lead, t.styles.faint, text, style)
}

func (t *planPage) steps(steps []experiments.PlannedStep) {
	for _, s := range steps {
		text, style := reports.Inert(s.Text), t.styles.plain
		if s.Kind == experiments.StepFault {
			style = t.styles.fault.Bold(true)
		}
		if s.Round > 0 {
			text += fmt.Sprintf(" (round %d)", s.Round)
		}
		t.moment(s.Start, s.ID, text, style)
		if s.Kind == experiments.StepFault {
			t.fault(s)
		}
		t.steps(s.Steps)
	}
}

// fault writes what becomes of a fault: its targets, its changes and its end.
func (t *planPage) fault(s experiments.PlannedStep) {
	switch {
	case len(s.Targets) > 0:
		t.detail("on", strings.Join(reports.InertAll(s.Targets), ", "), t.styles.plain)
	case s.On != "":
		t.detail("on", "nothing: "+reports.Inert(s.On)+" has no target", t.styles.bad)
	}
	for _, c := range s.Changes {
		t.change(c)
	}
	if s.For > 0 {
		t.detail("ends", "at "+offset(s.End)+", undone", t.styles.plain)
	} else {
		t.detail("ends", "not by us: coming back is left to the system", t.styles.doubt)
	}
	if s.OnRestart != "" {
		t.detail("on restart", reports.Inert(s.OnRestart), t.styles.plain)
	}
}

func (t *planPage) change(c injectors.Change) {
	t.detail("do", reports.Inert(c.Do), t.styles.plain)
	if c.Undo != "" {
		t.detail("undo", reports.Inert(c.Undo), t.styles.good)
	}
	for _, n := range c.Notes {
		t.detail("but", reports.Inert(n), t.styles.doubt)
	}
}

func (t *planPage) detail(label, text string, style lipgloss.Style) {
	lead := strings.Repeat(" ", timeColumn+2+stepColumn) + pad(label, labelColumn)
	if t.width < narrow {
		lead = strings.Repeat(" ", detailIndent) + pad(label, labelColumn)
	}
	t.item(lead, t.styles.faint, text, style)
}

func (t *planPage) list(heading string, items []string) {
	if len(items) == 0 {
		return
	}
	t.heading(heading)
	for _, s := range items {
		t.item("  • ", t.styles.faint, reports.Inert(s), t.styles.plain)
	}
}

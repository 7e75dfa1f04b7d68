package reports

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"
	"github.com/muesli/termenv"
)

// TextOptions is how Text lays a summary out.
type TextOptions struct {
	Width int  // cells in a line; 0 means 80, and less than 40 is taken as 40
	Color bool // with the terminal's own sixteen colours
}

// Text writes the summary of r for a terminal: the verdict first and why, then
// what is left behind, the checks, the faults with how the system coped, the
// probes over time, notes, and how to run the same again. No line is wider than
// the width, except paths and the replay command, which people copy whole.
// Everything that came from outside is made inert.
func Text(w io.Writer, r *Result, o TextOptions) error {
	p := newPage(o)
	p.verdict(r)
	p.residue(r)
	p.about(r)
	p.checks(r)
	p.faults(r)
	p.probes(r)
	p.timeline(r)
	p.guards(r)
	p.notes(r)
	p.replay(r)
	_, err := io.WriteString(w, p.b.String())
	return err
}

// page collects the lines of a summary.
type page struct {
	b                             strings.Builder
	width                         int
	plain, bold, faint, head      lipgloss.Style
	good, bad, doubt, info, fault lipgloss.Style
}

func newPage(o TextOptions) *page {
	width := o.Width
	if width == 0 {
		width = 80
	}
	colors := lipgloss.NewRenderer(io.Discard, termenv.WithProfile(termenv.Ascii))
	if o.Color {
		colors.SetColorProfile(termenv.ANSI)
	}
	s := colors.NewStyle()
	return &page{
		width: max(width, 40),
		plain: s,
		bold:  s.Bold(true),
		faint: s.Faint(true),
		head:  s.Bold(true).Foreground(lipgloss.Color("6")),
		good:  s.Foreground(lipgloss.Color("2")),
		bad:   s.Foreground(lipgloss.Color("1")),
		doubt: s.Foreground(lipgloss.Color("3")),
		info:  s.Foreground(lipgloss.Color("6")),
		fault: s.Foreground(lipgloss.Color("5")),
	}
}

const indent = "  "

// section starts a part of the page.
func (p *page) section(name, remark string) {
	p.b.WriteString("\n" + p.head.Render(name))
	if remark != "" {
		lines := Wrap(remark, p.width-ansi.StringWidth(name)-2)
		p.b.WriteString("  " + p.faint.Render(lines[0]))
		for _, l := range lines[1:] {
			p.b.WriteString("\n" + strings.Repeat(" ", ansi.StringWidth(name)+2) + p.faint.Render(l))
		}
	}
	p.b.WriteString("\n")
}

// item writes text after a lead, wrapped beside it.
func (p *page) item(lead string, leadStyle lipgloss.Style, text string, style lipgloss.Style) {
	room := ansi.StringWidth(lead)
	for i, l := range Wrap(text, p.width-room) {
		if i == 0 {
			p.b.WriteString(leadStyle.Render(lead))
		} else {
			p.b.WriteString(strings.Repeat(" ", room))
		}
		p.b.WriteString(style.Render(l) + "\n")
	}
}

// field writes a labelled text that people read.
func (p *page) field(label, text string, style lipgloss.Style) {
	p.item(fmt.Sprintf("%s   %-11s", indent, label), p.faint, text, style)
}

func (p *page) table(t table) {
	for _, l := range t.lines(p.width - len(indent)) {
		p.b.WriteString(indent + l + "\n")
	}
}

var verdictSentence = map[Verdict]string{
	Held:         "the system kept its steady state",
	Deviated:     "the system left its steady state",
	Inconclusive: "this run shows nothing, neither good nor bad",
	Aborted:      "the run was stopped, and what it did was undone",
	Unrecovered:  "something of this run is left behind, or may be",
}

// Sign is the mark and the word that stand for v: "✓ HELD".
func (v Verdict) Sign() string {
	switch v {
	case Held:
		return "✓ HELD"
	case Deviated, Unrecovered:
		return "✗ " + strings.ToUpper(string(v))
	case Aborted:
		return "■ ABORTED"
	case Inconclusive:
		return "? INCONCLUSIVE"
	}
	return "? " + strings.ToUpper(Inert(string(v)))
}

func (p *page) verdictStyle(v Verdict) lipgloss.Style {
	switch v {
	case Held:
		return p.good.Bold(true)
	case Deviated, Unrecovered:
		return p.bad.Bold(true)
	}
	return p.doubt.Bold(true)
}

func (p *page) verdict(r *Result) {
	sentence := cmp.Or(verdictSentence[r.Verdict], "this squall does not know this verdict")
	if len(r.Reasons) > 0 {
		sentence += ": " + Inert(r.Reasons[0])
	}
	p.item(r.Verdict.Sign()+"  ", p.verdictStyle(r.Verdict), sentence, p.bold)
	if len(r.Reasons) > 1 {
		for _, reason := range r.Reasons[1:] {
			p.item(indent+"• ", p.faint, Inert(reason), p.plain)
		}
	}
	if r.NoInject {
		p.item(indent+"• ", p.faint, "no fault was injected: the run was asked to do everything but the faults", p.plain)
	}
}

func (p *page) residue(r *Result) {
	if len(r.Residue) == 0 {
		return
	}
	p.section("Left behind", "remove it, or let \"squall recover\" try again")
	for _, s := range r.Residue {
		p.item(indent+"✗ ", p.bad, Inert(s), p.plain)
	}
}

func (p *page) about(r *Result) {
	p.b.WriteString("\n")
	p.item(indent, p.plain, Inert(r.Title), p.bold)
	parts := []string{Inert(r.Run), "took " + Seconds(r.Duration), "seed " + strconv.FormatUint(r.Seed, 10)}
	if !r.Started.IsZero() {
		parts = slices.Insert(parts, 1, r.Started.Format("2006-01-02 15:04:05 MST"))
	}
	if len(r.Tags) > 0 {
		parts = append(parts, "tags "+strings.Join(InertAll(r.Tags), ", "))
	}
	p.item(indent, p.plain, strings.Join(parts, " · "), p.faint)
}

func (p *page) notes(r *Result) {
	if len(r.Notes) == 0 {
		return
	}
	p.section("Notes", "")
	for _, n := range r.Notes {
		p.item(indent+"• ", p.faint, Inert(n), p.plain)
	}
}

func (p *page) guards(r *Result) {
	if len(r.Guards) == 0 {
		return
	}
	p.section("Guards", "")
	for _, g := range r.Guards {
		claim := Inert(g.Probe) + " " + Inert(g.Claim)
		if !g.Broken {
			p.item(indent+"✓ ", p.good, claim, p.plain)
			continue
		}
		if g.At != nil {
			claim += ", broken at " + offset(*g.At)
		}
		if g.Got != "" {
			claim += ", got " + Inert(g.Got)
		}
		p.item(indent+"✗ ", p.bad, claim, p.plain)
	}
}

// replay writes what is copied; it is never broken into lines.
func (p *page) replay(r *Result) {
	p.section("Again", "")
	for _, f := range [][2]string{{"replay", r.Replay}, {"files", r.Directory}} {
		if f[1] != "" {
			fmt.Fprintf(&p.b, "%s%s%s\n", indent, p.faint.Render(fmt.Sprintf("%-8s", f[0])), Inert(f[1]))
		}
	}
}

// offset is a moment of the run.
func offset(t float64) string { return strconv.FormatFloat(finite(t), 'f', 1, 64) + "s" }

// counted is "1 fault" or "3 faults".
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

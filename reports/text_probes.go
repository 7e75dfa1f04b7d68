package reports

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"
)

// maxFailures is how many different failures of one probe are spelled out.
const maxFailures = 3

func (p *page) probes(r *Result) {
	if len(r.Probes) == 0 {
		return
	}
	p.section("Probes", "")
	head := []cell{
		{text: "probe"},
		{text: "kind"},
		{text: "readings", right: true},
		{text: "failed", right: true},
		{text: "unmeasured", right: true},
		{text: "p50", right: true},
		{text: "p99", right: true},
		{text: "max", right: true},
	}
	for i := range head {
		head[i].style = p.faint
	}
	t := table{rows: [][]cell{head}}
	for _, q := range r.Probes {
		t.rows = append(t.rows, p.probeRow(q))
	}
	p.table(t)
	for _, q := range r.Probes {
		for _, f := range topFailures(q.Failures) {
			p.item(indent+"✗ ", p.bad, fmt.Sprintf("%s, %d times: %s", Inert(q.Name), q.Failures[f], Inert(f)), p.plain)
		}
	}
}

func (p *page) probeRow(q Probe) []cell {
	kind := Inert(q.Kind)
	if !q.Rate.IsZero() {
		kind += " " + q.Rate.String()
	}
	if q.From != "" {
		kind += " from " + Inert(q.From)
	}
	latency := func(key string) cell {
		text := "–"
		if v, ok := q.Latency[key]; ok {
			text = Seconds(v)
		}
		return cell{text: text, style: p.plain, right: true}
	}
	return []cell{
		{text: Inert(q.Name), style: p.bold},
		{text: kind, style: p.plain},
		{text: strconv.Itoa(q.Readings), style: p.plain, right: true},
		{text: strconv.Itoa(q.Failed), style: p.ifAny(q.Failed, p.bad), right: true},
		{text: strconv.Itoa(q.Unmeasured), style: p.ifAny(q.Unmeasured, p.doubt), right: true},
		latency("p50"), latency("p99"), latency("max"),
	}
}

func (p *page) ifAny(n int, style lipgloss.Style) lipgloss.Style {
	if n > 0 {
		return style
	}
	return p.faint
}

func topFailures(failures map[string]int) []string {
	var names []string
	for name := range failures {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(failures[b], failures[a]), cmp.Compare(a, b))
	})
	return names[:min(len(names), maxFailures)]
}

// timeline draws the probes and the faults on one scale of time.
func (p *page) timeline(r *Result) {
	label := 0
	for _, q := range r.Probes {
		label = max(label, ansi.StringWidth(Inert(q.Name)))
	}
	for _, f := range r.Faults {
		label = max(label, ansi.StringWidth(faultLabel(f)))
	}
	label = min(label, p.width/4)
	end := math.Ceil(finite(r.Duration))
	columns := int(min(end, float64(p.width-len(indent)-label-2)))
	if len(r.Probes) == 0 || columns < 4 {
		return
	}
	p.section("Over time", Seconds(end/float64(columns))+" a column by p99: "+Legend)
	for _, q := range r.Probes {
		p.label(Inert(q.Name), label, p.bold)
		for _, c := range Sparkline(q.Points, 0, end, columns) {
			p.b.WriteString(p.markStyle(c.Mark).Render(c.Glyph))
		}
		p.b.WriteString("\n")
	}
	for _, f := range r.Faults {
		if f.State == "not injected" {
			continue
		}
		p.label(faultLabel(f), label, p.fault)
		p.b.WriteString(p.fault.Render(lane(f.Start, f.End, end, columns)) + "\n")
	}
	p.label("", label, p.plain)
	p.b.WriteString(p.faint.Render(ruler(r.Phases, end, columns)) + "\n")
}

func faultLabel(f Fault) string { return strings.TrimSpace(Inert(f.ID) + " " + Inert(f.Fault)) }

func (p *page) label(text string, width int, style lipgloss.Style) {
	text = ansi.Truncate(text, width, "…")
	p.b.WriteString(indent + style.Render(text) + strings.Repeat(" ", width-ansi.StringWidth(text)+2))
}

func (p *page) markStyle(m Mark) lipgloss.Style {
	switch m {
	case MarkAll, MarkSome:
		return p.bad
	case MarkUnmeasured:
		return p.doubt
	case MarkNone:
		return p.faint
	}
	return p.good
}

// lane is a bar from start to end, at least one column of it.
func lane(start, end, whole float64, columns int) string {
	at := func(t float64) int { return int(min(max(finite(t)/whole, 0), 1) * float64(columns)) }
	from := min(at(start), columns-1)
	to := max(at(end), from+1)
	return strings.Repeat(" ", from) + strings.Repeat("━", to-from)
}

// ruler marks where phases start, with as much of their names as has room.
func ruler(phases []Phase, whole float64, columns int) string {
	at := func(ph Phase) int { return int(min(max(finite(ph.Start)/whole, 0), 1) * float64(columns)) }
	var b strings.Builder
	used := 0
	for i, ph := range phases {
		from, to := at(ph), columns
		if i+1 < len(phases) {
			to = at(phases[i+1])
		}
		if from < used || from >= columns {
			continue
		}
		room := to - from - 1
		if room < 5 {
			room = 1 // nobody can read less
		}
		name := ansi.Truncate("╵"+Inert(ph.Name), room, "")
		b.WriteString(strings.Repeat(" ", from-used) + name)
		used = from + ansi.StringWidth(name)
	}
	return b.String()
}

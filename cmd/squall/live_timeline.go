package main

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"

	"github.com/squall-chaos/squall/experiments/runner"
)

// maxLanes is how many rows steps that overlap may take.
const maxLanes = 3

// playhead is where a run is on its planned timeline. Undoing and waiting for a
// person take time that no plan knows, so every phase and step that starts sets
// the head to where the plan has it.
type playhead struct {
	planned float64        // where the newest phase or step stands in the plan
	actual  float64        // when it really started
	limit   float64        // where the head waits, should it take longer than planned
	open    []opening      // steps that have started and not ended
	rounds  map[string]int // how often a step has started
}

type opening struct {
	step string
	end  float64
}

func (h *playhead) enter(spans []runner.Span, phase, step string, t float64) {
	span, ok := h.find(spans, phase, step)
	if !ok {
		return
	}
	h.planned, h.actual, h.limit = span.Start, t, span.End
	if step == "" {
		h.open = nil
		return
	}
	h.open = append(h.open, opening{step, span.End})
	h.wait()
}

// find is the span of a phase or a step; a repeated step has one for each round.
func (h *playhead) find(spans []runner.Span, phase, step string) (found runner.Span, ok bool) {
	round := h.rounds[step]
	for _, s := range spans {
		if s.Step != step || step == "" && s.Name != phase {
			continue
		}
		if found, ok = s, true; round <= 0 {
			break
		}
		round--
	}
	if h.rounds == nil {
		h.rounds = map[string]int{}
	}
	if step != "" {
		h.rounds[step]++
	}
	return found, ok
}

func (h *playhead) leave(step string) {
	h.open = slices.DeleteFunc(h.open, func(o opening) bool { return o.step == step })
	h.wait()
}

// wait sets the limit to the latest end of the steps that are open.
func (h *playhead) wait() {
	for i, o := range h.open {
		if i == 0 || o.end > h.limit {
			h.limit = o.end
		}
	}
}

// at is the planned time that corresponds to now.
func (h *playhead) at(now float64) float64 {
	return min(h.planned+max(0, now-h.actual), max(h.limit, h.planned))
}

// timeline draws the plan and how far it got: names of the phases, the bar, and
// the steps below it in as many rows as overlap.
func (s *screen) timeline(width int) []string {
	total := 0.0
	for _, sp := range s.spans {
		total = max(total, sp.End)
	}
	if !(total > 0) || math.IsInf(total, 0) || width < 10 {
		return nil
	}
	head := s.head.at(s.now)
	scale := func(t float64) int { return int(min(max(t/total, 0), 1) * float64(width)) }
	names, bar := s.phases(width, scale, min(scale(head), width-1))
	return append([]string{names, bar}, s.lanes(width, scale, head)...)
}

// phases draws the names of the phases and the bar below them.
func (s *screen) phases(width int, scale func(float64) int, head int) (string, string) {
	var names, bar strings.Builder
	done := s.ended && s.verdict.ExitCode() != 4
	for i, sp := range s.mainSpans() {
		from, to := scale(sp.Start), scale(sp.End)
		style := s.styles.phase(sp.Name)
		name := ansi.Truncate(sp.Name, max(0, to-from-1), "")
		nameStyle := s.styles.faint
		if sp.Name == s.phase && !s.ended {
			nameStyle = style.Bold(true)
		}
		names.WriteString(nameStyle.Render(name) + strings.Repeat(" ", max(0, to-from-ansi.StringWidth(name))))
		for c := from; c < to; c++ {
			past := done || c < head
			switch {
			case c == head && !done:
				bar.WriteString(s.playheadMark())
			case c == from && i > 0 && past:
				bar.WriteString(style.Render("┿"))
			case c == from && i > 0:
				bar.WriteString(s.styles.faint.Render("┼"))
			case past:
				bar.WriteString(style.Render("━"))
			default:
				bar.WriteString(s.styles.faint.Render("─"))
			}
		}
	}
	return strings.TrimRight(names.String(), " "), bar.String()
}

func (s *screen) playheadMark() string {
	if s.ended {
		return s.styles.doubt.Bold(true).Render("■")
	}
	return s.styles.plain.Bold(true).Render("●")
}

// mainSpans are the phases in their order, one beginning where another ends.
func (s *screen) mainSpans() []runner.Span {
	var out []runner.Span
	at := 0.0
	for _, sp := range s.spans {
		if sp.Step == "" && sp.End > at {
			sp.Start, at = at, sp.End
			out = append(out, sp)
		}
	}
	return out
}

// lanes draws the steps, those that overlap below each other.
func (s *screen) lanes(width int, scale func(float64) int, head float64) []string {
	var steps []runner.Span
	for _, sp := range s.spans {
		if sp.Step != "" && !s.holdsSteps(sp) {
			steps = append(steps, sp)
		}
	}
	slices.SortStableFunc(steps, func(a, b runner.Span) int { return cmp.Compare(a.Start, b.Start) })
	var rows []strings.Builder
	var used []int
	for _, sp := range steps {
		from := min(scale(sp.Start), width-1)
		to := max(scale(sp.End), from+1)
		lane := slices.IndexFunc(used, func(u int) bool { return u <= from })
		if lane < 0 {
			if len(used) == maxLanes {
				continue
			}
			lane = len(used)
			used, rows = append(used, 0), append(rows, strings.Builder{})
		}
		rows[lane].WriteString(strings.Repeat(" ", from-used[lane]) + s.stepBar(sp, to-from, head))
		used[lane] = to
	}
	out := make([]string, len(rows))
	for i := range rows {
		out[i] = rows[i].String()
	}
	return out
}

// holdsSteps reports whether sp is only a bracket around other steps.
func (s *screen) holdsSteps(sp runner.Span) bool {
	return slices.ContainsFunc(s.spans, func(o runner.Span) bool { return strings.HasPrefix(o.Step, sp.Step+".") })
}

// stepBar is a step of at least one column: heavy while it lasts, faint before.
func (s *screen) stepBar(sp runner.Span, columns int, head float64) string {
	left, fill, right, style := "├", "─", "┤", s.styles.plain
	switch {
	case s.ended && head < sp.End, head < sp.Start:
		style = s.styles.faint
	case head < sp.End:
		left, fill, right, style = "┝", "━", "┥", s.styles.fault.Bold(true)
	}
	return style.Render(drawStep(sp.Name, left, fill, right, columns))
}

func drawStep(name, left, fill, right string, columns int) string {
	switch {
	case columns == 1:
		return "│"
	case columns == 2:
		return left + right
	}
	name = ansi.Truncate(name, columns-2, "")
	if columns < 5 {
		name = ""
	}
	return left + name + strings.Repeat(fill, columns-2-ansi.StringWidth(name)) + right
}

// palette is how the parts of the screen look.
type palette struct {
	plain, bold, faint, title, section lipgloss.Style
	good, doubt, bad, fault, key       lipgloss.Style
	tones                              map[tone]lipgloss.Style
}

func newPalette(r *lipgloss.Renderer) palette {
	s, tones := r.NewStyle(), toneStyles(r)
	return palette{
		plain: s, bold: s.Bold(true), faint: s.Faint(true),
		title:   s.Bold(true).Foreground(lipgloss.Color("6")),
		section: s.Bold(true).Faint(true),
		good:    tones[toneGood], doubt: tones[toneDoubt], bad: tones[toneBad], fault: tones[toneFault],
		key:   s.Bold(true),
		tones: tones,
	}
}

func (p palette) phase(name string) lipgloss.Style {
	switch name {
	case "method":
		return p.fault
	case "recovery":
		return p.good
	}
	return p.title.Bold(false)
}

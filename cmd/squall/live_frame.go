package main

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"

	"github.com/squall-chaos/squall/reports"
)

// What is left out of a frame that is higher than the terminal, in this order.
const (
	roomy     = iota // everything
	compact          // no empty lines
	terse            // one line a fault
	tight            // the most important faults and probes only
	tightness        // number of the above
)

const (
	spareLines = 5 // of what happened, in a frame with room for them
	lastLines  = 8 // in the last frame, which stays
	narrow     = 60
)

// View implements tea.Model. No line is wider than the terminal, and the frame
// is not higher.
func (s *screen) View() string {
	width, height := max(s.width, 20), max(s.height-1, 5)
	if s.width <= 0 || s.height <= 0 {
		width, height = defaultCols, defaultRows-1
	}
	var top, bottom []string
	for level := roomy; level < tightness; level++ {
		top, bottom = s.top(width, height, level), s.bottom(width)
		if len(top)+len(bottom)+1 <= height {
			break
		}
	}
	spare := max(0, height-len(top)-len(bottom))
	lines := append(top, s.happened(width, spare, len(top)+len(bottom))...)
	lines = lines[:min(len(lines), max(0, height-len(bottom)))]
	lines = append(lines, bottom...)
	s.tall = max(s.tall, len(lines))
	for i, l := range lines {
		lines[i] = ansi.Truncate(l, width, "…")
	}
	return strings.Join(lines, "\n")
}

// top is all above the lines of what happened.
func (s *screen) top(width, height, level int) []string {
	lines := s.banner(width)
	blank := func() {
		if level < compact {
			lines = append(lines, "")
		}
	}
	if t := s.timeline(width); t != nil {
		blank()
		lines = append(lines, t...)
	}
	faultRoom, probeRoom := math.MaxInt, math.MaxInt
	if level >= tight {
		room := max(2, height-len(lines)-5)
		faultRoom = max(1, min(len(s.faults), room/2))
		probeRoom = max(1, room-faultRoom)
	}
	if f := s.faultLines(width, level >= terse, faultRoom); f != nil {
		blank()
		lines = append(lines, f...)
	}
	if p := s.probeLines(width, probeRoom); p != nil {
		blank()
		lines = append(lines, p...)
	}
	blank()
	return lines
}

// banner is the title and where the run is.
func (s *screen) banner(width int) []string {
	title := s.styles.title.Render("squall") + "  " + s.styles.bold.Render(s.title)
	where := s.phase
	switch {
	case s.ended:
		where = s.tone(verdictTone(s.verdict)).Bold(true).Render(s.verdict.Sign())
	case s.stopping != "":
		where = s.styles.doubt.Bold(true).Render("■ stopping")
	case s.preparing != "" || s.phase == "":
		where = s.styles.faint.Render("preparing")
	default:
		if left := s.phaseFrom + s.phaseFor - s.now; s.phaseFor > 0 && left > 0 {
			where += ", " + countdown(left) + " left"
		}
		where = s.styles.phase(s.phase).Render(where)
	}
	facts := fmt.Sprintf("%s · seed %d · %s", countdown(s.now), s.seed, s.run)
	if width < narrow {
		facts = countdown(s.now) + " · " + s.run
	}
	return []string{ansi.Truncate(title, width, "…"), spread(s.styles.faint.Render(facts), where, width)}
}

// faultLines are the faults in force and those that were until just now.
func (s *screen) faultLines(width int, terse bool, room int) []string {
	if len(s.faults) == 0 {
		return nil
	}
	lines := []string{s.styles.section.Render("FAULTS")}
	for i, f := range s.faults {
		if i >= room {
			return append(lines, s.styles.faint.Render(fmt.Sprintf("  … and %d more", len(s.faults)-i)))
		}
		mark, style, state := s.faultState(f, width)
		name := style.Render(mark+" "+reports.Inert(f.step)) + "  " + s.styles.bold.Render(f.text)
		lines = append(lines, spread(name, state, width))
		if !terse {
			lines = append(lines, s.faultDetail(f, width))
		}
	}
	return lines
}

func (s *screen) faultState(f *activeFault, width int) (string, lipgloss.Style, string) {
	st := s.styles
	switch f.state {
	case "injecting":
		return "○", st.fault, st.faint.Render("injecting…")
	case "lost":
		return "✗", st.bad, st.bad.Render("lost")
	case "undoing":
		return "○", st.doubt, st.doubt.Render("undoing…")
	case "undone":
		return "✓", st.good, st.good.Render("undone")
	case "left":
		return "✗", st.bad, st.bad.Bold(true).Render("left behind")
	}
	if f.length <= 0 {
		return "●", st.fault, st.faint.Render("not undone by us")
	}
	left := max(0, f.since+f.length-s.now)
	if width < narrow {
		return "●", st.fault, st.fault.Render(countdown(left) + " left")
	}
	return "●", st.fault, st.fault.Render(meter(left/f.length, 10)) + fmt.Sprintf(" %6s left", countdown(left))
}

// faultDetail is where a fault is and what proves it.
func (s *screen) faultDetail(f *activeFault, width int) string {
	text := "on " + someOf(f.targets, 3)
	if f.detail != "" {
		return s.styles.bad.Render(ansi.Truncate("     "+text+" · "+f.detail, width, "…"))
	}
	out := s.styles.faint.Render("     " + text)
	switch {
	case f.proof == "":
		return out
	case f.proven:
		return out + s.styles.faint.Render(" · ") + s.styles.good.Render("✓ "+f.proof)
	}
	return out + s.styles.faint.Render(" · ") + s.styles.bad.Render("✗ "+f.proof)
}

// probeColumns are the widths of a probe's line for a width of the terminal.
type probeColumns struct {
	name           int
	overall, p50   bool
	spark, numbers int
}

func (s *screen) probeColumns(width int) probeColumns {
	c := probeColumns{overall: width >= 64, p50: width >= 56}
	for _, g := range s.gauges {
		c.name = max(c.name, ansi.StringWidth(g.name), len("PROBES"))
	}
	c.name = min(c.name, max(8, width/4))
	c.numbers = 8 + 8 // now, p99
	if c.overall {
		c.numbers += 8
	}
	if c.p50 {
		c.numbers += 8
	}
	c.spark = min(max(0, width-c.name-c.numbers-2), history/2)
	return c
}

// probeLines are the probes, the worst ones when there is not room for all.
func (s *screen) probeLines(width, room int) []string {
	if len(s.gauges) == 0 {
		return nil
	}
	c := s.probeColumns(width)
	head := s.styles.section.Render(pad("PROBES", c.name))
	columns := fmt.Sprintf("%8s", fmt.Sprintf("last %ds", recent))
	if c.overall {
		columns += fmt.Sprintf("%8s", "overall")
	}
	if c.p50 {
		columns += fmt.Sprintf("%8s", "p50")
	}
	columns += fmt.Sprintf("%8s", "p99")
	if legend := "  " + reports.Legend; ansi.StringWidth(legend) <= c.spark+2 {
		columns += legend
	}
	lines := []string{head + s.styles.faint.Render(columns)}
	shown := s.gauges
	if len(shown) > room {
		shown = slices.Clone(shown)
		slices.SortStableFunc(shown, func(a, b *gauge) int { return badness(b) - badness(a) })
		shown = shown[:room]
	}
	for _, g := range shown {
		lines = append(lines, s.probeLine(g, c))
	}
	if hidden := len(s.gauges) - len(shown); hidden > 0 {
		lines = append(lines, s.styles.faint.Render(fmt.Sprintf("… and %d more that do better", hidden)))
	}
	return lines
}

func badness(g *gauge) int {
	w := g.window(recent)
	if w.OK+w.Failed == 0 {
		return 500
	}
	return 1000 * w.Failed / (w.OK + w.Failed)
}

func (s *screen) probeLine(g *gauge, c probeColumns) string {
	w := g.window(recent)
	style := s.styles.good
	switch {
	case w.OK+w.Failed == 0, w.Failed > w.OK:
		style = s.styles.bad
	case w.Failed > 0:
		style = s.styles.doubt
	}
	var b strings.Builder
	b.WriteString(s.styles.bold.Render(pad(g.name, c.name)))
	b.WriteString(style.Render(fmt.Sprintf("%8s", share(w.OK, w.Failed))))
	if c.overall {
		fmt.Fprintf(&b, "%8s", share(g.ok, g.failed))
	}
	if c.p50 {
		fmt.Fprintf(&b, "%8s", latency(w.P50))
	}
	fmt.Fprintf(&b, "%8s  ", latency(w.P99))
	to := g.last() + 1
	if s.now-to > staleAfter && !s.ended {
		to = math.Floor(s.now)
	}
	from := to - float64(c.spark)
	for i, col := range reports.Sparkline(g.points, from, to, c.spark) {
		if len(g.points) < history && from+float64(i)+.5 < g.points[0].T {
			b.WriteString(" ") // before the first reading
			continue
		}
		b.WriteString(s.sparkColumn(col))
	}
	return b.String()
}

func (s *screen) sparkColumn(c reports.Column) string {
	switch c.Mark {
	case reports.MarkAll, reports.MarkSome:
		return s.styles.bad.Render(c.Glyph)
	case reports.MarkUnmeasured:
		return s.styles.doubt.Render(c.Glyph)
	case reports.MarkNone:
		return s.styles.faint.Render(c.Glyph)
	}
	return s.styles.good.Render(c.Glyph)
}

// happened are the newest lines of what happened, as many as keep the frame as
// tall as it was.
func (s *screen) happened(width, spare, rest int) []string {
	want := min(spare, max(spareLines, s.tall-rest-1))
	if want == spare && want > 3 {
		want-- // for the empty line
	}
	if s.ended {
		want = min(spare, lastLines, len(s.lines))
	}
	lines := make([]string, 0, want)
	for _, l := range s.lines[max(0, len(s.lines)-want):] {
		text := s.styles.faint.Render(fmt.Sprintf("%7.1fs", l.t)) + "  " + s.tone(l.tone).Render(l.text)
		lines = append(lines, ansi.Truncate(text, width, "…"))
	}
	for len(lines) < want {
		lines = append(lines, "")
	}
	if !s.ended && spare > want {
		lines = append(lines, "")
	}
	return lines
}

// bottom is what a person is asked, or can do.
func (s *screen) bottom(width int) []string {
	switch {
	case s.ended:
		return []string{"", ""} // the library erases the last line when it ends
	case len(s.questions) > 0:
		q := s.questions[0]
		return append(s.wrapped("? step "+reports.Inert(q.step)+": "+q.text, width, s.styles.doubt.Bold(true)),
			"  "+s.styles.key.Render("y")+" yes   "+s.styles.key.Render("n")+" no   "+s.styles.key.Render("Ctrl-C")+" stop the run")
	case s.stopping != "":
		return append(s.wrapped("■ "+s.stopping, width, s.styles.doubt),
			s.styles.faint.Render("  press Ctrl-C again to see what is waited for; undoing is never skipped"))
	}
	return []string{s.styles.key.Render("Ctrl-C") + s.styles.faint.Render(" to stop and undo everything")}
}

// wrapped is text in at most three lines.
func (s *screen) wrapped(text string, width int, style lipgloss.Style) []string {
	lines := strings.Split(ansi.Wrap(text, width, ""), "\n")
	if len(lines) > 3 {
		lines = append(lines[:2], ansi.Truncate(lines[2], width-1, "")+"…")
	}
	for i := range lines {
		lines[i] = style.Render(lines[i])
	}
	return lines
}

func (s *screen) tone(t tone) lipgloss.Style { return s.styles.tones[t] }

// spread puts right at the end of a line and as much of left as there is room for
// before it.
func spread(left, right string, width int) string {
	room := width - ansi.StringWidth(right) - 1
	if room < 8 {
		return ansi.Truncate(left, width, "…")
	}
	left = ansi.Truncate(left, room, "…")
	return left + strings.Repeat(" ", width-ansi.StringWidth(left)-ansi.StringWidth(right)) + right
}

// pad makes text exactly width cells wide.
func pad(text string, width int) string {
	text = ansi.Truncate(text, width, "…")
	return text + strings.Repeat(" ", max(0, width-ansi.StringWidth(text)))
}

// meter is a share from 0 to 1 as a bar.
func meter(share float64, cells int) string {
	full := int(math.Ceil(min(max(share, 0), 1) * float64(cells)))
	return strings.Repeat("▰", full) + strings.Repeat("▱", cells-full)
}

// countdown is a span of time with a steady width, so that it does not jitter.
func countdown(seconds float64) string {
	if seconds < 60 {
		return fmt.Sprintf("%.1fs", max(0, seconds))
	}
	return fmt.Sprintf("%dm%02ds", int(seconds)/60, int(seconds)%60)
}

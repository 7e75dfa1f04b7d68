package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/lipgloss"
	"github.com/muesli/termenv"

	"github.com/squall-chaos/squall/experiments/runner"
	"github.com/squall-chaos/squall/reports"
)

const (
	summaryEvery  = 5 // seconds between two summaries of the probes
	plainBuffer   = 1000
	plainPatience = 2 * time.Second // how long Close waits for a reader that does not read
)

// plainView writes one line per event worth telling.
type plainView struct {
	o       viewOptions
	styles  map[tone]lipgloss.Style
	faint   lipgloss.Style
	lines   chan string
	written chan struct{} // closed when all lines are written

	mu     sync.Mutex
	closed bool
	lost   int // lines that found no place
	next   float64
	gauges gauges

	questions chan string // steps that wait for an answer; nil before the first one
}

// newPlainView writes to w from a goroutine of its own, which ends with Close.
func newPlainView(w io.Writer, o viewOptions) view {
	colors := lipgloss.NewRenderer(io.Discard, termenv.WithProfile(termenv.Ascii))
	if o.Color {
		colors.SetColorProfile(termenv.ANSI)
	}
	v := &plainView{
		o: o, styles: toneStyles(colors), faint: colors.NewStyle().Faint(true),
		lines: make(chan string, plainBuffer), written: make(chan struct{}), next: summaryEvery,
	}
	go v.write(w)
	return v
}

func (v *plainView) write(w io.Writer) {
	defer close(v.written)
	for l := range v.lines {
		_, _ = io.WriteString(w, l) // a reader that went away must not stop a run
	}
}

// Handle implements view.
func (v *plainView) Handle(e runner.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return
	}
	if e.Kind == runner.ConfirmAsked {
		v.ask(e)
		return
	}
	if v.o.Quiet {
		return
	}
	if e.T >= v.next || e.Kind == runner.PhaseStarted || e.Kind == runner.RunEnded {
		v.summarise(e.T)
	}
	if e.Kind == runner.ReadingsTaken && e.Point != nil {
		v.gauges.of(e.Probe).add(*e.Point)
	}
	if l, ok := narrate(e); ok {
		v.say(l)
	}
}

// Close implements view.
func (v *plainView) Close() {
	v.mu.Lock()
	if !v.closed {
		v.closed = true
		close(v.lines)
	}
	v.mu.Unlock()
	select {
	case <-v.written:
	case <-time.After(plainPatience):
	}
}

func (v *plainView) say(l line) {
	if v.lost > 0 {
		l.text += fmt.Sprintf(" (%d lines before this one were lost: nobody took them)", v.lost)
	}
	text := v.faint.Render(fmt.Sprintf("%7.1fs", l.t)) + "  " + v.styles[l.tone].Render(l.text) + "\n"
	select {
	case v.lines <- text:
		v.lost = 0
	default:
		v.lost++
	}
}

// summarise tells what the probes saw since the last time.
func (v *plainView) summarise(t float64) {
	since := t - (v.next - summaryEvery)
	v.next = t + summaryEvery
	var parts []string
	failed := false
	for _, g := range v.gauges {
		w := g.window(since)
		if w.OK+w.Failed+w.Unmeasured == 0 {
			continue
		}
		part := fmt.Sprintf("%s %s ok", g.name, share(w.OK, w.Failed))
		if w.P99 > 0 {
			part += ", p99 " + latency(w.P99)
		}
		if w.Unmeasured > 0 {
			part += fmt.Sprintf(", %d not measured", w.Unmeasured)
		}
		failed = failed || w.Failed+w.Unmeasured > 0
		parts = append(parts, reports.Inert(part))
		g.points = nil
	}
	if len(parts) == 0 {
		return
	}
	tone := toneQuiet
	if failed {
		tone = toneDoubt
	}
	v.say(line{t, tone, strings.Join(parts, " · ")})
}

// ask shows a question and has it answered.
func (v *plainView) ask(e runner.Event) {
	l, _ := narrate(e)
	if v.o.Answers == nil || v.o.Confirm == nil {
		v.say(l)
		return
	}
	l.text += " [y/n, then Enter]"
	v.say(l)
	if v.questions == nil {
		v.questions = make(chan string, plainBuffer)
		go v.answer()
	}
	select {
	case v.questions <- e.Step:
	default: // more questions than a person could answer
	}
}

// answer reads the answers to all questions, one after another. Nobody waits for
// it: reading a terminal cannot be cancelled. An end of the answers is a no.
func (v *plainView) answer() {
	answers := bufio.NewScanner(v.o.Answers)
	for step := range v.questions {
		yes := false
		for answers.Scan() {
			word := strings.ToLower(strings.TrimSpace(answers.Text()))
			if yes = word == "y" || word == "yes"; yes || word == "n" || word == "no" {
				break
			}
		}
		v.o.Confirm(step, yes)
	}
}

// toneStyles are the colours of lines. They are those of the terminal's own
// sixteen, so that they are readable on its background.
func toneStyles(r *lipgloss.Renderer) map[tone]lipgloss.Style {
	s := r.NewStyle()
	return map[tone]lipgloss.Style{
		toneQuiet: s.Faint(true),
		tonePlain: s,
		toneGood:  s.Foreground(lipgloss.Color("2")),
		toneDoubt: s.Foreground(lipgloss.Color("3")),
		toneBad:   s.Foreground(lipgloss.Color("1")),
		toneFault: s.Foreground(lipgloss.Color("5")),
	}
}

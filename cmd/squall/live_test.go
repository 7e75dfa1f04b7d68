package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"

	"github.com/squall-chaos/squall/experiments/runner"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got), run with -update if it should:\n%s", path, diff)
	}
}

// screenAt is the live view of events at second t.
func screenAt(events []runner.Event, t float64, width, height int) *screen {
	s := newScreen(viewOptions{}, liveColors(io.Discard, false))
	s.Update(tea.WindowSizeMsg{Width: width, Height: height})
	play(s, events, 0, t)
	return s
}

// play hands s the events from one second to another, with ten ticks a second.
func play(s *screen, events []runner.Event, from, to float64) {
	i := 0
	for t := from; t <= to+1e-9; t += .1 {
		for ; i < len(events) && events[i].T <= t+1e-9; i++ {
			if events[i].T > from-1e-9 {
				s.Update([]runner.Event{events[i]})
			}
		}
		s.Update(tick(epoch.Add(time.Duration(t * float64(time.Second)))))
	}
	s.View()
}

func TestLiveViewIsAsTheGoldenFiles(t *testing.T) {
	for _, size := range [][2]int{{40, 24}, {80, 24}, {200, 50}} {
		var b strings.Builder
		for _, at := range []float64{0.3, 8, 13, 22, 30, 45, 62} {
			s := screenAt(storm(), at, size[0], size[1])
			fmt.Fprintf(&b, "──── %vs ────\n%s\n", at, s.View())
		}
		golden(t, fmt.Sprintf("testdata/live.%dx%d.txt", size[0], size[1]), b.String())
	}
}

func TestLiveViewFitsEveryTerminalAndIsInert(t *testing.T) {
	for _, events := range [][]runner.Event{storm(), hostileStorm()} {
		for _, size := range [][2]int{{1, 1}, {20, 5}, {40, 10}, {40, 24}, {63, 12}, {80, 15}, {80, 24}, {137, 33}, {200, 60}} {
			for _, at := range []float64{0, 0.3, 5, 11, 13, 21, 27, 30, 37, 45, 62} {
				view := screenAt(events, at, size[0], size[1]).View()
				harmless(t, view)
				lines := strings.Split(view, "\n")
				if len(lines) > max(size[1], 6) {
					t.Errorf("%v at %vs: %d lines", size, at, len(lines))
				}
				for _, l := range lines {
					if n := ansi.StringWidth(l); n > max(size[0], 20) {
						t.Errorf("%v at %vs: a line of %d cells: %q", size, at, n, l)
					}
				}
			}
		}
	}
}

func TestLiveViewDoesNotJump(t *testing.T) {
	s := newScreen(viewOptions{}, liveColors(io.Discard, false))
	s.Update(tea.WindowSizeMsg{Width: 80, Height: 30})
	events, tall := storm(), 0
	for at := 0.0; at < 61; at++ {
		play(s, events, at, at+.9)
		n := strings.Count(s.View(), "\n")
		if n < tall {
			t.Fatalf("at %vs the frame shrank from %d to %d lines", at, tall+1, n+1)
		}
		tall = n
	}
}

func TestLiveViewSaysWhatAFaultIsUpTo(t *testing.T) {
	fault := runner.Event{Step: "1", Fault: "stop", Targets: []string{"db"}, For: 10}
	for _, c := range []struct {
		kind runner.EventKind
		set  func(*runner.Event)
		want string
	}{
		{runner.FaultPlanned, nil, "injecting…"},
		{runner.FaultInForce, nil, "10.0s left"},
		{runner.FaultInForce, func(e *runner.Event) { e.For = 0 }, "not undone by us"},
		{runner.FaultLost, func(e *runner.Event) { e.Text = "restarted" }, "lost"},
		{runner.FaultReverting, nil, "undoing…"},
		{runner.FaultReverted, nil, "undone"},
		{runner.FaultReverted, func(e *runner.Event) { e.Residue = []string{"db is exited"} }, "left behind"},
	} {
		e := fault
		if e.Kind = c.kind; c.set != nil {
			c.set(&e)
		}
		s := newScreen(viewOptions{}, liveColors(io.Discard, false))
		s.Update([]runner.Event{e})
		if got := s.View(); !strings.Contains(got, c.want) {
			t.Errorf("%s: no %q in\n%s", c.kind, c.want, got)
		}
	}
}

func TestFaultThatWasNotInjectedIsNotShownAsInForce(t *testing.T) {
	s := newScreen(viewOptions{}, liveColors(io.Discard, false))
	s.Update([]runner.Event{{Kind: runner.FaultPlanned, Step: "1", Fault: "kill"}, {Kind: runner.StepEnded, Step: "1", Text: "not injected, as asked"}})
	if got := s.View(); strings.Contains(got, "FAULTS") {
		t.Errorf("a fault in\n%s", got)
	}
}

func TestKeysReachTheRun(t *testing.T) {
	interrupts := 0
	var answers []string
	s := newScreen(viewOptions{
		Interrupt: func() { interrupts++ },
		Confirm:   func(step string, yes bool) { answers = append(answers, fmt.Sprint(step, yes)) },
	}, liveColors(io.Discard, false))
	press := func(k tea.KeyMsg) {
		if _, cmd := s.Update(k); cmd != nil {
			cmd()
		}
	}
	letter := func(r rune) tea.KeyMsg { return tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}} }
	press(letter('y')) // nothing was asked
	s.Update([]runner.Event{
		{Kind: runner.ConfirmAsked, Step: "1", Text: "one?"},
		{Kind: runner.ConfirmAsked, Step: "2", Text: "two?"},
		{Kind: runner.ConfirmAsked, Step: "3", Text: "three?"},
	})
	if got := s.View(); !strings.Contains(got, "? step 1: one?") {
		t.Errorf("no question in\n%s", got)
	}
	press(letter('q'))
	press(letter('Y'))
	press(letter('n'))
	press(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("yes")})
	press(letter('n'))
	press(tea.KeyMsg{Type: tea.KeyCtrlC})
	press(tea.KeyMsg{Type: tea.KeyCtrlC})
	if interrupts != 2 || !slices.Equal(answers, []string{"1true", "2false", "3true"}) {
		t.Errorf("interrupts %d, answers %v", interrupts, answers)
	}
}

func TestPlayheadWaitsForTheRun(t *testing.T) {
	spans := inertSpans(storm()[0].Timeline)
	var h playhead
	h.enter(spans, "baseline", "", 3)
	for _, c := range []struct{ now, want float64 }{{3, 0}, {8, 5}, {13, 10}, {40, 10}} {
		if got := h.at(c.now); got != c.want {
			t.Errorf("at %v: %v, want %v", c.now, got, c.want)
		}
	}
	h.enter(spans, "method", "", 40)
	h.enter(spans, "method", "3", 55)
	h.enter(spans, "method", "3.1", 55)
	if got := h.at(60); got != 30 {
		t.Errorf("in step 3: %v, want 30", got)
	}
	if got := h.at(90); got != 40 {
		t.Errorf("step 3 overdue: %v, want 40", got)
	}
}

func TestPlayheadGoesOnToTheNextRound(t *testing.T) {
	spans := []runner.Span{
		{Name: "method", Start: 0, End: 20},
		{Name: "kill", Step: "1.1", Start: 0, End: 5},
		{Name: "kill", Step: "1.1", Start: 10, End: 15},
	}
	var h playhead
	h.enter(spans, "method", "", 0)
	h.enter(spans, "method", "1.1", 0)
	h.leave("1.1")
	h.enter(spans, "method", "1.1", 10)
	if got := h.at(11); got != 11 {
		t.Errorf("second round: %v, want 11", got)
	}
}

// The library erases the last line of the last frame.
func TestLastFrameEndsEmpty(t *testing.T) {
	for _, height := range []int{5, 15, 24, 50} {
		if view := screenAt(storm(), 62, 80, height).View(); !strings.HasSuffix(view, "\n") {
			t.Errorf("in %d rows a line would be lost:\n%s", height, view)
		}
	}
}

func TestClockCountsFromTheFirstPhaseHoweverLongThePreparationTook(t *testing.T) {
	s := newScreen(viewOptions{}, liveColors(io.Discard, false))
	s.Update([]runner.Event{{Kind: runner.RunStarted, At: epoch}})
	s.Update(tick(epoch.Add(5 * time.Second)))
	s.Update([]runner.Event{{Kind: runner.PhaseStarted, Phase: "baseline", At: epoch.Add(7 * time.Second)}})
	s.Update(tick(epoch.Add(8 * time.Second)))
	if s.now != 1 {
		t.Errorf("one second into the baseline the clock says %.1fs", s.now)
	}
}

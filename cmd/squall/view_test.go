package main

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/squall-chaos/squall/experiments/runner"
	"github.com/squall-chaos/squall/reports"
)

var epoch = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

// storm is a run of 60 s as it would be told: one replica is killed, then two are
// paused while a CPU is loaded, and a person is asked in between.
func storm() []runner.Event {
	var events []runner.Event
	add := func(t float64, e runner.Event) {
		e.T, e.At = t, epoch.Add(time.Duration(t*float64(time.Second)))
		events = append(events, e)
	}
	add(0, runner.Event{
		Kind: runner.RunStarted, Text: "The gateway keeps answering while replicas die and freeze", Run: "brisk-otter-0314", Seed: 7421,
		Timeline: []runner.Span{
			{Name: "baseline", Start: 0, End: 10},
			{Name: "recovery", Start: 40, End: 60},
			{Name: "kill api", Step: "1", Start: 10, End: 20},
			{Name: "wait 5s", Step: "2", Start: 20, End: 25},
			{Name: "in parallel", Step: "3", Start: 25, End: 40},
			{Name: "pause api for 10s", Step: "3.1", Start: 25, End: 35},
			{Name: "cpu on gateway for 15s", Step: "3.2", Start: 25, End: 40},
		},
	})
	add(0.1, runner.Event{Kind: runner.Preparing, Text: "starting the lab"})
	add(0.6, runner.Event{Kind: runner.PhaseStarted, Phase: "baseline", For: 10})
	add(10.6, runner.Event{Kind: runner.PhaseStarted, Phase: "method", For: 30})
	add(10.6, runner.Event{Kind: runner.StepStarted, Step: "1", Text: "kill api, signal KILL, for 10s", For: 10})
	add(10.6, runner.Event{Kind: runner.FaultPlanned, Step: "1", Fault: "kill", Targets: []string{"api-2"}, For: 10, Text: "kill api, signal KILL, for 10s"})
	add(10.7, runner.Event{
		Kind: runner.FaultInForce, Step: "1", Fault: "kill", Targets: []string{"api-2"}, For: 10, Text: "kill api, signal KILL, for 10s",
		Evidence: []reports.Evidence{{Target: "api-2", Proven: true, Asked: "not running", Measured: "exited with code 137"}},
	})
	add(20.7, runner.Event{Kind: runner.FaultReverting, Step: "1", Fault: "kill", Targets: []string{"api-2"}})
	add(21.1, runner.Event{Kind: runner.FaultReverted, Step: "1", Fault: "kill", Targets: []string{"api-2"}})
	add(21.1, runner.Event{Kind: runner.StepEnded, Step: "1"})
	add(21.2, runner.Event{Kind: runner.StepStarted, Step: "2", Text: "wait 5s", For: 5})
	add(26.2, runner.Event{Kind: runner.StepEnded, Step: "2"})
	add(26.2, runner.Event{Kind: runner.StepStarted, Step: "3", Text: "in parallel", For: 15})
	pause := runner.Event{
		Step: "3.1", Fault: "pause", Targets: []string{"api-1", "api-3"}, For: 10, Text: "pause api for 10s",
		Evidence: []reports.Evidence{{Target: "api-1", Proven: true, Measured: "/proc state T"}, {Target: "api-3", Proven: true, Measured: "/proc state T"}},
	}
	load := runner.Event{
		Step: "3.2", Fault: "cpu", Targets: []string{"gateway"}, For: 15, Text: "cpu on gateway, load 80%, for 15s",
		Evidence: []reports.Evidence{{Target: "gateway", Asked: "80%", Measured: "12%"}},
	}
	for i, kind := range []runner.EventKind{runner.StepStarted, runner.FaultPlanned, runner.FaultInForce} {
		for _, e := range []runner.Event{pause, load} {
			e.Kind = kind
			add(26.2+0.05*float64(i), e)
		}
	}
	add(36.3, runner.Event{Kind: runner.FaultReverting, Step: "3.1", Fault: "pause"})
	add(36.4, runner.Event{Kind: runner.FaultReverted, Step: "3.1", Fault: "pause"})
	add(36.4, runner.Event{Kind: runner.StepEnded, Step: "3.1"})
	add(41.3, runner.Event{Kind: runner.FaultReverted, Step: "3.2", Fault: "cpu"})
	add(41.3, runner.Event{Kind: runner.StepEnded, Step: "3.2", Err: "the load was not proven on gateway"})
	add(41.3, runner.Event{Kind: runner.StepEnded, Step: "3"})
	add(41.4, runner.Event{Kind: runner.PhaseStarted, Phase: "recovery", For: 20})
	add(26.2, runner.Event{Kind: runner.CheckJudged, Step: "2", Check: &reports.Check{Probe: "checkout", Phase: "check 2", Metric: "success", Wanted: ">= 99%", Got: "100%", Status: reports.CheckHeld}})
	add(61.5, runner.Event{Kind: runner.CheckJudged, Check: &reports.Check{Probe: "checkout", Phase: "during", Metric: "p99", Wanted: "<= 250ms", Got: "253ms", Status: reports.CheckBroken}})
	for t := 0.0; t < 60; t++ {
		add(t+1.7, runner.Event{Kind: runner.ReadingsTaken, Probe: "checkout", Point: stormPoint(t)})
		add(t+1.7, runner.Event{Kind: runner.ReadingsTaken, Probe: "health", Point: &reports.Point{T: t, OK: 2, P50: .0008, P99: .0011}})
	}
	add(61.9, runner.Event{Kind: runner.RunEnded, Verdict: reports.Deviated, Reasons: []string{"checkout p99 during the method was 253ms, wanted <= 250ms"}})
	sortEvents(events)
	return events
}

func sortEvents(events []runner.Event) {
	for i := range events { // insertion keeps the order of what happens at once
		for j := i; j > 0 && events[j].T < events[j-1].T; j-- {
			events[j], events[j-1] = events[j-1], events[j]
		}
	}
}

func stormPoint(t float64) *reports.Point {
	p := &reports.Point{T: t, OK: 20, P50: .012, P99: .020 + .004*math.Sin(t*3)}
	switch {
	case t == 11:
		p.OK, p.Failed = 0, 20
	case t == 12:
		p.OK, p.Failed = 15, 5
	case t >= 26 && t < 36:
		p.P50, p.P99 = .04, .250
	}
	return p
}

const hostile = "\x1b[2J\x1b]0;pwned\x07 two\nlines \u202eevil\u202c 日本語"

// hostileStorm is a storm in which everything that comes from outside tries to
// get out of its place.
func hostileStorm() []runner.Event {
	events := storm()
	for i := range events {
		e := &events[i]
		if e.Text != "" {
			e.Text += hostile + strings.Repeat("x", 300)
		}
		if e.Step != "" {
			e.Step += "\x1b[31m"
		}
		for j := range e.Timeline {
			e.Timeline[j].Name += hostile
		}
		if len(e.Targets) > 0 {
			e.Targets = []string{hostile, hostile}
		}
		if len(e.Evidence) > 0 {
			e.Evidence = []reports.Evidence{{Target: hostile, Asked: hostile, Measured: hostile}}
		}
		if e.Probe != "" {
			e.Probe += hostile
		}
		if e.Err != "" {
			e.Err += hostile
		}
		e.Fault += hostile
		e.Phase += hostile
		e.Run += hostile
		e.Residue = append(e.Residue, hostile)
	}
	return events
}

// harmless fails if a line holds anything that a terminal would obey, except
// colours if they were asked for.
func harmless(t *testing.T, text string) {
	t.Helper()
	for l := range strings.Lines(text) {
		if l = strings.TrimSuffix(l, "\n"); reports.Inert(l) != l {
			t.Fatalf("not inert: %q", l)
		}
	}
}

func plainText(t *testing.T, events []runner.Event, o viewOptions) string {
	t.Helper()
	var b bytes.Buffer
	v := newPlainView(&b, o)
	for _, e := range events {
		v.Handle(e)
	}
	v.Close()
	v.Close()
	return b.String()
}

func TestPlainLinesAreAsTheGoldenFile(t *testing.T) {
	golden(t, "testdata/storm.txt", plainText(t, storm(), viewOptions{}))
}

func TestPlainLinesAreInert(t *testing.T) {
	harmless(t, plainText(t, hostileStorm(), viewOptions{}))
}

func TestPlainLinesAreColouredOnlyWhenAsked(t *testing.T) {
	if got := plainText(t, storm(), viewOptions{Color: true}); !strings.Contains(got, "\x1b[31m") {
		t.Errorf("no colour in %q", got)
	}
}

func TestQuietShowsQuestionsOnly(t *testing.T) {
	events := append(storm(), runner.Event{Kind: runner.ConfirmAsked, T: 62, Step: "4", Text: "Go on?"})
	if got := plainText(t, events, viewOptions{Quiet: true}); got != "   62.0s  step 4 asks: Go on?\n" {
		t.Errorf("got %q", got)
	}
}

func TestPlainLinesTakeAnswers(t *testing.T) {
	type answer struct {
		step string
		yes  bool
	}
	got := make(chan answer, 3)
	v := newPlainView(&bytes.Buffer{}, viewOptions{
		Answers: strings.NewReader("what?\nYES\nn\n"),
		Confirm: func(step string, yes bool) { got <- answer{step, yes} },
	})
	defer v.Close()
	for i, want := range []answer{{"1", true}, {"2", false}, {"3", false}} { // the third finds the end of the answers
		v.Handle(runner.Event{Kind: runner.ConfirmAsked, Step: want.step, Text: "Go on?"})
		select {
		case a := <-got:
			if a != want {
				t.Errorf("answer %d: got %+v, want %+v", i, a, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("no answer")
		}
	}
}

// stuck is a writer that takes nothing until it is released.
type stuck chan struct{}

func (s stuck) Write(p []byte) (int, error) {
	<-s
	return len(p), nil
}

func TestPlainLinesDoNotWaitForAReader(t *testing.T) {
	w := make(stuck)
	defer close(w)
	v := newPlainView(w, viewOptions{})
	started := time.Now()
	for range 5 * plainBuffer {
		v.Handle(runner.Event{Kind: runner.Noted, Text: "note"})
	}
	v.Close()
	if took := time.Since(started); took > plainPatience+3*time.Second {
		t.Errorf("took %v with a reader that takes nothing", took)
	}
}

func TestLostLinesAreCounted(t *testing.T) {
	w := make(stuck)
	v := newPlainView(w, viewOptions{}).(*plainView)
	note := runner.Event{Kind: runner.Noted, Text: "note"}
	v.Handle(note)
	for end := time.Now().Add(10 * time.Second); len(v.lines) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the writer takes nothing")
		}
	}
	for range 2 * plainBuffer {
		v.Handle(note)
	}
	if v.lost != plainBuffer {
		t.Errorf("%d lines lost, want %d", v.lost, plainBuffer)
	}
	close(w)
	v.Close()
}

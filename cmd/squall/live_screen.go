package main

import (
	"cmp"
	"slices"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"

	"github.com/squall-chaos/squall/experiments/runner"
	"github.com/squall-chaos/squall/reports"
)

const (
	keptLines   = 200 // what happened, for the lines at the bottom
	lingerOver  = 3.0 // seconds for which a fault that was undone stays in sight
	staleAfter  = 3.0 // seconds without a reading after which a probe's line moves on without it
	defaultCols = 80
	defaultRows = 24
)

// tick is the moment at which a frame is drawn.
type tick time.Time

// activeFault is a fault from its injection until a little after its end.
type activeFault struct {
	step, text string
	targets    []string
	since      float64 // in force, seconds
	length     float64 // 0: not undone by us
	proof      string
	proven     bool
	state      string // injecting, in force, lost, undoing, undone, left
	until      float64
	detail     string // of lost and left
}

// question is a step that waits for a person.
type question struct{ step, text string }

// screen is the state of the live view: what the events told so far, and what a
// person does. It is a bubbletea model; Update changes it in place.
type screen struct {
	o      viewOptions
	styles palette
	width  int
	height int
	tall   int // rows of the tallest frame; later ones are as tall, so that nothing jumps

	epoch time.Time // when the run's seconds started; zero before the first event
	now   float64   // seconds since then

	title, run string
	seed       uint64
	phase      string
	phaseFrom  float64
	phaseFor   float64
	preparing  string
	spans      []runner.Span
	head       playhead
	faults     []*activeFault
	gauges     gauges
	lines      []line
	stopping   string
	questions  []question
	verdict    reports.Verdict
	ended      bool
}

func newScreen(o viewOptions, colors *lipgloss.Renderer) *screen {
	return &screen{o: o, styles: newPalette(colors), width: defaultCols, height: defaultRows}
}

// Init implements tea.Model.
func (s *screen) Init() tea.Cmd { return nextTick() }

func nextTick() tea.Cmd {
	return tea.Tick(liveRate, func(t time.Time) tea.Msg { return tick(t) })
}

// Update implements tea.Model.
func (s *screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		s.width, s.height, s.tall = msg.Width, msg.Height, 0
	case tick:
		s.advance(time.Time(msg))
		return s, nextTick()
	case []runner.Event:
		for _, e := range msg {
			s.handle(e)
		}
	case tea.KeyMsg:
		return s, s.key(msg)
	}
	return s, nil
}

// advance moves the clock on between events.
func (s *screen) advance(t time.Time) {
	if !s.epoch.IsZero() && !s.ended {
		s.now = max(s.now, t.Sub(s.epoch).Seconds())
	}
	s.faults = slices.DeleteFunc(s.faults, func(f *activeFault) bool {
		return f.state == "undone" && s.now > f.until+lingerOver
	})
}

// key turns a key into a call of what the view was given. The call is made on a
// goroutine of its own, and so may take its time.
func (s *screen) key(k tea.KeyMsg) tea.Cmd {
	switch k.String() {
	case "ctrl+c":
		return call(s.o.Interrupt)
	case "y", "Y", "yes", "n", "N", "no": // a word that came at once is one key
		if len(s.questions) == 0 {
			return nil
		}
		q, yes := s.questions[0], strings.HasPrefix(strings.ToLower(k.String()), "y")
		s.questions = s.questions[1:]
		return call(func() { s.o.Confirm(q.step, yes) })
	}
	return nil
}

func call(f func()) tea.Cmd {
	if f == nil {
		return nil
	}
	return func() tea.Msg {
		f()
		return nil
	}
}

// setClock takes the time from an event. The run's seconds count from the first
// phase; until then they stand still, and what has passed is how long it prepares.
func (s *screen) setClock(e runner.Event) {
	if e.At.IsZero() {
		return
	}
	if s.epoch.IsZero() || e.Kind == runner.PhaseStarted {
		s.epoch, s.now = e.At.Add(-time.Duration(e.T*float64(time.Second))), e.T
	}
	s.now = max(s.now, e.T)
}

func (s *screen) handle(e runner.Event) {
	s.setClock(e)
	switch e.Kind {
	case runner.RunStarted:
		s.title, s.run, s.seed, s.spans = reports.Inert(e.Text), reports.Inert(e.Run), e.Seed, inertSpans(e.Timeline)
	case runner.Preparing:
		s.preparing = reports.Inert(e.Text)
	case runner.PhaseStarted:
		s.phase, s.phaseFrom, s.phaseFor, s.preparing = reports.Inert(e.Phase), e.T, e.For, ""
		s.head.enter(s.spans, s.phase, "", e.T)
	case runner.StepStarted:
		s.head.enter(s.spans, s.phase, e.Step, e.T)
	case runner.StepEnded:
		s.head.leave(e.Step)
		s.stepEnded(e)
	case runner.ReadingsTaken:
		if e.Point != nil {
			s.gauges.of(reports.Inert(e.Probe)).add(*e.Point)
		}
	case runner.ConfirmAsked:
		if s.o.Confirm != nil {
			s.questions = append(s.questions, question{e.Step, reports.Inert(e.Text)})
		}
	case runner.Stopping:
		s.stopping = reports.Inert(e.Text)
	case runner.RunEnded:
		s.ended, s.verdict, s.questions = true, e.Verdict, nil
		s.faults = slices.DeleteFunc(s.faults, func(f *activeFault) bool { return f.state == "undone" })
	default:
		s.handleFault(e)
	}
	if l, ok := narrate(e); ok && e.Kind != runner.RunStarted && e.Kind != runner.RunEnded { // the banner tells these
		s.lines = append(s.lines, l)
		s.lines = s.lines[max(0, len(s.lines)-keptLines):]
	}
}

// stepEnded drops what waited for a step that is over.
func (s *screen) stepEnded(e runner.Event) {
	s.questions = slices.DeleteFunc(s.questions, func(q question) bool { return q.step == e.Step })
	s.faults = slices.DeleteFunc(s.faults, func(f *activeFault) bool {
		return f.step == e.Step && f.state == "injecting"
	})
}

func (s *screen) handleFault(e runner.Event) {
	if e.Kind == runner.FaultPlanned {
		s.faults = slices.DeleteFunc(s.faults, func(f *activeFault) bool { return f.step == e.Step && f.state != "left" })
		s.faults = append(s.faults, &activeFault{state: "injecting", step: e.Step, text: faultText(e), targets: reports.InertAll(e.Targets)})
		return
	}
	f := s.faultOf(e)
	if f == nil {
		return
	}
	switch e.Kind {
	case runner.FaultInForce:
		f.state, f.since, f.length = "in force", e.T, e.For
		f.text, f.targets = faultText(e), reports.InertAll(e.Targets)
		proof, proven := tellEvidence(e.Evidence)
		f.proof, f.proven = reports.Inert(proof), proven
	case runner.FaultLost:
		f.state, f.detail = "lost", reports.Inert(e.Text)
	case runner.FaultReverting:
		f.state = "undoing"
	case runner.FaultReverted:
		f.state, f.until = "undone", e.T
		if len(e.Residue) > 0 {
			f.state, f.detail = "left", reports.Inert(someOf(e.Residue, 3))
		}
	}
}

// faultOf is the fault that e tells of; one that was not heard of before is new.
func (s *screen) faultOf(e runner.Event) *activeFault {
	switch e.Kind {
	case runner.FaultInForce, runner.FaultLost, runner.FaultReverting, runner.FaultReverted:
	default:
		return nil
	}
	for i := len(s.faults) - 1; i >= 0; i-- {
		if s.faults[i].step == e.Step {
			return s.faults[i]
		}
	}
	f := &activeFault{step: e.Step, text: faultText(e), targets: reports.InertAll(e.Targets)}
	s.faults = append(s.faults, f)
	return f
}

func faultText(e runner.Event) string {
	if e.Text != "" && (e.Kind == runner.FaultPlanned || e.Kind == runner.FaultInForce) {
		return reports.Inert(e.Text)
	}
	return reports.Inert(e.Fault)
}

// inertSpans are the spans to draw: the phases, with the method wherever the
// plan names nothing between two of them, and the steps.
func inertSpans(spans []runner.Span) []runner.Span {
	var phases, steps []runner.Span
	for _, sp := range spans {
		sp.Name = reports.Inert(sp.Name)
		switch {
		case sp.Step != "":
			steps = append(steps, sp)
		case sp.End > sp.Start:
			phases = append(phases, sp)
		}
	}
	slices.SortStableFunc(phases, func(a, b runner.Span) int { return cmp.Compare(a.Start, b.Start) })
	var out []runner.Span
	at := 0.0
	for _, sp := range phases {
		if sp.Start > at {
			out = append(out, runner.Span{Name: "method", Start: at, End: sp.Start})
		}
		out, at = append(out, sp), max(at, sp.End)
	}
	return append(out, steps...)
}

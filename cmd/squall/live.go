package main

import (
	"io"
	"os"
	"sync"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/term"
	"github.com/muesli/termenv"

	"github.com/squall-chaos/squall/experiments/runner"
)

const (
	liveRate     = 100 * time.Millisecond // between two frames when nothing happens
	liveBuffer   = 2000                   // events that wait for the screen before readings are dropped
	livePatience = 2 * time.Second        // how long Close waits for the last frame
)

// liveView shows a run in place, redrawing a few lines at the end of the
// terminal's text; the last frame stays there. The terminal is in raw mode
// meanwhile: Ctrl-C and Ctrl-Z are keys and no signals.
type liveView struct {
	program *tea.Program
	restore func()        // gives the terminal back, whatever state it is in
	wake    chan struct{} // the queue has something
	done    chan struct{} // the program has ended

	mu       sync.Mutex
	queue    []runner.Event
	closing  bool
	fallback view // plain lines, should the program end before the run

	once sync.Once // for Close
}

// newLiveView draws on out and reads keys from in if that is a terminal. It
// returns when the terminal is about to be taken over, not after the first frame.
func newLiveView(out, in *os.File, o viewOptions) view {
	options := []tea.ProgramOption{
		tea.WithOutput(out), tea.WithoutSignalHandler(), tea.WithoutBracketedPaste(), tea.WithFPS(30),
	}
	if term.IsTerminal(in.Fd()) {
		options = append(options, tea.WithInput(in))
	} else {
		options = append(options, tea.WithInput(nil))
	}
	v := &liveView{
		program: tea.NewProgram(newScreen(o, liveColors(out, o.Color)), options...),
		restore: terminalState(out, in),
		wake:    make(chan struct{}, 1),
		done:    make(chan struct{}),
	}
	go v.run(out, o)
	go v.feed()
	return v
}

// liveColors draws with the sixteen colours of the terminal or none. The
// terminal is never asked for its background: one that does not answer would be
// waited for.
func liveColors(out io.Writer, color bool) *lipgloss.Renderer {
	r := lipgloss.NewRenderer(out, termenv.WithProfile(termenv.Ascii))
	r.SetHasDarkBackground(true)
	if color {
		r.SetColorProfile(termenv.ANSI)
	}
	return r
}

// run shows the program until it ends. When it ends before the view is closed,
// because the terminal went away, say, the rest of the run is told in plain lines.
func (v *liveView) run(out *os.File, o viewOptions) {
	defer close(v.done)
	_, err := v.program.Run()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closing && err == nil {
		return
	}
	v.restore()
	if !v.closing {
		v.fallback = newPlainView(out, o)
		for _, e := range v.queue {
			v.fallback.Handle(e)
		}
		v.queue = nil
	}
}

// feed hands events on to the program, which may be slow to take them.
func (v *liveView) feed() {
	for {
		select {
		case <-v.wake:
		case <-v.done:
			return
		}
		v.mu.Lock()
		events, closing := v.queue, v.closing
		v.queue = nil
		v.mu.Unlock()
		v.program.Send(events)
		if closing {
			v.program.Quit()
			return
		}
	}
}

// Handle implements view. When the screen does not keep up, readings are dropped;
// nothing else is.
func (v *liveView) Handle(e runner.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.closing:
		return
	case v.fallback != nil:
		v.fallback.Handle(e)
		return
	case e.Kind == runner.ReadingsTaken && len(v.queue) >= liveBuffer:
		return
	}
	v.queue = append(v.queue, e)
	v.signal()
}

func (v *liveView) signal() {
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

// Close implements view. It returns after a bounded time, with the terminal as
// it was, also when the terminal takes no output.
func (v *liveView) Close() { v.once.Do(v.close) }

func (v *liveView) close() {
	v.mu.Lock()
	v.closing = true
	fallback := v.fallback
	v.mu.Unlock()
	if fallback != nil {
		fallback.Close()
		return
	}
	v.signal()
	select {
	case <-v.done:
		return
	case <-time.After(livePatience):
	}
	// The program is left to end when its terminal takes output again: killed, it
	// would close its input while it reads it.
	v.restore()
}

// terminalState remembers how the terminal is and returns what brings it back.
// That is needed when the program could not do so itself.
func terminalState(out, in *os.File) func() {
	state, err := term.GetState(in.Fd())
	return func() {
		if err == nil {
			_ = term.Restore(in.Fd(), state)
		}
		go func() { _, _ = io.WriteString(out, "\x1b[?25h") }() // show the cursor; may block
	}
}

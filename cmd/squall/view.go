package main

import (
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/charmbracelet/x/term"
	"golang.org/x/sys/unix"

	"github.com/squall-chaos/squall/cmd/squall/hush"
	"github.com/squall-chaos/squall/experiments/runner"
)

func init() { hush.Restore() }

// view shows a run while it lasts. Handle may be called from several goroutines;
// it does not wait for a terminal or a pipe that does not take what is written.
// Close shows what is left to show, gives the terminal back as it was, and may be
// called more than once; a view that was closed ignores events.
type view interface {
	Handle(e runner.Event)
	Close()
}

// viewOptions is what a view may do and whom it tells of what a person does. The
// functions may be nil; they are called on goroutines of their own.
type viewOptions struct {
	Color     bool                        // use the terminal's colours
	Quiet     bool                        // plain lines: only questions are shown
	Interrupt func()                      // live view: Ctrl-C was pressed, which is no signal there
	Confirm   func(step string, yes bool) // a person answered the question of a step
	Answers   io.Reader                   // plain lines: where a person's answers come from; nil: nobody is there
}

// newView chooses between the live view and plain lines.
func newView(out, in *os.File, o viewOptions, getenv func(string) string) view {
	surviveClosedOutput()
	if !o.Quiet && wantsLive(out, getenv) && inForeground(in) {
		return newLiveView(out, in, o)
	}
	if o.Answers == nil && term.IsTerminal(in.Fd()) {
		o.Answers = in
	}
	return newPlainView(out, o)
}

// wantsLive reports whether out can show a view that redraws itself. What CI
// sets says that somebody reads a log later.
func wantsLive(out *os.File, getenv func(string) string) bool {
	return getenv("NO_COLOR") == "" && getenv("CI") == "" && getenv("TERM") != "dumb" && getenv("TERM") != "" &&
		term.IsTerminal(out.Fd())
}

// inForeground reports whether in is no terminal, or one that is ours to
// configure: a background job that tried would be stopped by the kernel, with
// its faults in force.
func inForeground(in *os.File) bool {
	if !term.IsTerminal(in.Fd()) {
		return true
	}
	group, err := unix.IoctlGetInt(int(in.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// surviveClosedOutput makes writing to a pipe that nobody reads any more an
// error like others. By default the Go runtime ends the process then
// (os/signal), which must not happen to one that has faults to undo.
var surviveClosedOutput = sync.OnceFunc(func() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
})

package main

import (
	"io"
	"os"

	"github.com/charmbracelet/x/term"

	"github.com/squall-chaos/squall/reports"
)

// plainWidth is how wide text is that goes into a file or a pipe.
const plainWidth = 100

// textOptions are how to write text to w: as wide as a terminal is, and in its
// colours unless NO_COLOR is set.
func textOptions(w io.Writer) reports.TextOptions {
	o := reports.TextOptions{Width: plainWidth}
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(f.Fd()) {
		return o
	}
	if width, _, err := term.GetSize(f.Fd()); err == nil && width > 0 {
		o.Width = width
	}
	o.Color = colored(f)
	return o
}

func colored(f *os.File) bool {
	return term.IsTerminal(f.Fd()) && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
}

func inert(s string) string { return reports.Inert(s) }

// newView is what shows the run to people. With --yes, nobody is asked.
func (r *command) newView(a *answers) view {
	o := viewOptions{Quiet: r.quiet, Interrupt: func() { r.interrupt("Ctrl-C") }}
	if !r.yes {
		o.Confirm = a.say
	}
	out, ok := r.people.(*os.File)
	if !ok {
		return newPlainView(r.people, o)
	}
	o.Color = colored(out)
	return newView(out, r.streams.in, o, getenv)
}

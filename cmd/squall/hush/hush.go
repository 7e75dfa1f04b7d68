// Package hush keeps libraries from talking to the terminal while the program
// starts.
//
// The live view's library asks the terminal for its background colour in its
// init, whatever the command is, and waits up to five seconds for an answer that
// a terminal without anybody behind it (expect, docker run -t, many CI systems)
// never gives. There is no option against it. It does not ask a dumb terminal,
// and so this package makes TERM say so until Restore is called.
//
// This works because Go initialises packages whose imports are ready in the order
// of their import paths (see "Program initialization" in the language's
// specification): this one imports the standard library only, and stands before
// golang.org/x/sys, without which no terminal library is ready. A test on a real
// terminal notices should this ever change.
package hush

import "os"

const variable = "TERM"

var was, had = os.LookupEnv(variable)

func init() {
	if had {
		_ = os.Setenv(variable, "dumb")
	}
}

// Restore gives TERM its value back. It is called once, from an init of package
// main, when all libraries have had their say.
func Restore() {
	if had {
		_ = os.Setenv(variable, was)
	}
}

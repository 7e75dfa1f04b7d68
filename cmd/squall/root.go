package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/squall-chaos/squall/reports"
)

// streams are where a command reads and writes.
type streams struct {
	in       *os.File
	out, err io.Writer
}

// exit is an error that ends the program with a code of its own.
type exit struct {
	code int
	err  error // nil: everything was said
}

func (e exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e exit) Unwrap() error { return e.err }

// execute runs one command line and returns its exit code.
func execute(args []string, s streams) int {
	root := newRoot(s)
	root.SetArgs(args)
	err := root.ExecuteContext(context.Background())
	var e exit
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		if e.err != nil {
			fmt.Fprintf(s.err, "squall: %v\n", e.err)
		}
		return e.code
	}
	fmt.Fprintf(s.err, "squall: %v\n", err)
	return reports.ExitUsage
}

func newRoot(s streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "squall",
		Short: "Inject faults, watch how the system copes, put everything back",
		Long: `Squall reads an experiment file, disturbs real targets, watches the system
through probes the whole time, puts everything back, and says with evidence
whether the system held its steady state.

Exit codes: 0 held, 1 deviated, 2 wrong usage or an invalid file,
3 inconclusive, 4 aborted, 5 something of a fault may still be there.`,
		Example: `  squall run examples/quickstart/held.yaml
  squall plan experiment.yaml
  squall status
  squall recover`,
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetVersionTemplate("squall {{.Version}}\n")
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(
		newRun(s), newValidate(), newPlan(), newStatus(), newRecover(), newDoctor(),
		newList(), newSchema(), newReport(), newRuns(), newVersion(), newAgent(), newIdle(),
	)
	root.InitDefaultCompletionCmd()
	explainArgs(root)
	return root
}

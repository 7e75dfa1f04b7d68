package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/squall-chaos/squall/experiments/runner"
	"github.com/squall-chaos/squall/injectors"
	"github.com/squall-chaos/squall/reports"
)

var getenv = os.Getenv

func newRuns() *cobra.Command {
	return &cobra.Command{
		Use: "runs", Short: "List past runs and their verdicts, the newest last", Args: cobra.NoArgs,
		Example: `  squall runs
  squall report last`,
		RunE: func(c *cobra.Command, _ []string) error { return listRuns(c.OutOrStdout()) },
	}
}

func listRuns(w io.Writer) error {
	store, err := runner.DefaultStore(getenv)
	if err != nil {
		return err
	}
	runs, err := store.List()
	if err != nil {
		return err
	}
	if len(runs) == 0 {
		fmt.Fprintln(w, "No runs yet: squall run FILE makes one.")
		return nil
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "RUN\tVERDICT\tSECONDS\tTITLE")
	for _, s := range runs {
		r, err := reports.Read(filepath.Join(s.Dir, runner.ResultFile))
		switch {
		case err == nil:
			fmt.Fprintf(tw, "%s\t%s\t%.1f\t%s\n", s.Name, r.Verdict, r.Duration, inert(r.Title))
		case errors.Is(err, fs.ErrNotExist):
			state := "no result: it was cut off"
			if held, _ := injectors.Held(s.Dir); held {
				state = "running"
			}
			fmt.Fprintf(tw, "%s\t%s\t\t\n", s.Name, state)
		default:
			fmt.Fprintf(tw, "%s\tunreadable\t\t%s\n", s.Name, inert(err.Error()))
		}
	}
	return tw.Flush()
}

package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/squall-chaos/squall/experiments/runner"
	"github.com/squall-chaos/squall/reports"
)

func newReport() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "report RESULT",
		Short: "Render the stored result of a run",
		Long: `Report renders a stored result. RESULT is the name of a run or a part of it,
"last", a run's directory, or a result file. The exit code is 0 whatever the
verdict was.`,
		Example: `  squall report last
  squall report ./out/result.json --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return report(c.OutOrStdout(), args[0], asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "write the result as JSON")
	return c
}

func report(w io.Writer, what string, asJSON bool) error {
	path := what
	if st, err := os.Stat(what); err != nil || st.IsDir() {
		store, err := runner.DefaultStore(getenv)
		if err != nil {
			return err
		}
		s, err := store.Find(what)
		if err != nil {
			return err
		}
		path = filepath.Join(s.Dir, runner.ResultFile)
	}
	r, err := reports.Read(path)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if asJSON {
		return reports.Encode(w, r)
	}
	return reports.Text(w, r, textOptions(w))
}

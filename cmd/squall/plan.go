package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/squall-chaos/squall/experiments"
	"github.com/squall-chaos/squall/reports"
)

func newPlan() *cobra.Command {
	var (
		files  fileFlags
		seed   seedFlag
		asJSON bool
	)
	c := &cobra.Command{
		Use:   "plan FILE|FOLDER…",
		Short: "Show what a run would do to which targets, when, and how it is undone",
		Long: `Plan chooses the targets as a run would and shows what will happen to which of
them, when, with which change and which undo. It only reads. The same file, seed
and world give the same plan, to the byte.

The exit code is 3 if a run could not be conclusive, such as when nothing
matches a selector.`,
		Example: `  squall plan experiment.yaml
  squall plan experiment.yaml --seed 7 --json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			all := allDrivers()
			es, err := files.load(args, all)
			if err != nil {
				return err
			}
			var errs []error
			for _, e := range es {
				p, err := experiments.Resolve(c.Context(), e, byName(all), seed.of(c, e))
				if p != nil {
					errs = append(errs, showPlan(c.OutOrStdout(), p, asJSON))
				}
				if err != nil {
					errs = append(errs, exit{reports.Inconclusive.ExitCode(), fmt.Errorf("%s: %w", e.File, err)})
				}
			}
			return errors.Join(errs...)
		},
	}
	files.register(c)
	seed.register(c)
	c.Flags().BoolVar(&asJSON, "json", false, "write JSON, one document an experiment")
	return c
}

func showPlan(w io.Writer, p *experiments.Plan, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(p)
	}
	return planText(w, p, textOptions(w))
}

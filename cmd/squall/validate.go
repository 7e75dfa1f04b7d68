package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newValidate() *cobra.Command {
	var files fileFlags
	c := &cobra.Command{
		Use:   "validate FILE|FOLDER…",
		Short: "Check experiment files, and say everything that is wrong with them",
		Long: `Validate reads experiment files, and all files in folders, and says everything
that is wrong, each with file, line and column. It looks at no targets.
The exit code is 2 if anything is wrong.`,
		Example: `  squall validate experiment.yaml
  squall validate examples --var base=http://127.0.0.1:8080`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			es, err := files.load(args, allDrivers())
			if err != nil {
				return err
			}
			for _, e := range es {
				fmt.Fprintf(c.OutOrStdout(), "%s: %s: valid\n", inert(e.File), inert(e.Title))
			}
			return nil
		},
	}
	files.register(c)
	return c
}

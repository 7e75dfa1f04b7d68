package main

import (
	"github.com/spf13/cobra"

	"github.com/squall-chaos/squall/experiments"
)

func newSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of experiment files, for editors",
		Long: `Schema prints the JSON Schema of experiment files, made from the types that read
them. Editors complete and check files with it: put this on a file's first line,

  # yaml-language-server: $schema=squall.schema.json`,
		Example: `  squall schema > squall.schema.json`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			text, err := experiments.Schema(experiments.Options{Drivers: allDrivers()})
			if err != nil {
				return err
			}
			_, err = c.OutOrStdout().Write(text)
			return err
		},
	}
}

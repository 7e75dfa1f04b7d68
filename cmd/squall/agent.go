package main

import (
	"errors"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/squall-chaos/squall/injectors"
	"github.com/squall-chaos/squall/reports"
)

// newAgent is the command that injectors.StartAgent starts. It is of no use to
// people.
func newAgent() *cobra.Command {
	return &cobra.Command{
		Use:    injectors.AgentCommand + " DIR",
		Short:  "Hold changes for a run and undo them (started by squall run)",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
			if err := injectors.Serve(args[0], stdio{}, byName(allDrivers()), log); err != nil {
				return exit{reports.Unrecovered.ExitCode(), err}
			}
			return nil
		},
	}
}

// stdio is standard input and output as one connection.
type stdio struct{}

func (stdio) Read(b []byte) (int, error)  { return os.Stdin.Read(b) }
func (stdio) Write(b []byte) (int, error) { return os.Stdout.Write(b) }
func (stdio) Close() error                { return errors.Join(os.Stdin.Close(), os.Stdout.Close()) }

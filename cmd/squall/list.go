package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/squall-chaos/squall/experiments/probes"
	"github.com/squall-chaos/squall/injectors"
	"github.com/squall-chaos/squall/targets"
	"github.com/squall-chaos/squall/targets/docker"
)

func newList() *cobra.Command {
	c := &cobra.Command{
		Use:   "list faults|probes|targets",
		Short: "List the kinds of faults, probes and targets that files can name",
		Example: `  squall list faults
  squall list targets`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(
		&cobra.Command{
			Use: "faults", Short: "The kinds of faults, and whether they take for:", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error { return listFaults(c.OutOrStdout()) },
		},
		&cobra.Command{
			Use: "probes", Short: "The kinds of probes", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error { return listProbes(c.OutOrStdout()) },
		},
		&cobra.Command{
			Use: "targets", Short: "The drivers, and the targets that each could disturb now", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error { return listTargets(c.Context(), c.OutOrStdout()) },
		},
	)
	return c
}

func listFaults(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	words := map[injectors.ForRule]string{
		injectors.ForRequired: "for: required", injectors.ForOptional: "for: optional", injectors.ForForbidden: "no for:",
	}
	for _, k := range injectors.Kinds() {
		fmt.Fprintf(tw, "%s\t%s\t%s\n", k.Name, words[k.For], k.Doc)
	}
	return tw.Flush()
}

func listProbes(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, k := range probes.Kinds() {
		fmt.Fprintf(tw, "%s\t%s\n", k.Name, k.Doc)
	}
	return tw.Flush()
}

// readable selects all targets of the drivers that have few enough to be read.
var readable = map[string]targets.Selector{"docker": &docker.Selector{Name: "*"}}

// listTargets says how each driver selects, and which targets of it run now where
// there are few enough to be read.
func listTargets(ctx context.Context, w io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for _, d := range allDrivers() {
		fmt.Fprintf(w, "%s  %s\n", d.Name(), d.Doc())
		everything, ok := readable[d.Name()]
		if !ok {
			continue
		}
		found, err := d.Find(ctx, everything)
		if err != nil {
			fmt.Fprintf(w, "  cannot be asked: %s\n", inert(err.Error()))
			continue
		}
		for _, t := range found {
			fmt.Fprintf(w, "  %s  %.12s\n", inert(t.Name()), t.Ref().ID)
		}
	}
	return nil
}

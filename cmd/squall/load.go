package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/squall-chaos/squall/experiments"
	"github.com/squall-chaos/squall/reports"
	"github.com/squall-chaos/squall/targets"
)

// fileFlags are the flags of all commands that read experiment files.
type fileFlags struct {
	vars     []string
	varFiles []string
	tags     []string
}

func (f *fileFlags) register(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.vars, "var", nil, "set a variable, as `NAME=VALUE`; can be repeated")
	c.Flags().StringArrayVar(&f.varFiles, "var-file", nil, "read variables from a `FILE`, YAML, JSON or NAME=VALUE lines; can be repeated")
	c.Flags().StringArrayVar(&f.tags, "tag", nil, "take only experiments with this `TAG`; repeated: with any of them")
}

// load reads files and folders as the flags say. No experiments are an error.
func (f *fileFlags) load(paths []string, all []targets.Driver) ([]*experiments.Experiment, error) {
	vars := map[string]string{}
	for _, v := range f.vars {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--var %q: write NAME=VALUE", v)
		}
		vars[name] = value
	}
	es, err := experiments.Load(paths, experiments.Options{Drivers: all, Vars: vars, VarFiles: f.varFiles})
	if err != nil {
		return nil, exit{reports.ExitUsage, err}
	}
	if len(f.tags) > 0 {
		es = slices.DeleteFunc(es, func(e *experiments.Experiment) bool {
			return !slices.ContainsFunc(f.tags, func(t string) bool { return slices.Contains(e.Tags, t) })
		})
	}
	if len(es) == 0 {
		return nil, exit{reports.Inconclusive.ExitCode(), errors.New("no experiment to run: none has the tag " + strings.Join(f.tags, " or "))}
	}
	return es, nil
}

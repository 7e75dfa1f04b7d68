package main

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/squall-chaos/squall/experiments"
)

// explainArgs makes the errors of wrong arguments of c, and of all commands below
// it, say what was probably meant, and what to do next.
func explainArgs(c *cobra.Command) {
	if c.HasSubCommands() && !c.Runnable() { // else any word shows the help and is a success
		c.Args, c.RunE = cobra.NoArgs, func(c *cobra.Command, _ []string) error { return c.Help() }
	}
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return argsError(c, args)
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		explainArgs(sub)
	}
}

// argsError says what is wrong with the number of arguments of c.
func argsError(c *cobra.Command, args []string) error {
	var text string
	switch {
	case c.HasSubCommands():
		text = fmt.Sprintf("unknown command %q", c.CommandPath()+" "+args[0])
		if near := experiments.Nearest(args[0], commandNames(c)); near != "" {
			text += fmt.Sprintf(" (did you mean %q?)", near)
		}
	case len(args) == 0:
		_, wanted, _ := strings.Cut(c.Use, " ")
		text = c.CommandPath() + " needs " + wanted
	default:
		text = fmt.Sprintf("%s: too many arguments: %q", c.CommandPath(), args[len(args)-1])
	}
	return errors.New(text + seeHelp(c))
}

func seeHelp(c *cobra.Command) string { return "\nsee " + c.CommandPath() + " --help" }

func commandNames(c *cobra.Command) []string {
	var names []string
	for _, sub := range c.Commands() {
		if !sub.Hidden {
			names = append(names, sub.Name())
		}
	}
	return names
}

// flagError says what is wrong with a flag of c.
func flagError(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		var names []string
		c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if near := experiments.Nearest(unknown.GetSpecifiedName(), names); near != "" {
			err = fmt.Errorf("%w (did you mean --%s?)", err, near)
		}
	}
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) && invalid.GetFlag().Value.Type() == "uint64" {
		err = fmt.Errorf("--%s %s: want a whole number from 0 to %d", invalid.GetFlag().Name, invalid.GetValue(), uint64(math.MaxUint64))
	}
	return fmt.Errorf("%w%s", err, seeHelp(c))
}

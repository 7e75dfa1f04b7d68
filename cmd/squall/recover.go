package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/squall-chaos/squall/experiments/runner"
	"github.com/squall-chaos/squall/injectors"
	"github.com/squall-chaos/squall/reports"
	"github.com/squall-chaos/squall/targets"
)

func newRecover() *cobra.Command {
	return &cobra.Command{
		Use:   "recover [RUN…]",
		Short: "Undo everything that is in force, of live and of dead runs",
		Long: `Recover undoes what the journals say is in force or may be. A run that is still
alive is told to undo its faults and ends as aborted. With names of runs, or
paths of their directories, only those are looked at.

It can be repeated and ends with 5 if something could not be undone.`,
		Example: `  squall recover
  squall recover last`,
		RunE: func(c *cobra.Command, args []string) error {
			signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
			return recoverRuns(c.Context(), c.OutOrStdout(), args)
		},
	}
}

func recoverRuns(ctx context.Context, w io.Writer, names []string) error {
	dirs, err := chosenDirs(ctx, names)
	if err != nil {
		return err
	}
	n, bad := 0, 0
	var others []string // runs of other users
	for _, d := range dirs {
		open, err := mayBeOpen(d)
		if err != nil || !open {
			continue
		}
		undone, err := injectors.Recover(ctx, d.Dir, byName(allDrivers()), slog.New(slog.DiscardHandler))
		if errors.Is(err, fs.ErrPermission) && len(names) == 0 {
			others = append(others, inert(d.Name))
			continue
		}
		if err != nil {
			fmt.Fprintf(w, "%s: %s\n", inert(d.Name), inert(err.Error()))
			bad++
		}
		n += len(undone)
		bad += printUndone(w, d.Name, undone)
	}
	if len(names) == 0 {
		swept, err := sweep(ctx, w)
		n += swept
		if err != nil {
			fmt.Fprintln(w, inert(err.Error()))
			bad++
		}
	}
	for _, o := range others {
		fmt.Fprintf(w, "%s  is another user's: run squall recover as that user\n", o)
	}
	switch {
	case bad > 0:
		return exit{reports.Unrecovered.ExitCode(), fmt.Errorf("%d of %d could not be undone: see above", bad, max(n, bad))}
	case n == 0 && len(others) == 0:
		fmt.Fprintln(w, "Nothing is in force.")
	}
	return nil
}

// sweep removes what of ours nobody holds and no journal knows.
func sweep(ctx context.Context, w io.Writer) (int, error) {
	var (
		n    int
		errs []error
	)
	for _, d := range allDrivers() {
		s, ok := d.(targets.Sweeper)
		if !ok {
			continue
		}
		swept, err := s.Sweep(ctx)
		for _, what := range swept {
			fmt.Fprintf(w, "%s  removed\n", inert(what))
		}
		n += len(swept)
		errs = append(errs, err)
	}
	return n, errors.Join(errs...)
}

func chosenDirs(ctx context.Context, names []string) ([]runner.Stored, error) {
	if len(names) == 0 {
		return runDirs(ctx)
	}
	store, none := runner.DefaultStore(getenv) // paths are found without one
	var dirs []runner.Stored
	for _, name := range names {
		d, err := store.Find(name)
		if err != nil {
			return nil, errors.Join(err, none)
		}
		dirs = append(dirs, d)
	}
	return dirs, nil
}

// mayBeOpen reports whether a run has something to undo, or cannot be read.
func mayBeOpen(d runner.Stored) (bool, error) {
	j, err := injectors.ReadJournalFile(d.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return true, nil
	}
	return len(j.Open()) > 0 || len(j.Damage) > 0, nil
}

// printUndone says how each undo went and returns how many did not go well.
func printUndone(w io.Writer, run string, undone []injectors.Undone) int {
	bad := 0
	for _, u := range undone {
		if u.Clean() {
			fmt.Fprintf(w, "%s  %s  undone\n", inert(run), inert(u.ID))
			continue
		}
		bad++
		fmt.Fprintf(w, "%s  %s  NOT undone: %s\n", inert(run), inert(u.ID), inert(u.Err))
		for _, r := range u.Residue {
			fmt.Fprintf(w, "    %s\n", inert(r))
		}
	}
	return bad
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/squall-chaos/squall/injectors"
	"github.com/squall-chaos/squall/reports"
	"github.com/squall-chaos/squall/targets"
)

func newStatus() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "status",
		Short: "List what is in force anywhere on this machine",
		Long: `Status reads the journals of all runs that it can find, those of live runs and
of dead ones, and lists every change that is in force or may be. As root it looks
at the runs of all users.`,
		Example: `  squall status
  squall status --json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return status(c.Context(), c.OutOrStdout(), asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "write JSON")
	return c
}

// inForce is one run that may have changes in force.
type inForce struct {
	Run     string            `json:"run"`
	Dir     string            `json:"dir"`
	Holder  injectors.Holder  `json:"holder"`
	Alive   bool              `json:"alive"` // an agent holds the changes and will undo them
	Changes []injectors.Entry `json:"changes"`
	Damage  []string          `json:"damage,omitempty"`
	Marks   []string          `json:"marks,omitempty"` // things of Squall's own that no journal knows
	Err     string            `json:"err,omitempty"`
}

func status(ctx context.Context, w io.Writer, asJSON bool) error {
	all, err := survey(ctx)
	if err != nil {
		return exit{reports.Inconclusive.ExitCode(), err}
	}
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(all)
	}
	return printStatus(w, all, time.Now())
}

// survey reads all journals that can be found.
func survey(ctx context.Context) ([]inForce, error) {
	dirs, err := runDirs(ctx)
	if err != nil {
		return nil, err
	}
	list, err := injectors.Holders(ctx)
	if err != nil {
		return nil, err
	}
	holders := map[string]injectors.Holder{}
	for _, h := range list {
		holders[h.Dir] = h
	}
	all := []inForce{}
	for _, d := range dirs {
		j, err := injectors.ReadJournalFile(d.Dir)
		f := inForce{Run: d.Name, Dir: d.Dir}
		if errors.Is(err, fs.ErrNotExist) {
			if h, ok := holders[d.Dir]; ok {
				f.Holder, f.Alive, f.Err = h, true, fmt.Sprintf("its journal is gone: agent %d undoes what it holds when its run ends", h.PID)
				all = append(all, f)
			}
			continue
		}
		switch {
		case errors.Is(err, fs.ErrPermission):
			f.Holder, f.Alive = holders[d.Dir], holders[d.Dir].PID != 0
			f.Err = "it is another user's: only that user and root can see what is in force"
			all = append(all, f)
			continue
		case err != nil:
			f.Err = err.Error()
		default:
			f.Holder, f.Changes, f.Damage = j.Holder, j.Open(), j.Damage
		}
		if f.Alive, err = injectors.Held(d.Dir); err != nil && f.Err == "" {
			f.Err = err.Error()
		}
		if len(f.Changes) > 0 || len(f.Damage) > 0 || f.Err != "" {
			all = append(all, f)
		}
	}
	for _, d := range allDrivers() {
		if w, ok := d.(targets.Sweeper); ok {
			if marks := w.Marks(ctx); len(marks) > 0 {
				all = append(all, inForce{Run: "without a journal", Marks: marks})
			}
		}
	}
	return all, nil
}

func printStatus(w io.Writer, all []inForce, now time.Time) error {
	if len(all) == 0 {
		fmt.Fprintln(w, "Nothing is in force.")
		return nil
	}
	dead := false
	for _, f := range all {
		holder := fmt.Sprintf("held by agent %d, which will undo it", f.Holder.PID)
		if !f.Alive {
			dead, holder = true, "held by nobody"
		}
		fmt.Fprintf(w, "%s  %s\n", inert(f.Run), holder)
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, e := range f.Changes {
			fmt.Fprintf(tw, "  %s\t%s\t%s\t%s\n", inert(e.Change.ID), e.Stage, inert(e.Change.Do), now.Sub(e.Planned).Round(time.Second))
			for _, r := range e.Residue {
				fmt.Fprintf(tw, "  \t\t%s\t\n", inert(r))
			}
		}
		tw.Flush()
		for _, m := range f.Marks {
			fmt.Fprintf(w, "  %s\n", inert(m))
		}
		for _, d := range f.Damage {
			fmt.Fprintf(w, "  the journal is damaged: %s\n", inert(d))
		}
		if f.Err != "" {
			fmt.Fprintf(w, "  %s\n", inert(f.Err))
		}
	}
	if dead {
		fmt.Fprintln(w, "\nWhat nobody holds is undone by: squall recover")
	}
	return nil
}

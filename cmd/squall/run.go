package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/squall-chaos/squall/experiments"
	"github.com/squall-chaos/squall/experiments/runner"
	"github.com/squall-chaos/squall/injectors"
	"github.com/squall-chaos/squall/reports"
	"github.com/squall-chaos/squall/targets"
)

// runFlags are the flags of run.
type runFlags struct {
	fileFlags
	seedFlag
	out      string
	events   string
	noInject bool
	yes      bool
	quiet    bool
}

func newRun(s streams) *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run FILE|FOLDER…",
		Short: "Run experiments and say whether the system held",
		Long: `Run executes experiments one after another: it measures the steady state, injects
the faults, watches the system through probes, puts everything back, and says
with evidence whether the system held.

Ctrl-C stops the disturbing and undoes everything. What an earlier run left
behind, if it was killed with its agent, is undone first.

Exit codes: 0 held, 1 deviated, 2 wrong usage or an invalid file,
3 inconclusive, 4 aborted, 5 something of a fault may still be there.
Over several experiments the worst counts.`,
		Example: `  squall run examples/quickstart/held.yaml
  squall run experiments/ --tag nightly --out results -q
  squall run shop.yaml --var base=http://127.0.0.1:8080 --seed 7
  squall run shop.yaml --no-inject`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return runFiles(c, s, &f, args) },
	}
	f.fileFlags.register(c)
	f.seedFlag.register(c)
	c.Flags().StringVar(&f.out, "out", "", "put the run's directory into `DIR`; default the XDG state folder")
	c.Flags().StringVar(&f.events, "events", "", "write every event as a line of JSON to `FILE`, or to standard output with -")
	c.Flags().BoolVar(&f.noInject, "no-inject", false, "do everything but the faults")
	c.Flags().BoolVar(&f.yes, "yes", false, "answer every confirm step with yes")
	c.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "say only the summary")
	return c
}

// command is one call of run.
type command struct {
	*runFlags
	cobra   *cobra.Command
	streams streams
	drivers []targets.Driver
	store   runner.Store
	events  io.Writer // nil: nobody wants them
	people  io.Writer // where views and summaries go
	stop    chan string
	stopped atomic.Bool // somebody asked to stop: no experiment is begun any more
	before  []string    // what an earlier run left that could not be undone
}

func runFiles(c *cobra.Command, s streams, f *runFlags, paths []string) error {
	store, err := runner.DefaultStore(getenv)
	if err != nil && f.out == "" {
		return err
	}
	if store.Runs == "" {
		store.Runs = f.out
	}
	r := &command{runFlags: f, cobra: c, streams: s, drivers: allDrivers(), store: store, people: s.out, stop: make(chan string, 8)}
	es, err := f.load(paths, r.drivers)
	if err != nil {
		return err
	}
	if err := r.askable(es); err != nil {
		return err
	}
	closeEvents, err := r.openEvents()
	if err != nil {
		return err
	}
	defer closeEvents()
	defer r.catchSignals()()
	if err := r.recoverDead(c.Context()); err != nil {
		fmt.Fprintf(s.err, "squall: %v\n", err)
		r.before = []string{err.Error()}
	}
	return r.runAll(es)
}

// runAll runs the experiments and ends with the worst exit code.
func (r *command) runAll(es []*experiments.Experiment) error {
	code := 0
	var results []*reports.Result
	for _, e := range es {
		res, err := r.runOne(e)
		if err != nil {
			fmt.Fprintf(r.streams.err, "squall: %s: %v\n", inert(e.File), err)
			code = reports.Worse(code, reports.Inconclusive.ExitCode())
		}
		if res != nil {
			code = reports.Worse(code, res.Verdict.ExitCode())
			results = append(results, res)
		}
		if r.stopped.Load() {
			break
		}
	}
	if len(results) < len(es) && r.stopped.Load() {
		code = reports.Worse(code, reports.Aborted.ExitCode())
	}
	if len(es) > 1 {
		r.rollUp(es, results)
	}
	if code != 0 {
		return exit{code: code}
	}
	return nil
}

// rollUp is one line an experiment, for several of them.
func (r *command) rollUp(es []*experiments.Experiment, results []*reports.Result) {
	fmt.Fprintln(r.people)
	for _, res := range results {
		fmt.Fprintf(r.people, "%-12s  %s\n", res.Verdict, inert(res.Title))
	}
	if n := len(es) - len(results); n > 0 {
		fmt.Fprintf(r.people, "%-12s  %d more\n", "not run", n)
	}
}

func (r *command) runOne(e *experiments.Experiment) (*reports.Result, error) {
	var people answers
	view := r.newView(&people)
	seed := r.of(r.cobra, e)
	res, err := runner.Run(r.cobra.Context(), runner.Options{
		Experiment: e, Drivers: byName(r.drivers), Seed: seed, Store: r.store, Out: r.out, NoInject: r.noInject,
		Version: version(), Replay: r.replay(e, seed), Notes: r.before, Stop: r.stop, Confirm: r.confirm(&people),
		Events: func(ev runner.Event) {
			r.tell(ev)
			view.Handle(ev)
		},
	})
	view.Close()
	if res != nil {
		if terr := reports.Text(r.people, res, textOptions(r.people)); err == nil {
			err = terr
		}
	}
	return res, err
}

func (r *command) tell(ev runner.Event) {
	if r.events == nil {
		return
	}
	if err := json.NewEncoder(r.events).Encode(ev); err != nil {
		fmt.Fprintf(r.streams.err, "squall: --events: %v\n", err)
		r.events = nil
	}
}

func (r *command) openEvents() (func(), error) {
	switch r.runFlags.events {
	case "":
		return func() {}, nil
	case "-":
		r.events, r.people = r.streams.out, r.streams.err
		return func() {}, nil
	}
	f, err := os.OpenFile(r.runFlags.events, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("--events: %w", err)
	}
	r.events = f
	return func() { f.Close() }, nil
}

// catchSignals turns signals into wishes to stop.
func (r *command) catchSignals() func() {
	got := make(chan os.Signal, 8)
	signal.Notify(got, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	done := make(chan struct{})
	names := map[os.Signal]string{syscall.SIGINT: "Ctrl-C", syscall.SIGTERM: "SIGTERM", syscall.SIGHUP: "the terminal was closed"}
	go func() {
		for {
			select {
			case s := <-got:
				r.interrupt(names[s])
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(got)
		close(done)
	}
}

// interrupt asks the run to stop, and no other one to begin.
func (r *command) interrupt(who string) {
	r.stopped.Store(true)
	select {
	case r.stop <- who:
	default: // enough people have said so
	}
}

// replay is the command that runs the same again.
func (r *command) replay(e *experiments.Experiment, seed uint64) string {
	words := []string{"squall", "run", e.File, "--seed", fmt.Sprint(seed)}
	for _, v := range r.vars {
		words = append(words, "--var", v)
	}
	for _, v := range r.varFiles {
		words = append(words, "--var-file", v)
	}
	if r.noInject {
		words = append(words, "--no-inject")
	}
	for i, w := range words {
		if strings.ContainsAny(w, " '\"$&|;<>()*?[]#~\\`") {
			words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

// recoverDead undoes what runs of this user left that were killed with their
// agents.
func (r *command) recoverDead(ctx context.Context) error {
	runs, err := r.store.List()
	if err != nil {
		return err
	}
	var errs []error
	for _, s := range runs {
		j, err := injectors.ReadJournalFile(s.Dir)
		if errors.Is(err, fs.ErrNotExist) || err == nil && len(j.Open()) == 0 {
			continue
		}
		if held, _ := injectors.Held(s.Dir); held {
			continue
		}
		undone, err := injectors.Recover(ctx, s.Dir, byName(r.drivers), slog.New(slog.DiscardHandler))
		if err != nil {
			errs = append(errs, fmt.Errorf("what run %s left could not be undone: %w", s.Name, err))
		}
		if bad := printUndone(r.streams.err, s.Name, undone); bad > 0 {
			errs = append(errs, fmt.Errorf("%d faults that run %s left could not be undone: run squall recover %s", bad, s.Name, s.Name))
		}
	}
	return errors.Join(errs...)
}

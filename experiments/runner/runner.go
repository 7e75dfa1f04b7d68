// Package runner executes one run of one experiment: it brings the world up,
// watches it through probes, injects the faults of the method through an agent,
// undoes them whatever happens, and puts together the result.
//
// A run is observed through its stream of Events only. The package is the one
// place that starts goroutines for a run; all of them have ended when Run returns.
package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/squall-chaos/squall/experiments"
	"github.com/squall-chaos/squall/experiments/secrets"
	"github.com/squall-chaos/squall/injectors"
	"github.com/squall-chaos/squall/reports"
	"github.com/squall-chaos/squall/targets"
)

// Options is what a run needs beside its experiment.
type Options struct {
	Experiment *experiments.Experiment
	Drivers    injectors.Drivers
	Seed       uint64
	Store      Store
	Out        string   // parent of the run's directory; empty: the store
	NoInject   bool     // do everything but the faults
	Version    string   // of the program, for the result
	Replay     string   // the command that runs the same again
	Notes      []string // what a reader of the result should know of the time before it
	Getenv     func(string) (string, bool)
	Events     func(Event)   // gets every event, one at a time; must not block for long
	Stop       <-chan string // each value is somebody's wish to stop, with who it is; more than one do not skip the undo
	// Confirm asks a person and returns the answer. Nil means that nobody can be
	// asked, which is a no.
	Confirm func(ctx context.Context, step, question string) (bool, error)
}

// Run executes the experiment and returns its result, which is also in the run's
// directory, whatever the verdict. The error is for runs that could not even get
// that far, such as when the directory cannot be written; nothing was touched
// then. It blocks until everything is undone; ctx ending stops the disturbing and
// nothing else.
func Run(ctx context.Context, o Options) (*reports.Result, error) {
	r, err := newRun(o)
	if err != nil {
		return nil, err
	}
	defer r.files.Close()
	return r.execute(ctx)
}

// run is one run in progress.
type run struct {
	Options
	e       *experiments.Experiment
	name    string
	dir     string
	files   *files
	log     *slog.Logger
	redact  *secrets.Redactor
	secrets map[string]string
	plan    *experiments.Plan
	planned map[string]experiments.PlannedStep // by stepID
	started time.Time                          // of the run
	epoch   time.Time                          // of the baseline; all offsets count from it

	method context.Context // ends when the disturbing must stop
	cancel context.CancelCauseFunc
	life   context.Context // ends when nothing needs to be watched any more
	end    context.CancelFunc

	drivers injectors.Drivers // with the worlds of this run in the place of their drivers
	worlds  map[string]targets.World
	groups  map[string]experiments.Group
	watched []*watched     // probes, in the file's order
	crew    sync.WaitGroup // samplers and watchers

	steadyAt time.Duration // up to where the recovery was measured to be steady; 0: it was not

	telling sync.Mutex // one event at a time
	agents  sync.Mutex // held while the agent is replaced or ended

	mu       sync.Mutex
	agent    *injectors.Agent
	refs     map[targets.Ref]targets.Ref // from what was chosen to its latest incarnation
	attempts []*attempt                  // as record.faults
	record   record
}

// record is what a run remembers for its result.
type record struct {
	phases   []reports.Phase
	faults   []*reports.Fault
	checks   []reports.Check
	guards   []reports.Guard
	problems []string
	aborted  []string
	residue  []string
	notes    []string
}

func newRun(o Options) (*run, error) {
	now := time.Now()
	name, dir, err := o.Store.Create(now, o.Experiment.Title, o.Out)
	if err != nil {
		return nil, err
	}
	f, err := openFiles(dir, o.Experiment.Source)
	if err != nil {
		return nil, err
	}
	r := &run{
		Options: o, e: o.Experiment, name: name, dir: dir, files: f,
		started: now, drivers: o.Drivers, groups: map[string]experiments.Group{}, refs: map[targets.Ref]targets.Ref{},
	}
	r.record.notes = slices.Clone(o.Notes)
	r.log = slog.New(slog.NewJSONHandler(logs{r}, nil)).With("run", name)
	return r, nil
}

// logs is the run's log without the values of secrets.
type logs struct{ r *run }

func (l logs) Write(line []byte) (int, error) {
	_, err := l.r.files.log.Write(l.r.redact.Bytes(line))
	return len(line), err
}

// Why a run stops before its end.
var (
	errStopped = errors.New("stopped")     // a person, a signal or a guard: aborted
	errFutile  = errors.New("futile")      // nothing can be shown any more: inconclusive
	errOver    = errors.New("run is over") // the regular end
)

// abort stops the disturbing for a reason that makes the verdict aborted.
func (r *run) abort(why string) {
	r.mu.Lock()
	r.record.aborted = append(r.record.aborted, why)
	r.mu.Unlock()
	r.log.Warn("aborting", "why", why)
	r.emit(Event{Kind: Stopping, Text: why + ": " + r.pending()})
	r.cancel(fmt.Errorf("%w: %s", errStopped, why))
}

// giveUp stops the disturbing because the run cannot show anything any more.
func (r *run) giveUp(why string) {
	r.problem(why)
	r.cancel(fmt.Errorf("%w: %s", errFutile, why))
}

func (r *run) problem(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.record.problems = append(r.record.problems, why)
}

func (r *run) note(text string) {
	r.mu.Lock()
	r.record.notes = append(r.record.notes, text)
	r.mu.Unlock()
	r.emit(Event{Kind: Noted, Text: text})
}

// pending says what is still to be undone.
func (r *run) pending() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, f := range r.record.faults {
		if f.State == stateInForce {
			n++
		}
	}
	switch n {
	case 0:
		return "no fault is in force; finishing"
	case 1:
		return "undoing 1 fault"
	}
	return fmt.Sprintf("undoing %d faults", n)
}

// execute takes the run through its life. Every part ends early when the method's
// context has ended, and the parts that undo and tell are always reached.
func (r *run) execute(ctx context.Context) (*reports.Result, error) {
	r.life, r.end = context.WithCancel(context.WithoutCancel(ctx))
	defer r.end()
	r.method, r.cancel = context.WithCancelCause(r.life)
	defer r.cancel(errOver)
	listening := make(chan struct{})
	go r.listen(ctx, listening)

	r.guardsOf()
	r.live()
	r.closeDown()

	r.end()
	<-listening
	res := r.result()
	r.emit(Event{Kind: RunEnded, Verdict: res.Verdict, Reasons: res.Reasons})
	return res, r.files.finish(res)
}

// listen turns wishes to stop, of people and of the caller's context, into the
// end of the method.
func (r *run) listen(ctx context.Context, done chan<- struct{}) {
	defer close(done)
	first := true
	wish := func(who string) {
		if first {
			first = false
			r.abort(who)
			return
		}
		r.emit(Event{Kind: Stopping, Text: who + " again: not skipped: " + r.pending()})
	}
	ended := ctx.Done()
	for {
		select {
		case who, ok := <-r.Stop:
			if !ok {
				r.Stop = nil
				continue
			}
			wish(who)
		case <-ended:
			ended = nil
			wish(fmt.Sprint("the caller: ", context.Cause(ctx)))
		case <-r.life.Done():
			return
		}
	}
}

// live is everything from the first look at the world to the end of recovery.
func (r *run) live() {
	if !r.prepare() {
		return
	}
	r.startProbes()
	if !r.baseline() {
		return
	}
	r.runMethod()
	r.recovery()
}

// closeDown undoes what is left and ends everything that the run started.
func (r *run) closeDown() {
	r.closeAgent()
	r.end()
	r.crew.Wait()
	for name, w := range r.worlds {
		if err := w.Close(); err != nil {
			r.leave(fmt.Sprintf("%s: %v", name, err))
		}
	}
}

// leave records that something is left behind.
func (r *run) leave(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.record.residue = append(r.record.residue, what)
}

package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/squall-chaos/squall/experiments"
	"github.com/squall-chaos/squall/experiments/secrets"
	"github.com/squall-chaos/squall/injectors"
	"github.com/squall-chaos/squall/targets"
)

// prepare resolves the plan, brings the worlds up and starts the agent. Nothing of
// anybody's is touched. It reports whether the run can go on.
func (r *run) prepare() bool {
	for _, step := range []func() error{r.resolveSecrets, r.resolvePlan, r.startWorlds, r.startAgent, r.bindProbes} {
		err := step()
		if r.method.Err() != nil {
			return false
		}
		if err != nil {
			r.giveUp(err.Error())
			return false
		}
	}
	return true
}

func (r *run) resolveSecrets() error {
	var err error
	r.secrets, err = secrets.ResolveAll(r.e.Secrets)
	r.redact = secrets.NewRedactor(r.secrets)
	return err
}

// resolvePlan freezes what will be done to which targets.
func (r *run) resolvePlan() error {
	err := r.choose()
	started := Event{Kind: RunStarted, Run: r.name, Dir: r.dir, Seed: r.Seed, Text: r.e.Title}
	if r.plan != nil {
		started.Timeline = spans(r.plan)
	}
	r.emit(started)
	return err
}

func (r *run) choose() error {
	drivers, worlds, err := r.e.Declare(r.Drivers)
	if err != nil {
		return err
	}
	r.drivers, r.worlds = drivers, worlds
	groups, err := r.e.Choose(r.method, drivers, r.Seed)
	for _, g := range groups {
		r.groups[g.Name] = g
	}
	if err != nil {
		return err
	}
	if r.plan, err = experiments.Resolve(r.method, r.e, r.Drivers, r.Seed); r.plan == nil {
		return err
	}
	r.planned = map[string]experiments.PlannedStep{}
	index(r.planned, r.plan.Steps)
	if werr := r.files.plan(r.plan); werr != nil {
		return errors.Join(err, fmt.Errorf("plan: %w", werr))
	}
	return err
}

// spans are the parts of a plan's timeline for drawing it.
func spans(p *experiments.Plan) []Span {
	out := []Span{{Name: "baseline", Start: p.Baseline.Start, End: p.Baseline.End}}
	var add func([]experiments.PlannedStep)
	add = func(steps []experiments.PlannedStep) {
		for _, s := range steps {
			if len(s.Steps) > 0 {
				add(s.Steps)
				continue
			}
			out = append(out, Span{Name: s.Text, Step: stepID(s.ID, s.Round), Start: s.Start, End: s.End})
		}
	}
	add(p.Steps)
	return append(out, Span{Name: "recovery", Start: p.Recovery.Start, End: p.Recovery.End})
}

// index finds planned steps by stepID.
func index(into map[string]experiments.PlannedStep, steps []experiments.PlannedStep) {
	for _, s := range steps {
		into[stepID(s.ID, s.Round)] = s
		index(into, s.Steps)
	}
}

// stepID tells the rounds of a repeated step apart.
func stepID(id string, round int) string {
	if round == 0 {
		return id
	}
	return fmt.Sprintf("%s#%d", id, round)
}

// startWorlds brings up what the file itself declares, such as a lab.
func (r *run) startWorlds() error {
	for _, name := range slices.Sorted(maps.Keys(r.worlds)) {
		w := r.worlds[name]
		dir := filepath.Join(r.dir, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		r.emit(Event{Kind: Preparing, Text: "starting the " + name})
		err := w.Start(r.method, targets.StartOptions{
			Dir: dir, FileDir: r.e.Dir(),
			Expand: func(s string) (string, error) {
				return secrets.Expand(strings.ReplaceAll(s, "${"+name+"}", dir), r.secrets)
			},
			Output: func(line string) { r.emit(Event{Kind: Preparing, Text: line}) },
		})
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		r.crew.Go(func() { r.guardWorld(name, w) })
	}
	return r.meetWorlds()
}

// meetWorlds finds the chosen targets in the worlds that have started.
func (r *run) meetWorlds() error {
	for _, g := range r.groups {
		w, ok := r.worlds[g.Driver]
		if !ok {
			continue
		}
		live, err := w.Find(r.method, g.Selector)
		if err != nil {
			return fmt.Errorf("target %s: %w", g.Name, err)
		}
		for _, t := range g.Chosen {
			i := slices.IndexFunc(live, func(l targets.Target) bool { return l.Name() == t.Name() })
			if i < 0 {
				return fmt.Errorf("target %s: %s did not start", g.Name, t.Name())
			}
			r.refs[t.Ref()] = live[i].Ref()
		}
	}
	return nil
}

// guardWorld ends the run when its world ends under it.
func (r *run) guardWorld(name string, w targets.World) {
	select {
	case <-r.life.Done():
	case <-w.Done():
		r.abort("the " + name + " went away")
	}
}

// undoMargin is how long the agent waits past the run's own limit before it
// undoes everything without it.
const undoMargin = 30 * time.Second

func (r *run) startAgent() error {
	if r.NoInject {
		return nil
	}
	a, undone, err := injectors.StartAgent(r.method, injectors.AgentOptions{
		Dir: r.dir, Run: r.name, Experiment: r.e.Title, Deadline: time.Now().Add(r.e.Limits.Duration.D() + undoMargin),
	})
	if err != nil {
		return err
	}
	r.settle(undone)
	r.mu.Lock()
	r.agent = a
	r.mu.Unlock()
	r.crew.Go(func() { r.guardAgent(a) })
	return nil
}

// guardAgent notices when the agent is gone, or was told by somebody else to undo
// everything. What a dead agent held is undone by a new one.
func (r *run) guardAgent(a *injectors.Agent) {
	select {
	case <-r.life.Done():
	case why := <-a.Closed():
		r.abort(why)
	case <-a.Gone():
		r.replaceAgent(a)
	}
}

func (r *run) replaceAgent(dead *injectors.Agent) {
	r.agents.Lock()
	defer r.agents.Unlock()
	if r.currentAgent() != dead {
		return // it was ended
	}
	r.abort(fmt.Sprintf("the agent, process %d, ended unexpectedly", dead.PID()))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.life), undoLimit)
	defer cancel()
	a, undone, err := injectors.StartAgent(ctx, injectors.AgentOptions{Dir: r.dir, Run: r.name, Experiment: r.e.Title})
	if err != nil {
		r.leave("no agent could be started to undo what the dead one held: " + err.Error() + ": run squall recover " + r.name)
		return
	}
	r.settle(undone)
	r.mu.Lock()
	r.agent = a
	r.mu.Unlock()
}

// undoLimit bounds waiting for undo; the agent has limits of its own below it.
const undoLimit = 5 * time.Minute

// closeAgent ends the agent and takes down what it says is not undone.
func (r *run) closeAgent() {
	r.agents.Lock()
	defer r.agents.Unlock()
	r.mu.Lock()
	a := r.agent
	r.agent = nil
	r.mu.Unlock()
	if a == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.life), undoLimit)
	defer cancel()
	undone, err := a.Close(ctx)
	if err != nil && !errors.Is(err, injectors.ErrAgentGone) {
		r.leave("the agent did not end: " + err.Error() + ": run squall recover " + r.name)
		return
	}
	if err != nil {
		r.abort(fmt.Sprintf("the agent, process %d, ended unexpectedly", a.PID()))
		r.recoverHere(ctx)
		return
	}
	r.settle(undone)
}

// recoverHere undoes in this process what an agent left that died at the very end.
func (r *run) recoverHere(ctx context.Context) {
	undone, err := injectors.Recover(ctx, r.dir, r.drivers, r.log)
	if err != nil {
		r.leave(err.Error() + ": run squall recover " + r.name)
	}
	r.settle(undone)
}

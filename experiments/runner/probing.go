package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"time"

	"github.com/squall-chaos/squall/experiments"
	"github.com/squall-chaos/squall/experiments/probes"
	"github.com/squall-chaos/squall/experiments/secrets"
	"github.com/squall-chaos/squall/experiments/verifier"
	"github.com/squall-chaos/squall/reports"
	"github.com/squall-chaos/squall/targets"
)

// watched is one probe of the experiment with all its readings.
type watched struct {
	experiments.Probe
	live    probes.Probe // with secrets, bound to the world
	sampler *probes.Sampler
	series  *verifier.Series
	steady  []verifier.Claim
	told    time.Duration // up to where readings were sent as events
}

// last is the window of that length up to where all readings have come in. One
// that ended now would miss those that hang, and so the worst.
func (w *watched) last(over time.Duration) verifier.Window {
	end := w.sampler.Settled()
	return w.series.Window(max(0, end-over), end)
}

// now is the offset of this moment within the run.
func (r *run) now() time.Duration {
	if r.epoch.IsZero() {
		return 0
	}
	return time.Since(r.epoch)
}

// emit tells an event to everybody who watches the run.
func (r *run) emit(e Event) {
	r.telling.Lock()
	defer r.telling.Unlock()
	e.At, e.T = time.Now().UTC(), r.now().Seconds()
	e = secrets.Deep(r.redact, e)
	line, err := json.Marshal(e)
	if err != nil {
		r.log.Error("event", "err", err)
		return
	}
	r.files.event(line)
	if r.Events != nil {
		r.Events(e)
	}
}

// bindProbes makes the probes that will be read, with secrets and origins.
func (r *run) bindProbes() error {
	for _, p := range r.e.Probes {
		live, err := p.Instance(r.secrets)
		if err != nil {
			return fmt.Errorf("probe %s: %w", p.Name, err)
		}
		env := probes.Env{Dir: r.e.Dir(), Dial: r.origin(p.From)}
		if w, ok := live.(probes.Watcher); ok {
			env.State = r.stateOf(w.Targets())
		}
		if err := live.Bind(env); err != nil {
			return fmt.Errorf("probe %s: %w", p.Name, err)
		}
		w := &watched{Probe: p, live: live, series: verifier.NewSeries(p.Rate)}
		for _, h := range r.e.Hypothesis {
			if h.Probe == p.Name {
				w.steady = h.Steady
			}
		}
		r.watched = append(r.watched, w)
	}
	return nil
}

// origin is where a probe's connections start: in the network of the first target
// of a group, in a world of this run, or on this machine. A run with one world
// starts them there unless the file says otherwise.
func (r *run) origin(from string) probes.DialFunc {
	if from == "" && len(r.worlds) == 1 {
		for name := range r.worlds {
			from = name
		}
	}
	if w, ok := r.worlds[from]; ok {
		return w.DialContext
	}
	g, ok := r.groups[from]
	if !ok {
		return nil
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		t, err := r.reopen(ctx, g.Chosen[0])
		if err != nil {
			return nil, fmt.Errorf("from %s: %w", from, err)
		}
		d, ok := t.(targets.Dialer)
		if !ok {
			return nil, fmt.Errorf("from %s: driver %s cannot open connections", from, g.Driver)
		}
		return d.DialContext(ctx, network, address)
	}
}

// stateOf reads the states of the chosen targets of groups.
func (r *run) stateOf(groups []string) func(context.Context) ([]probes.State, error) {
	return func(ctx context.Context) ([]probes.State, error) {
		var all []probes.State
		for _, name := range groups {
			for _, t := range r.groups[name].Chosen {
				s, err := r.lookAt(ctx, t)
				if err != nil {
					return nil, err
				}
				all = append(all, probes.State{Name: t.Name(), Status: string(s.Status), Health: s.Health, Restarts: s.Restarts})
			}
		}
		return all, nil
	}
}

func (r *run) lookAt(ctx context.Context, t targets.Target) (targets.State, error) {
	now, err := r.reopen(ctx, t)
	if goneError(err) {
		return targets.State{Status: targets.Gone}, nil
	}
	if err != nil {
		return targets.State{}, err
	}
	life, ok := now.(targets.Lifecycle)
	if !ok {
		return targets.State{}, fmt.Errorf("%s: driver %s has no states", t.Name(), t.Ref().Driver)
	}
	s, err := life.State(ctx)
	if goneError(err) {
		return targets.State{Status: targets.Gone}, nil
	}
	return s, err
}

// startProbes starts all probes at one epoch.
func (r *run) startProbes() {
	r.epoch = time.Now()
	for _, w := range r.watched {
		w.sampler = &probes.Sampler{Probe: w.live, Rate: w.Rate, Epoch: r.epoch, Emit: w.series.Append}
		if b, ok := w.live.(probes.Bounded); ok {
			w.sampler.Drain = b.Limit()
		}
		r.crew.Go(func() {
			if err := w.sampler.Run(r.life); err != nil {
				r.problem(fmt.Sprintf("probe %s: %v", w.Name, err))
			}
		})
	}
	r.crew.Go(r.tell)
}

// awaitReadings waits until all readings that were due before an offset have come in.
func (r *run) awaitReadings(ctx context.Context, until time.Duration) {
	for _, w := range r.watched {
		for w.sampler.Settled() < until && ctx.Err() == nil {
			wait(ctx, 10*time.Millisecond)
		}
	}
}

// tellLag is how old readings are when they are told: late answers belong to the
// second in which they were due.
const tellLag = time.Second

// tell sends the readings of every second as events.
func (r *run) tell() {
	tick := time.NewTicker(time.Second / 2)
	defer tick.Stop()
	for {
		select {
		case <-r.life.Done():
			r.tellUntil(r.now())
			return
		case <-tick.C:
			r.tellUntil(r.now() - tellLag)
		}
	}
}

func (r *run) tellUntil(until time.Duration) {
	for _, w := range r.watched {
		for ; w.told+time.Second <= until; w.told += time.Second {
			for _, p := range w.series.Window(w.told, w.told+time.Second).Points(time.Second) {
				r.emit(Event{Kind: ReadingsTaken, Probe: w.Name, Point: &p})
			}
		}
	}
}

func (r *run) probe(name string) *watched {
	for _, w := range r.watched {
		if w.Name == name {
			return w
		}
	}
	return nil
}

// guardEvery is how often guards are looked at.
const guardEvery = 250 * time.Millisecond

// guard aborts the run when a guard is broken.
func (r *run) guard(ctx context.Context) {
	tick := time.NewTicker(guardEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for i, g := range r.e.Guards {
			w := r.probe(g.Probe)
			if w.sampler.Settled() < g.Claim.Over {
				continue
			}
			j := verifier.Judge(g.Claim, w.last(g.Claim.Over), r.baselineOf(w))
			if j.Status != reports.CheckBroken {
				continue
			}
			at := r.now().Seconds()
			r.update(func() { r.record.guards[i].Broken, r.record.guards[i].At, r.record.guards[i].Got = true, &at, j.Got })
			r.emit(Event{Kind: GuardBroken, Probe: g.Probe, Text: g.Claim.String() + ", got " + j.Got})
			r.abort(fmt.Sprintf("guard broken: %s %s, got %s", g.Probe, g.Claim, j.Got))
			return
		}
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"

	"github.com/squall-chaos/squall/experiments/runner"
	"github.com/squall-chaos/squall/injectors"
	"github.com/squall-chaos/squall/targets"
	"github.com/squall-chaos/squall/targets/docker"
	"github.com/squall-chaos/squall/targets/docker/dockertest"
	"github.com/squall-chaos/squall/targets/lab"
)

// The figures of these benchmarks are metrics of their own; ns/op is of no
// meaning where an operation has parts that are not measured.

// took is how long f takes.
func took(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

func milliseconds(b *testing.B, d time.Duration, unit string) {
	b.ReportMetric(d.Seconds()*1000/float64(b.N), unit)
}

// BenchmarkStart compares the start of squall version with that of a Go program
// that does nothing.
func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	build := func(name, from string) string {
		to := filepath.Join(dir, name)
		if out, err := exec.Command("go", "build", "-o", to, from).CombinedOutput(); err != nil {
			b.Fatalf("go build %s: %v\n%s", from, err, out)
		}
		return to
	}
	nothing := filepath.Join(dir, "nothing.go")
	if err := os.WriteFile(nothing, []byte("package main\n\nfunc main() {}\n"), 0o644); err != nil {
		b.Fatal(err)
	}
	squall, trivial := build("squall", "."), build("nothing", nothing)
	var ours, theirs time.Duration
	for b.Loop() {
		ours += took(func() {
			if err := exec.Command(squall, "version").Run(); err != nil {
				b.Fatal(err)
			}
		})
		theirs += took(func() { _ = exec.Command(trivial).Run() })
	}
	milliseconds(b, ours, "ms-squall")
	milliseconds(b, theirs, "ms-trivial")
	b.ReportMetric(ours.Seconds()/theirs.Seconds(), "x-trivial")
}

// BenchmarkRun is a run's wall time without what the file asks for: 1 s of
// baseline, 1 s of fault, and 1 s of looking whether it is steady again.
func BenchmarkRun(b *testing.B) {
	required(b, "namespaces", lab.Available())
	for _, hosts := range []int{1, 30} {
		b.Run(fmt.Sprintf("hosts=%d", hosts), func(b *testing.B) {
			var over time.Duration
			for b.Loop() {
				h := newHome(b)
				file := h.file(b, "bench.yaml", fmt.Sprintf(`title: bench
lab: {hosts: {it: {replicas: %d, run: [%q, %s], restart: always}}}
targets: {it: {lab: "it-*", pick: all}}
probes: {beat: {exec: {command: ["true"]}, rate: 20/s}}
hypothesis: {beat: {steady: {success: ">= 50%%"}}}
timing: {baseline: 1s, recovery: 20s}
method: [{fault: pause, on: it, for: 1s}]
`, hosts, self(b), roleIdle))
				var got ended
				over += took(func() { got = h.squall(b, "run", "-q", file) }) - 3*time.Second
				if got.code != 0 && !got.starved() {
					b.Fatal(got)
				}
			}
			milliseconds(b, over, "ms-overhead")
		})
	}
}

// BenchmarkKillOfRun is the time from the SIGKILL of a run that holds 50 targets
// paused until none of them is. Plain processes are let go by the agent; the
// hosts of a lab are ended by the kernel, with the lab.
func BenchmarkKillOfRun(b *testing.B) {
	const many = 50
	b.Run("processes", func(b *testing.B) {
		benchKill(b, func(b *testing.B, h *home) (string, func() bool) {
			mark := fmt.Sprintf("squall-bench-%d-%d.", os.Getpid(), scenes.Add(1))
			var pids []int
			for range many {
				pids = append(pids, newSubject(b, mark, roleIdle).Process.Pid)
			}
			return "targets: {it: {process: {name: " + mark + "}, pick: all}}", func() bool {
				for _, pid := range pids {
					if stateOf(pid) == 'T' {
						return false
					}
				}
				return true
			}
		})
	})
	b.Run("hosts", func(b *testing.B) {
		required(b, "namespaces", lab.Available())
		benchKill(b, func(b *testing.B, h *home) (string, func() bool) {
			mark := fmt.Sprintf("squall-bench-%d-%d.", os.Getpid(), scenes.Add(1))
			var pids []int
			top := fmt.Sprintf("lab: {hosts: {it: {replicas: %d, run: [%q, %s, %s], restart: always}}}\ntargets: {it: {lab: \"it-*\", pick: all}}", many, self(b), roleIdle, mark)
			return top, func() bool {
				if pids == nil { // asked for the first time, while all are there
					pids = processes(func(_ int, argv []string) bool { return len(argv) == 3 && argv[2] == mark })
				}
				for _, pid := range pids {
					if s := stateOf(pid); s != 0 && s != 'Z' && s != 'X' {
						return false
					}
				}
				return len(pids) == many
			}
		})
	})
}

func benchKill(b *testing.B, world func(*testing.B, *home) (top string, free func() bool)) {
	var total time.Duration
	for b.Loop() {
		h := newHome(b)
		top, free := world(b, h)
		file := h.file(b, "bench.yaml", top+`
title: bench
probes: {beat: {exec: {command: ["true"]}, rate: 20/s}}
hypothesis: {beat: {steady: {success: ">= 1%"}}}
timing: {baseline: 1s, recovery: 20s}
method: [{fault: pause, on: it, for: 60s}]
`)
		c := h.command("run", "-q", file)
		if err := c.Start(); err != nil {
			b.Fatal(err)
		}
		eventually(b, "the fault in force", func() bool { return h.saw(b, runner.FaultInForce) })
		if free() {
			b.Fatal("the targets are not paused")
		}
		total += took(func() {
			_ = c.Process.Kill()
			for !free() {
				time.Sleep(time.Millisecond)
			}
		})
		_ = c.Wait()
		eventually(b, "the journal says so", func() bool {
			j, err := injectors.ReadJournalFile(h.runDir(b))
			held, _ := injectors.Held(h.runDir(b))
			return err == nil && len(j.Open()) == 0 && !held
		})
	}
	milliseconds(b, total, "ms-until-free")
}

// ward is containers to disturb, with the engine's own client beside the driver
// and the agent.
type ward struct {
	b       *testing.B
	cli     *client.Client
	driver  targets.Driver
	agent   *injectors.Agent
	ids     []string
	batches int
}

func newWard(b *testing.B, n int) *ward {
	ctx := bounded(b)
	w := &ward{b: b, cli: dockertest.Require(b), driver: docker.New(docker.Options{})}
	another, end, err := w.driver.(docker.Trial).Trial(ctx)
	required(b, "a Docker engine", err)
	b.Cleanup(func() {
		if err := end(); err != nil {
			b.Error(err)
		}
	})
	for range n {
		t, err := another(ctx)
		if err != nil {
			b.Fatal(err)
		}
		w.ids = append(w.ids, t.Ref().ID)
	}
	w.agent, _, err = injectors.StartAgent(ctx, injectors.AgentOptions{Dir: b.TempDir(), Run: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if _, err := w.agent.Close(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return w
}

// inject disturbs all containers as a run does, and returns what undoes it.
func (w *ward) inject(ctx context.Context, fault string, spec injectors.Spec, hold time.Duration) (undo func()) {
	w.batches++
	r := injectors.Request{
		ID: strconv.Itoa(w.batches), Fault: fault, Spec: spec, For: hold,
		Drivers: injectors.Drivers{w.driver.Name(): w.driver},
	}
	found := make([]targets.Target, len(w.ids))
	w.each(true, func(i int, id string) (err error) {
		found[i], err = w.driver.Open(ctx, targets.Ref{Driver: w.driver.Name(), ID: id})
		return err
	})
	r.Targets = found
	changes, err := injectors.Plan(ctx, r)
	if err != nil {
		w.b.Fatal(err)
	}
	out, err := w.agent.Inject(ctx, changes)
	if err != nil {
		w.b.Fatal(err)
	}
	for _, o := range out {
		if o.Err != "" || !o.Evidence.Proven {
			w.b.Fatalf("%s: %s %v", o.ID, o.Err, o.Evidence)
		}
	}
	return func() {
		var ids []string
		for _, c := range changes {
			ids = append(ids, c.ID)
		}
		undone, err := w.agent.Revert(ctx, ids)
		if err != nil {
			w.b.Fatal(err)
		}
		for _, u := range undone {
			if !u.Clean() {
				w.b.Fatalf("%s: %s %v", u.ID, u.Err, u.Residue)
			}
		}
	}
}

// each calls do for all containers, one after another or all at once.
func (w *ward) each(together bool, do func(int, string) error) {
	errs := make([]error, len(w.ids))
	var group sync.WaitGroup
	for i, id := range w.ids {
		group.Go(func() { errs[i] = do(i, id) })
		if !together {
			group.Wait()
		}
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		w.b.Fatal(err)
	}
}

// treatment is one thing that is done to containers: as a fault, and by the
// engine's own client, which also waits until it is done.
type treatment struct {
	fault  string
	event  events.Action // what the engine says of each container
	spec   func() injectors.Spec
	hold   time.Duration
	client func(ctx context.Context, c *client.Client, id string) error
	undo   func(ctx context.Context, c *client.Client, id string) error // nil: nothing to undo
}

var treatments = []treatment{
	{
		"pause", events.ActionPause, func() injectors.Spec { return &injectors.Pause{} }, time.Minute,
		func(ctx context.Context, c *client.Client, id string) error { return c.ContainerPause(ctx, id) },
		func(ctx context.Context, c *client.Client, id string) error { return c.ContainerUnpause(ctx, id) },
	},
	{
		"kill", events.ActionDie, func() injectors.Spec { return &injectors.Kill{Signal: "KILL"} }, time.Minute,
		func(ctx context.Context, c *client.Client, id string) error {
			done, failed := c.ContainerWait(ctx, id, container.WaitConditionNextExit)
			if err := c.ContainerKill(ctx, id, "KILL"); err != nil {
				return err
			}
			select {
			case <-done:
				return nil
			case err := <-failed:
				return err
			}
		},
		func(ctx context.Context, c *client.Client, id string) error {
			return c.ContainerStart(ctx, id, container.StartOptions{})
		},
	},
	{
		"restart", events.ActionStart, func() injectors.Spec { return &injectors.Restart{} }, 0,
		func(ctx context.Context, c *client.Client, id string) error {
			now := 0
			return c.ContainerRestart(ctx, id, container.StopOptions{Timeout: &now})
		},
		nil,
	},
}

// BenchmarkContainers pauses, kills and restarts containers as a run does (with
// plan, journal and proof), and beside it by the engine's own client one after
// another and all at once. The spread is from the first to the last container, by
// the engine's own clock.
func BenchmarkContainers(b *testing.B) {
	for _, t := range treatments {
		for _, n := range []int{1, 10, 30} {
			b.Run(fmt.Sprintf("%s/n=%d", t.fault, n), func(b *testing.B) { t.bench(b, newWard(b, n)) })
		}
	}
}

func (t treatment) bench(b *testing.B, w *ward) {
	ctx := bounded(b)
	total, spread := map[string]time.Duration{}, map[string]time.Duration{}
	ways := []string{"squall", "sequential", "concurrent"}
	for b.Loop() {
		for _, way := range ways {
			undo := func() {}
			spreads := w.watch(ctx, t.event)
			if way == "squall" {
				total[way] += took(func() { undo = w.inject(ctx, t.fault, t.spec(), t.hold) })
			} else {
				total[way] += took(func() {
					w.each(way == "concurrent", func(_ int, id string) error { return t.client(ctx, w.cli, id) })
				})
				undo = func() {
					if t.undo != nil {
						w.each(true, func(_ int, id string) error { return t.undo(ctx, w.cli, id) })
					}
				}
			}
			spread[way] += spreads()
			undo()
		}
	}
	for _, way := range ways {
		milliseconds(b, total[way], "ms-"+way)
		milliseconds(b, spread[way], "ms-spread-"+way)
	}
	b.ReportMetric(total["squall"].Seconds()/total["concurrent"].Seconds(), "x-concurrent")
	b.ReportMetric(total["squall"].Seconds()/total["sequential"].Seconds(), "x-sequential")
}

// watch listens for what the engine tells of the containers. The returned function
// is the time between the first and the last of it; the engine may tell a little
// after it was done.
func (w *ward) watch(ctx context.Context, action events.Action) func() time.Duration {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	args := filters.NewArgs(filters.Arg("event", string(action)))
	for _, id := range w.ids {
		args.Add("container", id)
	}
	now := time.Now() // it remembers the last few: none is missed while the connection is made
	messages, failed := w.cli.Events(ctx, events.ListOptions{Since: fmt.Sprintf("%d.%09d", now.Unix(), now.Nanosecond()), Filters: args})
	stamps := make(chan int64, len(w.ids))
	go func() {
		for range w.ids {
			select {
			case m := <-messages:
				stamps <- m.TimeNano
			case <-failed:
				close(stamps)
				return
			}
		}
	}()
	return func() time.Duration {
		defer cancel()
		var all []int64
		for range w.ids {
			at, ok := <-stamps
			if !ok {
				w.b.Fatalf("the engine told of %d of %d", len(all), len(w.ids))
			}
			all = append(all, at)
		}
		return time.Duration(slices.Max(all) - slices.Min(all))
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/squall-chaos/squall/experiments"
	"github.com/squall-chaos/squall/experiments/runner"
	"github.com/squall-chaos/squall/targets/docker/dockertest"
	"github.com/squall-chaos/squall/targets/lab"
)

// draw is an experiment whose targets the seed chooses, and its world.
type draw struct {
	name string
	make func(t *testing.T) (top string, world func() string)
}

const drawn = `title: drawn
seed: 7
%s
probes: {beat: {exec: {command: ["true"]}, rate: 20/s}}
hypothesis: {beat: {steady: {success: ">= 50%%"}, during: {p50: "<= 10x baseline"}}}
guards: {beat: {success: ">= 1%%"}}
timing: {baseline: 1s, recovery: 2s}
method:
  - {fault: pause, on: some, for: 300ms}
  - repeat: {times: 2, every: 1s, steps: [{fault: pause, on: others, for: 200ms}, {wait: 100ms}]}
  - parallel:
      - {fault: exec, name: by hand, do: [mkdir, mark], undo: [rmdir, mark], check: [test, -d, mark], for: 200ms}
      - {fault: pause, on: some, for: 200ms}
`

func draws() []draw {
	return []draw{
		{"lab", func(t *testing.T) (string, func() string) {
			required(t, "namespaces", lab.Available())
			top := fmt.Sprintf(`lab: {hosts: {api: {replicas: 12, run: [%q, %s]}}}
targets: {some: {lab: "api-*", pick: 4}, others: {lab: "api-*", pick: 25%%}}`, self(t), roleIdle)
			return top, func() string { return "" }
		}},
		{"process", func(t *testing.T) (string, func() string) {
			mark := fmt.Sprintf("squall-drawn-%d-%d.", os.Getpid(), scenes.Add(1))
			var pids []int
			for range 6 {
				pids = append(pids, newSubject(t, mark, roleIdle).Process.Pid)
			}
			top := fmt.Sprintf("targets: {some: {process: {name: %s}, pick: 2}, others: {process: {name: %s}, pick: 50%%}}", mark, mark)
			return top, func() string {
				var states []string
				for _, pid := range pids {
					states = append(states, fmt.Sprint(pid, present(fmt.Sprintf("/proc/%d", pid)), stateOf(pid) == 'T'))
				}
				return strings.Join(states, " ")
			}
		}},
		{"docker", func(t *testing.T) (string, func() string) {
			label := fmt.Sprintf("squall-drawn-%d", os.Getpid())
			var all []*dockertest.Container
			for range 5 {
				all = append(all, dockertest.Run(t, dockertest.Options{Labels: map[string]string{label: "yes"}}))
			}
			top := fmt.Sprintf("targets: {some: {docker: {label: {%s: yes}}, pick: 2}, others: {docker: {label: {%s: yes}}, pick: 40%%}}", label, label)
			return top, func() string {
				var b bytes.Buffer
				for _, c := range all {
					seen, err := c.Client.ContainerInspect(bounded(t), c.ID)
					if err != nil {
						t.Fatal(err)
					}
					_ = json.NewEncoder(&b).Encode([]any{seen.ID, seen.State, seen.RestartCount, seen.Config, seen.HostConfig})
				}
				return b.String()
			}
		}},
	}
}

// planned is what squall plan --json writes, without another process.
func planned(t *testing.T, args ...string) []byte {
	t.Helper()
	var out, errs bytes.Buffer
	if code := execute(append([]string{"plan", "--json"}, args...), streams{os.Stdin, &out, &errs}); code != 0 {
		t.Fatalf("exit code %d: %s", code, &errs)
	}
	return out.Bytes()
}

// The same file, seed and world give the same plan to the byte, in this process
// and in others, and that plan is what a run executes. Planning changes nothing.
func TestSameSeedSamePlan(t *testing.T) {
	t.Parallel()
	for _, d := range draws() {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			top, world := d.make(t)
			h := newHome(t)
			file := h.file(t, "drawn.yaml", fmt.Sprintf(drawn, top))
			before := world()
			want := planned(t, file)
			for range 100 {
				if diff := cmp.Diff(string(want), string(planned(t, file))); diff != "" {
					t.Fatalf("another plan:\n%s", diff)
				}
			}
			for range 3 {
				if got := h.squall(t, "plan", "--json", file, "--seed", "7"); got.stdout != string(want) || got.code != 0 {
					t.Fatalf("another plan in another process:\n%s", cmp.Diff(string(want), got.String()))
				}
			}
			if diff := cmp.Diff(before, world()); diff != "" {
				t.Errorf("planning changed the world:\n%s", diff)
			}
			if present(filepath.Join(h.dir, "squall")) || present(filepath.Join(h.dir, "mark")) {
				t.Error("planning left something behind")
			}

			got := h.squall(t, "run", "-q", file)
			if got.code != 0 && !got.starved() {
				t.Error(got)
			}
			ran, err := os.ReadFile(filepath.Join(h.runDir(t), runner.PlanFile))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(ran)); diff != "" {
				t.Errorf("the run's plan is another one:\n%s", diff)
			}
		})
	}
}

// Every seed draws for itself: no two of twenty take the same ten of thirty.
func TestAnotherSeedAnotherChoice(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	file := h.file(t, "drawn.yaml", fmt.Sprintf(drawn, fmt.Sprintf(`lab: {hosts: {api: {replicas: 30, run: [%q, %s]}}}
targets: {some: {lab: "api-*", pick: 10}, others: {lab: "api-*", pick: 10}}`, self(t), roleIdle)))
	seen := map[string]int{}
	for seed := range 20 {
		var p experiments.Plan
		if err := json.Unmarshal(planned(t, file, "--seed", strconv.Itoa(seed)), &p); err != nil {
			t.Fatal(err)
		}
		if p.Seed != uint64(seed) {
			t.Errorf("seed %d in the plan, wanted %d", p.Seed, seed)
		}
		for _, g := range p.Targets {
			if len(g.Candidates) != 30 || len(g.Chosen) != 10 {
				t.Fatalf("%s: %d of %d", g.Name, len(g.Chosen), len(g.Candidates))
			}
			choice := fmt.Sprint(g.Chosen)
			if other, ok := seen[choice]; ok {
				t.Errorf("seeds %d and %d choose the same for %s", other, seed, g.Name)
			}
			seen[choice] = seed
		}
	}
}

// Without a seed in the file or on the command line, one is drawn, and it is in
// the plan.
func TestDrawnSeedIsTold(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	text := fmt.Sprintf(drawn, fmt.Sprintf(`lab: {hosts: {api: {replicas: 3, run: [%q, %s]}}}
targets: {some: {lab: "api-*", pick: 1}, others: {lab: "api-*", pick: 1}}`, self(t), roleIdle))
	file := h.file(t, "drawn.yaml", strings.Replace(text, "seed: 7\n", "", 1))
	var first, second experiments.Plan
	for _, p := range []*experiments.Plan{&first, &second} {
		if err := json.Unmarshal(planned(t, file), p); err != nil {
			t.Fatal(err)
		}
	}
	if first.Seed == second.Seed {
		t.Errorf("seed %d was drawn twice", first.Seed)
	}
	again := planned(t, file, "--seed", strconv.FormatUint(first.Seed, 10))
	var p experiments.Plan
	if err := json.Unmarshal(again, &p); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, p); diff != "" {
		t.Errorf("the drawn seed gives another plan when it is said:\n%s", diff)
	}
}

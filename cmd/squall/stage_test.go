package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"

	"github.com/squall-chaos/squall/targets/docker/dockertest"
	"github.com/squall-chaos/squall/targets/lab"
)

// stage is a small world with one target called "it" and one probe called "beat".
type stage struct {
	top  string        // sections, targets and probes of an experiment file
	on   string        // ", on: it" where faults have targets
	look func() string // the world, but for what may differ after a fault

	destroy func() // of a process: kills it and waits for its end
}

// file is an experiment on the stage. A method is flow style, one step.
func (s stage) file(t *testing.T, extra, method string) string {
	return fmt.Sprintf(`title: %s
%s
hypothesis: {beat: {steady: {success: ">= 50%%"}}}
timing: {baseline: 1500ms, recovery: 5s}
%s
method: [%s]
`, dockertest.Unique(), s.top, extra, method)
}

// asBefore waits until the world is as it was.
func (s stage) asBefore(t *testing.T, before string) {
	t.Helper()
	waitFor(t, "the world as it was:\n"+before, func() (string, bool) {
		now := s.look()
		return "\nit is:\n" + now, now == before
	})
}

func beat(t *testing.T) string {
	return fmt.Sprintf("probes: {beat: {tcp: {address: %q}, rate: 15/s}}", listener(t))
}

// dockerStage sets up containers with a restart policy, each with a volume, on a
// network of their own.
func dockerStage(t *testing.T) func(*testing.T, *user) stage {
	dockertest.Require(t)
	net := dockertest.Network(t, "")
	return func(t *testing.T, _ *user) stage {
		return containerStage(t, dockertest.Run(t, dockertest.Options{
			Labels: map[string]string{"some": "label"},
			Host: container.HostConfig{
				RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyAlways},
				NetworkMode:   container.NetworkMode(net),
				Mounts:        []mount.Mount{{Type: mount.TypeVolume, Source: dockertest.Volume(t), Target: "/data"}},
			},
		}))
	}
}

func containerStage(t *testing.T, c *dockertest.Container) stage {
	return stage{
		top:  fmt.Sprintf("targets: {it: {docker: {name: %s}}}\n%s", c.Name, beat(t)),
		on:   ", on: it",
		look: func() string { return lookAtContainer(t, c) },
	}
}

// lookAtContainer is what of a container must be as it was.
func lookAtContainer(t *testing.T, c *dockertest.Container) string {
	i, err := c.Client.ContainerInspect(t.Context(), c.Name)
	if err != nil {
		return err.Error()
	}
	if strings.HasPrefix(i.ID, i.Config.Hostname) {
		i.Config.Hostname = "its ID"
	}
	if was := c.ID[:12]; i.Config.Hostname == was {
		i.Config.Hostname = "its ID"
	}
	var networks []string
	for n := range i.NetworkSettings.Networks {
		networks = append(networks, n)
	}
	slices.Sort(networks)
	b, err := json.MarshalIndent(map[string]any{
		"name": i.Name, "image": i.Image, "config": i.Config, "host": i.HostConfig, "networks": networks, "mounts": i.Mounts,
		"running": i.State.Running && !i.State.Restarting, "paused": i.State.Paused,
	}, "", " ")
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

// processStage sets up plain processes.
func processStage(*testing.T) func(*testing.T, *user) stage {
	return func(t *testing.T, u *user) stage { return oneProcess(t, u) }
}

func oneProcess(t *testing.T, h *user, env ...string) stage {
	mark := dockertest.Unique()
	startSubject(t, h, mark, env)
	return stage{
		top:     fmt.Sprintf("targets: {it: {process: {name: %q}}}\n%s", mark, beat(t)),
		on:      ", on: it",
		look:    func() string { return lookAtProcesses(mark) },
		destroy: func() { endProcess(t, mark) },
	}
}

// startSubject starts a process called mark; all of that name are gone at the
// test's end.
func startSubject(t *testing.T, h *user, mark string, env []string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &exec.Cmd{Path: exe, Args: []string{mark, roleIdle}, Dir: h.dir, Env: append(env, "SOME=value")}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	go c.Wait() // so that it is gone when it was killed
	waitFor(t, "the subject", func() (string, bool) { return "", lookAtProcesses(mark) != "" })
	t.Cleanup(func() { endProcess(t, mark) })
}

// endProcess kills all processes called mark.
func endProcess(t *testing.T, mark string) {
	waitFor(t, "the end of "+mark, func() (string, bool) {
		for _, pid := range called(mark) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		return "", len(called(mark)) == 0
	})
}

// called are the living processes with that first argument.
func called(mark string) []int {
	var all []int
	for _, pid := range living() {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if name, _, _ := strings.Cut(string(b), "\x00"); name == mark {
			all = append(all, pid)
		}
	}
	return all
}

// lookAtProcesses is what of all processes called mark must be as it was.
func lookAtProcesses(mark string) string {
	var lines []string
	for _, pid := range called(mark) {
		read := func(name string) string {
			b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
			return strings.ReplaceAll(string(b), "\x00", " ")
		}
		dir, _ := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
		lines = append(lines, fmt.Sprintf("%s| %s| in %s, stopped: %v", read("cmdline"), read("environ"), dir, procState(pid) == 'T'))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// labStage sets up labs of a target and of something to probe. Nothing may be left
// of them when the run is over, however that came.
func labStage(t *testing.T) func(*testing.T, *user) stage {
	if err := lab.Available(); err != nil {
		missing(t, err.Error())
	}
	return oneLab
}

func oneLab(t *testing.T, h *user) stage {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return stage{
		top: fmt.Sprintf(`lab:
  hosts:
    subject: {run: [%q, %s], env: {MARK: %q}, restart: always}
    beacon: {run: [%q, %s, ":7000"], env: {MARK: %q}, ready: {tcp: ":7000"}}
targets: {it: {lab: subject}}
probes: {beat: {tcp: {address: "beacon:7000"}, rate: 15/s}}
`, exe, roleIdle, h.dir, exe, roleServe, h.dir),
		on:   ", on: it",
		look: func() string { return strings.Join(processesNaming(h.dir), "\n") },
	}
}

// markStage sets up folders in which commands leave their mark.
func markStage(*testing.T) func(*testing.T, *user) stage { return oneMark }

func oneMark(t *testing.T, h *user) stage {
	dir := filepath.Join(h.dir, "marks")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return stage{
		top: beat(t),
		look: func() string {
			marks, _ := filepath.Glob(dir + "/*")
			return strings.Join(marks, "\n")
		},
	}
}

const execMark = "fault: exec, do: [touch, marks/here], undo: [rm, -f, marks/here], check: [test, -e, marks/here]"

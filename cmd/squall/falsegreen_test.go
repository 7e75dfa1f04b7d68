package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/squall-chaos/squall/experiments/runner"
	"github.com/squall-chaos/squall/injectors"
	"github.com/squall-chaos/squall/reports"
	"github.com/squall-chaos/squall/targets/docker/dockertest"
	"github.com/squall-chaos/squall/targets/lab"
)

// scene is what one way to a wrong pass is tried on: a process that a fault
// disturbs, a service that does not depend on it, and a file, the gate, while
// which exists the service fails. With nothing changed, a run on it is held.
type scene struct {
	*home
	t       *testing.T
	mark    string // of the process
	victim  subject
	url     string
	gate    string
	slow    time.Duration // how long the service takes to come back when the gate is gone
	parts   map[string]string
	flags   []string
	during  func(s *scene, run *exec.Cmd)
	at      runner.EventKind // the event at which during is called
	gone    atomic.Int64     // when the gate was last seen, in Unix nanoseconds
	skipped bool             // the file is not written: flags name what is run
}

// sections is the order of a file's parts.
var sections = []string{"secrets", "lab", "targets", "probes", "hypothesis", "guards", "timing", "limits", "method"}

var scenes atomic.Int64 // so far

func newScene(t *testing.T) *scene {
	s := &scene{home: newHome(t), t: t, mark: fmt.Sprintf("squall-scene-%d-%d.", os.Getpid(), scenes.Add(1))}
	s.gate = filepath.Join(s.dir, "gate")
	server := httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(server.Close)
	s.url = server.URL
	s.parts = map[string]string{
		"targets":    "{victim: {process: {name: MARK}, pick: all}}",
		"probes":     "{web: {http: {url: URL, timeout: 1s}, rate: 20/s}}",
		"hypothesis": `{web: {steady: {success: ">= 90%"}, during: {success: ">= 90%"}, recovery: "<= 1s"}}`,
		"timing":     "{baseline: 1s, recovery: 4s}",
		"method":     "[{fault: pause, on: victim, for: 1s}]",
	}
	return s
}

func (s *scene) serve(w http.ResponseWriter, _ *http.Request) {
	if _, err := os.Stat(s.gate); err == nil {
		s.gone.Store(time.Now().UnixNano())
	}
	if time.Since(time.Unix(0, s.gone.Load())) <= s.slow || present(s.gate) {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "0")
}

func present(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// text is the experiment file.
func (s *scene) text() string {
	var b strings.Builder
	fmt.Fprintln(&b, "title: a way to a wrong pass")
	fmt.Fprintln(&b, "tags: [scene]")
	for _, section := range sections {
		if part := s.parts[section]; part != "" {
			fmt.Fprintf(&b, "%s: %s\n", section, part)
		}
	}
	return strings.NewReplacer("MARK", s.mark, "URL", s.url, "GATE", s.gate, "DIR", s.dir, "SELF", self(s.t)).Replace(b.String())
}

// run runs the file and waits, and calls during at its event.
func (s *scene) run() ended {
	s.t.Helper()
	if s.victim.Cmd == nil {
		s.victim = newSubject(s.t, s.mark, roleIdle)
	}
	args := append([]string{"run"}, s.flags...)
	if !s.skipped {
		args = append(args, s.file(s.t, "scene.yaml", s.text()))
	}
	c := s.command(args...)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Start(); err != nil {
		s.t.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		_ = c.Wait()
		close(over)
	}()
	if s.during != nil {
		ended := false
		eventually(s.t, "event "+string(s.at), func() bool {
			select {
			case <-over:
				ended = true
			default:
			}
			return ended || s.saw(s.t, s.at)
		})
		if !ended {
			s.during(s, c)
		}
	}
	<-over
	return ended{c.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// wrongPass is one way in which a tool could say "held" of a run that shows
// nothing.
type wrongPass struct {
	name    string
	change  func(s *scene)
	code    int
	verdict reports.Verdict // empty: there was no run
	because string          // stands among the reasons, or on stderr where there was no run
	left    bool            // the fault stays in force, as the case is about that
}

func set(section, text string) func(*scene) {
	return func(s *scene) { s.parts[section] = text }
}

func all(changes ...func(*scene)) func(*scene) {
	return func(s *scene) {
		for _, c := range changes {
			c(s)
		}
	}
}

func flags(words ...string) func(*scene) { return func(s *scene) { s.flags = words } }

// when calls during at the first event of a kind.
func when(kind runner.EventKind, during func(s *scene, run *exec.Cmd)) func(*scene) {
	return func(s *scene) { s.at, s.during = kind, during }
}

func sendTo(pid int, sig syscall.Signal) {
	if pid > 1 {
		_ = syscall.Kill(pid, sig)
	}
}

func killVictim(s *scene, _ *exec.Cmd) { sendTo(s.victim.Process.Pid, syscall.SIGKILL) }

func signalRun(sig syscall.Signal) func(*scene, *exec.Cmd) {
	return func(_ *scene, run *exec.Cmd) { sendTo(run.Process.Pid, sig) }
}

// withRole gives the victim another role.
func withRole(role string) func(*scene) {
	return func(s *scene) { s.victim = newSubject(s.t, s.mark, role) }
}

const (
	closeGate  = `{fault: exec, do: [touch, GATE], undo: [rm, -f, GATE], check: [test, -e, GATE], for: %s}`
	labOfIdle  = `{hosts: {idle: {run: [SELF, test-idle, MARK], restart: always}}}`
	labTarget  = `{victim: {lab: idle}}`
	localProbe = `{web: {exec: {command: ["true"]}, rate: 20/s}}` // a lab's own http probe would start inside it
)

// hostOf is the process of the lab's host.
func hostOf(s *scene) int {
	found := processes(func(_ int, argv []string) bool { return len(argv) == 3 && argv[1] == roleIdle && argv[2] == s.mark })
	if len(found) != 1 {
		s.t.Errorf("%d processes of the lab's host", len(found))
		return 0
	}
	return found[0]
}

var inLab = all(
	func(s *scene) { required(s.t, "unprivileged namespaces", lab.Available()) },
	set("lab", labOfIdle), set("targets", labTarget), set("probes", localProbe),
)

func wrongPasses() []wrongPass {
	const (
		held         = reports.Held
		deviated     = reports.Deviated
		inconclusive = reports.Inconclusive
		aborted      = reports.Aborted
		unrecovered  = reports.Unrecovered
	)
	return []wrongPass{
		// What is disturbed.
		{"zero matches", set("targets", "{victim: {process: {name: nobody-MARK}, pick: all}}"), 3, inconclusive, "nothing matches name nobody-", false},
		{"zero hosts match", all(inLab, set("targets", "{victim: {lab: cache}}")), 3, inconclusive, "nothing matches", false},
		{"pick asks for more than match", set("targets", "{victim: {process: {name: MARK}, pick: 3}}"), 3, inconclusive, "fewer targets match than pick asks for: 1 match", false},
		{"several match and pick is not written", all(
			set("targets", "{victim: {process: {name: MARK}}}"), withRole(roleIdle),
			func(s *scene) { newSubject(s.t, s.mark, roleIdle) },
		), 3, inconclusive, "does not say how many to take: 2 match", false},
		{"more are chosen than limits.targets allows", all(
			set("limits", "{targets: 1}"), withRole(roleIdle),
			func(s *scene) { newSubject(s.t, s.mark, roleIdle) },
		), 3, inconclusive, "more targets would be disturbed than limits.targets allows", false},
		{"the target is gone before the fault", when(runner.PhaseStarted, killVictim), 3, inconclusive, "gone", false},
		{"the target was frozen before", func(s *scene) {
			withRole(roleIdle)(s)
			sendTo(s.victim.Process.Pid, syscall.SIGSTOP)
			eventually(s.t, "the victim stops", func() bool { return stateOf(s.victim.Process.Pid) == 'T' })
		}, 3, inconclusive, "is paused and not running", true},
		{"the engine does not answer", all(
			set("targets", "{victim: {docker: {name: MARK}}}"),
			func(s *scene) { s.env = []string{"DOCKER_HOST=unix://" + s.dir + "/no.sock"} },
		), 3, inconclusive, "no.sock", false},

		// Whether the fault bit.
		{"the process ignores the signal", all(withRole(roleStubborn), set("method", "[{fault: signal, signal: TERM, on: victim}]")), 3, inconclusive, "sent, and the process ignores it", false},
		{"the process does not end by the kill", all(withRole(roleStubborn), set("method", "[{fault: kill, signal: TERM, on: victim, for: 1s}]")), 3, inconclusive, "no effect on", false},
		{"do does nothing", set("method", `[{fault: exec, do: ["true"], undo: ["true"], check: ["false"], for: 1s}]`), 3, inconclusive, "no effect on true: asked check exits with 0, measured exit code 1", false},
		{"do fails", set("method", `[{fault: exec, do: ["false"], undo: ["true"], check: ["false"], for: 1s}]`), 3, inconclusive, `"false" ended with code 1`, false},
		{"do fails after it was begun", set("method", `[{fault: exec, do: [sh, -c, touch GATE; exit 7], undo: [rm, -f, GATE], check: [test, -e, GATE], for: 1s}]`), 3, inconclusive, `"sh" ended with code 7`, false},
		{"check is true before do", all(func(s *scene) { s.file(s.t, "there", "") }, set("method", `[{fault: exec, do: ["true"], undo: ["true"], check: [test, -e, DIR/there], for: 1s}]`)), 3, inconclusive, "already says that the fault is in force", false},
		{"check cannot be started", set("method", `[{fault: exec, do: ["true"], undo: ["true"], check: [DIR/no-such-check], for: 1s}]`), 3, inconclusive, "no-such-check", false},
		{"do cannot be started", set("method", `[{fault: exec, do: [no-such-tool], undo: ["true"], check: ["true"], for: 1s}]`), 3, inconclusive, "no-such-tool", false},
		{"the first fault does not bite so that the second never comes", set("method", `[{fault: exec, do: ["true"], undo: ["true"], check: ["false"], for: 1s}, {fault: pause, on: victim, for: 1s}]`), 3, inconclusive, "no effect on true", false},
		{"the target is let go under the fault", all(set("method", "[{fault: pause, on: victim, for: 5s}]"), when(runner.FaultInForce, func(s *scene, _ *exec.Cmd) { sendTo(s.victim.Process.Pid, syscall.SIGCONT) })), 3, inconclusive, "goes on although it should be frozen", false},
		{"the target goes away under the fault", all(set("method", "[{fault: pause, on: victim, for: 5s}]"), when(runner.FaultInForce, killVictim)), 3, inconclusive, "went away under the fault", false},
		{"the target restarts under the fault", all(inLab, set("method", "[{fault: pause, on: victim, for: 5s}]"), when(runner.FaultInForce, func(s *scene, _ *exec.Cmd) { sendTo(hostOf(s), syscall.SIGKILL) })), 3, inconclusive, "was restarted under the fault", false},
		{"what exec did is undone by somebody else", all(set("method", "["+fmt.Sprintf(closeGate, "5s")+"]"), set("hypothesis", `{web: {steady: {success: ">= 90%"}}}`), when(runner.FaultInForce, func(s *scene, _ *exec.Cmd) { _ = os.Remove(s.gate) })), 3, inconclusive, "not in force for its whole time", false},
		{"nothing is to be injected", flags("--no-inject"), 3, inconclusive, "nothing was injected, as asked", false},

		// Whether anything was measured.
		{"the probe is never answered", func(s *scene) {
			l, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts, and nobody answers
			if err != nil {
				s.t.Fatal(err)
			}
			s.t.Cleanup(func() { l.Close() })
			s.url = "http://" + l.Addr().String()
		}, 3, inconclusive, "steady before any fault", false},
		{"nobody listens", func(s *scene) { s.url = "http://127.0.0.1:1" }, 3, inconclusive, "not steady before any fault: web success >= 90%, got 0%", false},
		{"too few samples for the claim", set("hypothesis", `{web: {steady: {success: ">= 90%"}, during: {p999: "<= 5s"}}}`), 3, inconclusive, "but this claim needs 1000", false},
		{"the value is no number", all(set("probes", `{web: {exec: {command: [echo, many], value: output}, rate: 20/s}}`), set("hypothesis", `{web: {steady: {success: ">= 90%"}, during: {value.max: "<= 3"}}}`)), 3, inconclusive, "not a number", false},
		{"there is no value", set("hypothesis", `{web: {steady: {success: ">= 90%"}, during: {value.max: "<= 3"}}}`), 3, inconclusive, "0 numbers, but this claim needs 3", false},
		{"the probe's command does not exist", set("probes", `{web: {exec: {command: [no-such-probe]}, rate: 20/s}}`), 3, inconclusive, "no-such-probe", false},
		{"the baseline is too thin to compare with", set("hypothesis", `{web: {steady: {success: ">= 90%"}, during: {p99: "<= 100x baseline"}}}`), 3, inconclusive, "in the baseline", false},
		{"the baseline is zero", all(
			set("probes", "{web: {http: {url: URL, value: output}, rate: 20/s}}"),
			set("hypothesis", `{web: {steady: {success: ">= 90%"}, during: {value.max: "<= 100x baseline"}}}`),
		), 3, inconclusive, "the baseline is 0", false},
		{"the claim is on a longer time than was disturbed", set("hypothesis", `{web: {steady: {success: ">= 90%"}, during: {success: ">= 90% over 30s"}}}`), 3, inconclusive, "are shorter than 30s", false},
		{"a secret is missing", all(set("secrets", "{token: {env: SQUALL_SCENE_NO_SUCH}}"), set("probes", `{web: {http: {url: URL, headers: {Authorization: "${token}"}}, rate: 20/s}}`)), 3, inconclusive, "SQUALL_SCENE_NO_SUCH", false},

		// Whether the system held.
		{"the baseline is broken already", func(s *scene) { s.file(s.t, "gate", "") }, 3, inconclusive, "the baseline was not steady, so nothing was injected", false},
		{"broken while disturbed", all(set("method", "["+fmt.Sprintf(closeGate, "1s")+"]"), set("hypothesis", `{web: {steady: {success: ">= 90%"}, during: {success: ">= 90%"}}}`)), 1, deviated, "web during: success >= 90%, got", false},
		{"broken after a kill that is not undone", all(
			set("method", "[{fault: kill, on: victim}, {wait: 2s}]"), set("hypothesis", `{web: {steady: {success: ">= 90%"}, during: {success: ">= 90%"}}}`),
			when(runner.FaultInForce, func(s *scene, _ *exec.Cmd) { s.file(s.t, "gate", "") }),
		), 1, deviated, "web during: success >= 90%, got", false},
		{"steady again but too late", all(
			func(s *scene) { s.slow = 1500 * time.Millisecond },
			set("method", "["+fmt.Sprintf(closeGate, "500ms")+"]"),
			set("hypothesis", `{web: {steady: {success: ">= 90%"}, recovery: "<= 500ms"}}`),
		), 1, deviated, "web recovery: recovery <= 500ms", false},
		{"never steady again", all(
			func(s *scene) { s.slow = time.Hour },
			set("method", "["+fmt.Sprintf(closeGate, "500ms")+"]"),
			set("hypothesis", `{web: {steady: {success: ">= 90%"}}}`), set("timing", "{baseline: 1s, recovery: 2s}"),
		), 1, deviated, "web after: success >= 90%, got", false},
		{"a check in the method is broken", all(
			set("method", `[{parallel: [`+fmt.Sprintf(closeGate, "2s")+`, {wait: 1500ms}]}, {check: {web: {success: ">= 90% over 1s"}}}]`),
			set("hypothesis", `{web: {steady: {success: ">= 90%"}}}`),
		), 1, deviated, "web check 2: success >= 90% over 1s, got", false},
		{"a guard is broken", all(set("guards", `{web: {success: ">= 50% over 1s"}}`), set("method", "["+fmt.Sprintf(closeGate, "20s")+"]")), 4, aborted, "guard on web broken", false},

		// Whether it went to its end.
		{"Ctrl-C in the baseline", when(runner.PhaseStarted, signalRun(syscall.SIGINT)), 4, aborted, "Ctrl-C", false},
		{"SIGTERM while a fault is in force", all(set("method", "[{fault: pause, on: victim, for: 20s}]"), when(runner.FaultInForce, signalRun(syscall.SIGTERM))), 4, aborted, "SIGTERM", false},
		{"SIGHUP in the recovery", all(
			func(s *scene) { s.slow = time.Hour },
			set("method", "["+fmt.Sprintf(closeGate, "500ms")+"]"), set("timing", "{baseline: 1s, recovery: 20s}"),
			when(runner.FaultReverted, signalRun(syscall.SIGHUP)),
		), 4, aborted, "the terminal was closed", false},
		{"the agent is killed", all(set("method", "[{fault: pause, on: victim, for: 20s}]"), when(runner.FaultInForce, func(_ *scene, run *exec.Cmd) {
			sendTo(childOf(run.Process.Pid, injectors.AgentCommand), syscall.SIGKILL)
		})), 4, aborted, "ended unexpectedly", false},
		{"the agent is stopped", all(set("method", "[{fault: pause, on: victim, for: 20s}]"), when(runner.FaultInForce, func(_ *scene, run *exec.Cmd) {
			sendTo(childOf(run.Process.Pid, injectors.AgentCommand), syscall.SIGSTOP)
		})), 4, aborted, "ended unexpectedly", false},
		{"somebody recovers", all(set("method", "[{fault: pause, on: victim, for: 20s}]"), when(runner.FaultInForce, func(s *scene, _ *exec.Cmd) {
			if got := s.squall(s.t, "recover", "last"); got.code != 0 {
				s.t.Error(got)
			}
		})), 4, aborted, "squall recover was called", false},
		{"the world dies", all(inLab, set("method", "[{fault: pause, on: victim, for: 20s}]"), when(runner.FaultInForce, func(s *scene, run *exec.Cmd) {
			sendTo(childOf(run.Process.Pid, lab.InitCommand), syscall.SIGKILL)
		})), 4, aborted, "the lab went away", false},
		{"a person is to be asked and nobody is there", set("method", "[{confirm: now?}, {fault: pause, on: victim, for: 1s}]"), 2, "", "no terminal to ask on", false},

		// Whether there was anything to run it on.
		{"a host does not get ready", all(inLab, set("lab", `{hosts: {idle: {run: [SELF, test-idle, MARK], ready: {tcp: ":80", timeout: 500ms}}}}`)), 3, inconclusive, "idle", false},
		{"a host's command does not exist", all(inLab, set("lab", `{hosts: {idle: {run: [DIR/no-such-server]}}}`)), 3, inconclusive, "no-such-server", false},
		{"a host ends at once", all(inLab, set("lab", `{hosts: {idle: {run: ["false"], ready: {tcp: ":80", timeout: 2s}}}}`)), 3, inconclusive, "idle", false},
		{"the lab's build fails", all(inLab, set("lab", `{build: [sh, -c, echo no compiler; exit 3], hosts: {idle: {run: [SELF, test-idle, MARK]}}}`)), 3, inconclusive, "no compiler", false},
		{"all experiments are left out by --tag", flags("--tag", "nightly"), 3, "", "none has the tag nightly", false},
		{"the folder is empty", func(s *scene) {
			s.skipped, s.flags = true, []string{s.t.TempDir()}
		}, 2, "", "no *.yaml, *.yml or *.json file in this folder", false},
		{"the method has no fault", set("method", "[{wait: 1s}]"), 2, "", "injects no fault", false},
		{"nothing is claimed", set("hypothesis", "{}"), 2, "", "hypothesis is empty", false},
		{"the run's directory cannot be made", func(s *scene) { s.flags = []string{"--out", s.file(s.t, "occupied", "")} }, 3, "", "occupied", false},

		// Whether everything was put back.
		{"undo fails", set("method", `[{fault: exec, do: [touch, DIR/mark], undo: [sh, -c, echo broken hinge; exit 9], check: [test, -e, DIR/mark], for: 500ms}]`), 5, unrecovered, "broken hinge", true},
		{"undo undoes nothing", set("method", `[{fault: exec, do: [touch, DIR/mark], undo: ["true"], check: [test, -e, DIR/mark], for: 500ms}]`), 5, unrecovered, "still says that the fault is in force", true},

		{"none of all this", func(*scene) {}, 0, held, "every claim held", false},
		{"none of all this in a lab", inLab, 0, held, "every claim held", false},
	}
}

// TestNoWrongPass runs experiments that show nothing, each for another reason.
// The last ones differ from the others in that they do show something: they prove
// that the others are not inconclusive for a reason that all have in common.
func TestNoWrongPass(t *testing.T) {
	t.Parallel()
	for _, w := range wrongPasses() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			w.play(t)
		})
	}
}

// play runs the case until this machine had time to measure, judges how it went,
// and returns where.
func (w wrongPass) play(t *testing.T) *scene {
	t.Helper()
	for try := 1; ; try++ {
		s := newScene(t)
		w.change(s)
		got := s.run()
		if try < 5 && got.starved() && (got.code != w.code || !strings.Contains(got.stdout, w.because)) {
			t.Log("once more: this machine had no time to measure")
			continue
		}
		w.judge(s, got)
		return s
	}
}

func (w wrongPass) judge(s *scene, got ended) {
	t := s.t
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("%s\n%s", s.text(), got)
		}
	}()
	if got.code != w.code {
		t.Errorf("exit code %d, wanted %d", got.code, w.code)
	}
	if w.verdict == "" {
		if dir := s.runDir(t); dir != "" && present(dir) {
			t.Errorf("there is a run: %s", dir)
		}
		if !strings.Contains(got.stderr, w.because) {
			t.Errorf("stderr does not say %q", w.because)
		}
		return
	}
	r := s.result(t)
	if r.Verdict != w.verdict || r.Verdict.ExitCode() != got.code {
		t.Errorf("verdict %s, wanted %s", r.Verdict, w.verdict)
	}
	if reasons := strings.Join(r.Reasons, "\n"); !strings.Contains(reasons, w.because) {
		t.Errorf("the reasons do not say %q:\n%s", w.because, reasons)
	}
	w.judgeWorld(s, r)
}

// judgeWorld checks that nothing is left.
func (w wrongPass) judgeWorld(s *scene, r *reports.Result) {
	t := s.t
	t.Helper()
	if w.left {
		return
	}
	if len(r.Residue) > 0 {
		t.Errorf("left behind: %q", r.Residue)
	}
	if stateOf(s.victim.Process.Pid) == 'T' {
		t.Error("the victim is still stopped")
	}
	if j, err := injectors.ReadJournalFile(s.runDir(t)); err == nil && len(j.Open()) > 0 {
		t.Errorf("the journal has %d changes that are not undone", len(j.Open()))
	}
	if left := processes(func(_ int, argv []string) bool { return len(argv) == 3 && argv[1] == roleIdle && argv[2] == s.mark }); len(left) > 0 {
		t.Errorf("processes of the lab are left: %v", left)
	}
}

// A container that somebody restarts under the fault was not disturbed for the
// time that the report would say.
func TestNoWrongPassOnRestartedContainer(t *testing.T) {
	t.Parallel()
	c := dockertest.Run(t, dockertest.Options{})
	wrongPass{code: 3, verdict: reports.Inconclusive, because: "not in force for its whole time", change: all(
		set("targets", "{victim: {docker: {name: "+c.Name+"}}}"),
		set("method", "[{fault: pause, on: victim, for: 20s}]"),
		when(runner.FaultInForce, func(*scene, *exec.Cmd) {
			ctx := bounded(t)
			if err := c.Client.ContainerUnpause(ctx, c.ID); err != nil {
				t.Error(err)
			}
			if err := c.Client.ContainerRestart(ctx, c.ID, container.StopOptions{Signal: "KILL"}); err != nil {
				t.Error(err)
			}
		}),
	)}.play(t)
}

// Two runs on one target cannot both say what they disturbed: the second one is
// refused and names the first.
func TestNoWrongPassOnTargetThatAnotherRunHolds(t *testing.T) {
	t.Parallel()
	wrongPass{code: 3, verdict: reports.Inconclusive, because: "no effect on", change: all(
		withRole(roleStubborn), set("method", "[{fault: kill, signal: TERM, on: victim, for: 1s}]"), // held while it waits for the effect
		when(runner.FaultPlanned, func(first *scene, _ *exec.Cmd) {
			because := "is already being disturbed by run " + filepath.Base(first.runDir(t))
			wrongPass{code: 3, verdict: reports.Inconclusive, because: because, change: func(second *scene) {
				second.mark, second.victim = first.mark, first.victim
			}}.play(t)
		}),
	)}.play(t)
}

// Undo takes back what the run did, and nothing that was so before it.
func TestExecLeavesWhatItDidNotDo(t *testing.T) {
	t.Parallel()
	s := wrongPass{code: 3, verdict: reports.Inconclusive, because: "already says that the fault is in force", change: all(
		func(s *scene) { s.file(s.t, "there", "") },
		set("method", `[{fault: exec, do: [touch, DIR/there], undo: [rm, -f, DIR/there], check: [test, -e, DIR/there], for: 1s}]`),
	)}.play(t)
	if !present(filepath.Join(s.dir, "there")) {
		t.Error("a fault that was not injected was undone")
	}
}

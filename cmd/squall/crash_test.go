package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/squall-chaos/squall/reports"
)

// The points at which processes are killed: those of injectors.failpoint, and
// while a fault is held.
const (
	pointPlanned   = "planned"   // before apply
	pointApplied   = "applied"   // between apply and journal
	pointHeld      = "held"      // only of faults with for
	pointReverting = "reverting" // during revert: before it
	pointReverted  = "reverted"  // during revert: before the journal knows
)

// crashFault is one line of the matrix.
type crashFault struct {
	name   string
	fault  string // of the file, without on and for
	undone bool   // it has a for
}

// crashFaults are all faults of each driver.
var crashFaults = []struct {
	driver string
	stage  func(*testing.T) func(*testing.T, *user) stage
	faults []crashFault
}{
	{"docker", dockerStage, []crashFault{
		{"kill-for", "fault: kill", true},
		{"kill", "fault: kill", false},
		{"stop-for", "fault: stop, grace: 1s", true},
		{"pause-for", "fault: pause", true},
		{"restart", "fault: restart, grace: 1s", false},
		{"remove-for", "fault: remove", true},
		{"signal", "fault: signal, signal: TERM", false},
	}},
	{"process", processStage, []crashFault{
		{"kill-for", "fault: kill", true},
		{"stop-for", "fault: stop, grace: 1s", true},
		{"pause-for", "fault: pause", true},
		{"restart", "fault: restart, grace: 1s", false},
		{"signal", "fault: signal, signal: HUP", false},
	}},
	{"lab", labStage, []crashFault{
		{"kill-for", "fault: kill", true},
		{"kill", "fault: kill", false},
		{"stop-for", "fault: stop, grace: 1s", true},
		{"pause-for", "fault: pause", true},
		{"restart", "fault: restart, grace: 1s", false},
		{"signal", "fault: signal, signal: HUP", false},
	}},
	{"exec", markStage, []crashFault{{"do", execMark, true}}},
}

// eachCrashFault runs f for all faults, many at a time.
func eachCrashFault(t *testing.T, f func(*testing.T, crashFault, func(*testing.T, *user) stage)) {
	for _, d := range crashFaults {
		t.Run(d.driver, func(t *testing.T) {
			t.Parallel()
			stage := d.stage(t)
			for _, c := range d.faults {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					f(t, c, stage)
				})
			}
		})
	}
}

// step is the method's only step. A fault that is to be held is held for longer
// than the test lasts; one that is to be undone is undone soon.
func (f crashFault) step(s stage, point string) string {
	step := "{" + f.fault + s.on
	switch {
	case !f.undone:
	case point == pointReverting || point == pointReverted || point == "":
		step += ", for: 100ms"
	default:
		step += ", for: 10m"
	}
	return step + "}"
}

// crashes are what gets killed, and how the world must then get well.
var crashes = map[string]func(t *testing.T, s *started, resume func()){
	"run":   killRun,
	"agent": killAgent,
	"both":  killBoth,
}

// TestNothingIsLeftAfterACrash kills the run, the agent or both at every point of
// every fault's life. Afterwards the world is as it was and the journal says so.
func TestNothingIsLeftAfterACrash(t *testing.T) {
	eachCrashFault(t, func(t *testing.T, f crashFault, set func(*testing.T, *user) stage) {
		for _, point := range []string{pointPlanned, pointApplied, pointHeld, pointReverting, pointReverted} {
			if point == pointHeld && !f.undone {
				continue
			}
			for victim, crash := range crashes {
				t.Run(point+"/"+victim, func(t *testing.T) {
					t.Parallel()
					h := newUser(t)
					crashAt(t, h, f, set(t, h), point, crash)
				})
			}
		}
	})
}

func crashAt(t *testing.T, h *user, f crashFault, st stage, point string, crash func(*testing.T, *started, func())) {
	before := st.look()
	file := h.write("experiment.yaml", st.file(t, "", f.step(st, point)))
	here := filepath.Join(h.dir, "here")
	var s *started
	if point == pointHeld {
		s = h.held(file)
	} else {
		s = h.run([]string{"SQUALL_FAILPOINT=" + point + "=" + here}, file, "the failpoint", func(*started) bool { return exists(here) })
	}
	crash(t, s, func() { h.write("here.go", "") })
	s.undone(1)
	st.asBefore(t, before)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// killRun leaves the undo to the agent.
func killRun(t *testing.T, s *started, resume func()) {
	agent := s.agent()
	kill(t, s.cmd.Process.Pid, syscall.SIGKILL)
	<-s.done
	resume()
	waitFor(t, "the agent's end", func() (string, bool) { return "", !alive(agent) })
}

// killAgent leaves the undo to the run, which tells that it was aborted.
func killAgent(t *testing.T, s *started, _ func()) {
	kill(t, s.agent(), syscall.SIGKILL)
	if code := s.code(); code != reports.Aborted.ExitCode() {
		t.Errorf("exit code %d", code)
	}
	if r := s.result(); len(r.Residue) > 0 {
		t.Errorf("residue: %v", r.Residue)
	}
}

// killBoth leaves the undo to recover. The run is stopped first, so that it does
// not see its agent end.
func killBoth(t *testing.T, s *started, _ func()) {
	agent := s.agent()
	kill(t, s.cmd.Process.Pid, syscall.SIGSTOP)
	waitFor(t, "the run to stop", func() (string, bool) { return "", procState(s.cmd.Process.Pid) == 'T' })
	kill(t, agent, syscall.SIGKILL)
	waitFor(t, "the agent's end", func() (string, bool) { return "", !alive(agent) })
	kill(t, s.cmd.Process.Pid, syscall.SIGKILL)
	<-s.done
	name := filepath.Base(s.runDir())
	if out, code := s.call("status"); code != 0 || !strings.Contains(out, name) {
		t.Errorf("status after the crash: code %d\n%s", code, out)
	}
	if out, code := s.call("recover", name); code != 0 {
		t.Errorf("recover: code %d\n%s", code, out)
	}
	if out, code := s.call("status"); code != 0 || strings.Contains(out, name) {
		t.Errorf("status after recover: code %d\n%s", code, out)
	}
}

// TestEveryFaultOfTheMatrixBites shows that the matrix tests what it means to:
// without a crash, every one of its faults has its effect and the run holds.
func TestEveryFaultOfTheMatrixBites(t *testing.T) {
	eachCrashFault(t, func(t *testing.T, f crashFault, set func(*testing.T, *user) stage) {
		h := newUser(t)
		st := set(t, h)
		before := st.look()
		s := h.held(h.write("experiment.yaml", st.file(t, "", f.step(st, ""))))
		if code := s.code(); code != 0 {
			t.Errorf("exit code %d", code)
		}
		s.undone(1)
		st.asBefore(t, before)
	})
}

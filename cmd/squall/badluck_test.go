package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"golang.org/x/sys/unix"

	"github.com/squall-chaos/squall/experiments/runner"
	"github.com/squall-chaos/squall/injectors"
	"github.com/squall-chaos/squall/reports"
	"github.com/squall-chaos/squall/targets/docker/dockertest"
	"github.com/squall-chaos/squall/targets/lab"
)

// exits checks the exit code, that nothing is open, and that the world is as it
// was.
func (s *started) exits(want int, st stage, before string) {
	s.t.Helper()
	if code := s.code(); code != want {
		s.t.Errorf("exit code %d, want %d", code, want)
	}
	if dirs, _ := filepath.Glob(filepath.Join(s.runs(), "*", injectors.JournalName)); len(dirs) > 0 {
		s.undone(0)
	}
	st.asBefore(s.t, before)
}

func (s *started) says(what string) {
	s.t.Helper()
	s.until("squall says "+what, func() bool { return strings.Contains(s.out.String(), what) })
}

const (
	pauseLong  = "{fault: pause, on: it, for: 10m}"
	pauseShort = "{fault: pause, on: it, for: 2s}"
)

func TestTargetGoneBeforeInjectIsInconclusive(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	st := oneProcess(t, u)
	s := u.run(nil, u.write("e.yaml", st.file(t, "", "{wait: 1s}, "+pauseLong)), "the wait",
		func(s *started) bool { return s.saw(runner.StepStarted) != nil })
	st.destroy()
	s.exits(reports.Inconclusive.ExitCode(), st, "")
	if f := s.result().Faults; len(f) != 1 || f[0].State != "not injected" {
		t.Errorf("faults %+v", f)
	}
}

func TestTargetGoneWhileHeldIsInconclusive(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	st := oneProcess(t, u)
	s := u.held(u.write("e.yaml", st.file(t, "", pauseLong)))
	st.destroy()
	s.exits(reports.Inconclusive.ExitCode(), st, "")
	s.undone(1)
}

func TestTargetGoneBeforeRevertLeavesNothing(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	st := oneProcess(t, u)
	here := filepath.Join(u.dir, "here")
	s := u.run([]string{"SQUALL_FAILPOINT=reverting=" + here}, u.write("e.yaml", st.file(t, "", "{fault: pause, on: it, for: 100ms}")),
		"the undo", func(*started) bool { return exists(here) })
	st.destroy()
	u.write("here.go", "")
	if code := s.code(); code == reports.Unrecovered.ExitCode() {
		t.Errorf("exit code %d", code)
	}
	s.undone(1)
	st.asBefore(t, "")
}

// TestTargetRestartedUnderTheFault starts a container that is to be down.
func TestTargetRestartedUnderTheFault(t *testing.T) {
	dockertest.Require(t)
	for _, c := range []struct {
		onRestart string
		code      int
		says      string
	}{
		{"", reports.Inconclusive.ExitCode(), "brought back by somebody else"},
		{", on_restart: fail", reports.Inconclusive.ExitCode(), "brought back by somebody else"},
		{", on_restart: end", 0, "ended early"},
		{", on_restart: reapply", 0, "injected again"},
	} {
		t.Run("on_restart"+c.onRestart, func(t *testing.T) {
			t.Parallel()
			u := newUser(t)
			it := dockertest.Run(t, dockertest.Options{})
			st := containerStage(t, it)
			before := st.look()
			s := u.held(u.write("e.yaml", st.file(t, "", "{fault: kill, on: it, for: 6s"+c.onRestart+"}")))
			if err := it.Client.ContainerStart(t.Context(), it.ID, container.StartOptions{}); err != nil {
				t.Fatal(err)
			}
			s.says(c.says)
			s.exits(c.code, st, before)
			s.undone(1)
		})
	}
}

// TestSecondRunOnOneTargetIsRefused starts a second run while the first is about
// to pause the target, and another while the target is paused.
func TestSecondRunOnOneTargetIsRefused(t *testing.T) {
	t.Parallel()
	first := newUser(t)
	st := oneProcess(t, first)
	before := st.look()
	here := filepath.Join(first.dir, "here")
	a := first.run([]string{"SQUALL_FAILPOINT=planned=" + here}, first.write("e.yaml", st.file(t, "", pauseLong)),
		"the claim", func(*started) bool { return exists(here) })
	refused := func(now string) {
		t.Helper()
		second := newUser(t)
		b := second.run(nil, second.write("e.yaml", st.file(t, "", pauseLong)), "its end", (*started).over)
		if code := b.code(); code != reports.Inconclusive.ExitCode() {
			t.Errorf("exit code %d", code)
		}
		if name := filepath.Base(a.runDir()); !strings.Contains(b.out.String(), name) {
			t.Errorf("the holder %s is not named in\n%s", name, b.out.String())
		}
		if got := st.look(); got != now {
			t.Errorf("was\n%s\nis\n%s", now, got)
		}
	}
	refused(before)
	first.write("here.go", "")
	a.event(runner.FaultInForce)
	refused(st.look())
	a.signal(syscall.SIGINT)
	a.exits(reports.Aborted.ExitCode(), st, before)
}

func TestWishesToStopUndoEverything(t *testing.T) {
	for name, sig := range map[string]syscall.Signal{"Ctrl-C": syscall.SIGINT, "SIGTERM": syscall.SIGTERM, "SIGHUP": syscall.SIGHUP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newUser(t)
			st := oneProcess(t, u)
			before := st.look()
			s := u.held(u.write("e.yaml", st.file(t, "", pauseLong)))
			s.signal(sig)
			s.says("undoing 1 fault")
			s.exits(reports.Aborted.ExitCode(), st, before)
			s.undone(1)
		})
	}
}

func TestAWishToStopEndsAllExperiments(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	st := oneProcess(t, u)
	before := st.look()
	s := u.held(u.write("e.yaml", st.file(t, "", pauseLong)+"\n---\n"+st.file(t, "", "{fault: pause, on: it, for: 100ms}")))
	s.signal(syscall.SIGTERM)
	s.says("1 more")
	s.exits(reports.Aborted.ExitCode(), st, before)
	s.undone(1)
}

func TestSecondCtrlCDoesNotSkipTheUndo(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	st := oneProcess(t, u)
	before := st.look()
	here := filepath.Join(u.dir, "here")
	s := u.run([]string{"SQUALL_FAILPOINT=reverting=" + here}, u.write("e.yaml", st.file(t, "", pauseLong)),
		"a fault in force", inForceNow)
	s.signal(syscall.SIGINT)
	s.until("the undo", func() bool { return exists(here) })
	s.signal(syscall.SIGINT)
	s.says("Ctrl-C again: not skipped: undoing 1 fault")
	u.write("here.go", "")
	s.exits(reports.Aborted.ExitCode(), st, before)
	s.undone(1)
}

func TestClosedPipeDoesNotStopTheUndo(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	st := oneProcess(t, u)
	before := st.look()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s := &started{user: u, cmd: u.command(nil, "run", u.write("e.yaml", st.file(t, "", pauseShort))), done: make(chan struct{})}
	s.cmd.Stdout, s.cmd.Stderr = w, w
	s.launch()
	w.Close()
	if _, err := r.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	r.Close()
	s.event(runner.FaultInForce)
	_ = s.code() // that nobody could read the summary may count
	s.undone(1)
	st.asBefore(t, before)
}

func TestClosedTerminalUndoesEverything(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	st := oneProcess(t, u)
	before := st.look()
	master, tty := pty(t)
	s := &started{user: u, cmd: u.command([]string{"TERM=xterm"}, "run", u.write("e.yaml", st.file(t, "", pauseLong))), done: make(chan struct{})}
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = tty, tty, tty
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	s.launch()
	tty.Close()
	go io.Copy(io.Discard, master)
	s.event(runner.FaultInForce)
	master.Close()
	s.exits(reports.Aborted.ExitCode(), st, before)
	s.undone(1)
}

func pty(t *testing.T) (master, tty *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), "/dev/ptmx"), tty
}

// smallDisk mounts a file system of 4 MiB; fill leaves no byte free.
func smallDisk(t *testing.T) (dir string, fill func()) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("squall-test", dir, "tmpfs", 0, "size=4m"); err != nil {
		missing(t, "the right to mount: "+err.Error())
	}
	t.Cleanup(func() {
		waitFor(t, "the unmount of "+dir, func() (string, bool) {
			err := unix.Unmount(dir, 0)
			return fmt.Sprint(err), err == nil
		})
	})
	return dir, func() {
		f, err := os.Create(filepath.Join(dir, "full"))
		if err != nil {
			return // not even a name fits any more
		}
		defer f.Close()
		for b := make([]byte, 64<<10); len(b) > 0; {
			if _, err := f.Write(b); err != nil {
				b = b[:len(b)/2]
			}
		}
	}
}

func TestFullDiskBeforeTheRunInjectsNothing(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	st := oneProcess(t, u)
	before := st.look()
	out, fill := smallDisk(t)
	fill()
	s := u.start(nil, "run", u.write("e.yaml", st.file(t, "", pauseLong)), "--out", out)
	s.exits(reports.Inconclusive.ExitCode(), st, before)
	s.says("no space left on device")
}

func TestFullDiskBeforeTheFaultInjectsNothing(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	// Its environment is more than what is left of the journal's last page.
	st := oneProcess(t, u, "LONG="+strings.Repeat("x", 10<<10))
	before := st.look()
	out, fill := smallDisk(t)
	s := u.run(nil, u.write("e.yaml", st.file(t, "", "{wait: 2s}, {fault: kill, on: it, for: 10m}")), "the wait",
		func(s *started) bool { return s.saw(runner.StepStarted) != nil }, "--out", out)
	fill()
	s.exits(reports.Inconclusive.ExitCode(), st, before)
	s.says("nothing was injected")
}

func TestFullDiskWhileHeldDoesNotStopTheUndo(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	st := oneProcess(t, u)
	before := st.look()
	out, fill := smallDisk(t)
	s := u.held(u.write("e.yaml", st.file(t, "", pauseShort)), "--out", out)
	fill()
	s.exits(0, st, before) // there is a reserve for the undo and the result
	s.undone(1)
	if r := s.result(); r.Verdict != reports.Held {
		t.Errorf("stored is %s", r.Verdict)
	}
}

func TestEngineThatCannotBeReachedIsInconclusive(t *testing.T) {
	file := "title: none\ntargets: {it: {docker: {name: none}}}\n%s\nhypothesis: {beat: {steady: {success: \">= 50%%\"}}}\nmethod: [{fault: kill, on: it}]\n"
	t.Run("missing", func(t *testing.T) {
		t.Parallel()
		u := newUser(t)
		s := u.start([]string{"DOCKER_HOST=unix://" + u.dir + "/none.sock"}, "run", u.write("e.yaml", fmt.Sprintf(file, beat(t))))
		if code := s.code(); code != reports.Inconclusive.ExitCode() {
			t.Errorf("exit code %d", code)
		}
		s.says("set DOCKER_HOST if it is elsewhere")
	})
	t.Run("denied", func(t *testing.T) {
		t.Parallel()
		u := newUser(t)
		u.sys = ordinary()
		path := filepath.Join(u.dir, "denied.sock")
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if err := os.Chmod(path, 0); err != nil {
			t.Fatal(err)
		}
		s := u.start([]string{"DOCKER_HOST=unix://" + path}, "run", u.write("e.yaml", fmt.Sprintf(file, beat(t))))
		if code := s.code(); code != reports.Inconclusive.ExitCode() {
			t.Errorf("exit code %d", code)
		}
		s.says("no permission for the engine")
	})
}

// ordinary starts a process as a user who is not root, alone on a network, so
// that all agents it can find are its own.
func ordinary() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 1000, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 1000, HostID: os.Getegid(), Size: 1}},
	}
}

// detour is a way to the engine that can be cut.
type detour struct {
	path string
	mu   sync.Mutex
	l    net.Listener
	open map[net.Conn]bool
}

func (d *detour) serve(t *testing.T) {
	t.Helper()
	l, err := net.Listen("unix", d.path)
	if err != nil {
		t.Fatal(err)
	}
	d.mu.Lock()
	d.l, d.open = l, map[net.Conn]bool{}
	d.mu.Unlock()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go d.forward(c)
		}
	}()
}

func (d *detour) forward(c net.Conn) {
	to, err := net.Dial("unix", strings.TrimPrefix(engineHost(), "unix://"))
	if err != nil {
		c.Close()
		return
	}
	d.mu.Lock()
	d.open[c], d.open[to] = true, true
	d.mu.Unlock()
	go func() { _, _ = io.Copy(to, c); to.Close() }()
	_, _ = io.Copy(c, to)
	c.Close()
}

func (d *detour) cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.l.Close()
	for c := range d.open {
		c.Close()
	}
}

func engineHost() string {
	if h := os.Getenv("DOCKER_HOST"); h != "" {
		return h
	}
	return "unix:///var/run/docker.sock"
}

func TestEngineRestartedWhileHeldIsUndoneAfterwards(t *testing.T) {
	t.Parallel()
	it := dockertest.Run(t, dockertest.Options{})
	if !strings.HasPrefix(engineHost(), "unix://") {
		missing(t, "an engine at a Unix socket")
	}
	u := newUser(t)
	st := containerStage(t, it)
	before := st.look()
	d := &detour{path: filepath.Join(u.dir, "engine.sock")}
	d.serve(t)
	s := u.run([]string{"DOCKER_HOST=unix://" + d.path}, u.write("e.yaml", st.file(t, "", "{fault: pause, on: it, for: 1s}")),
		"a fault in force", inForceNow)
	d.cut()
	s.event(runner.FaultReverting)
	// As long as an engine takes to start again; the undo must outlast it.
	select {
	case <-s.done:
		t.Error("the run ended while the engine was away")
	case <-time.After(2500 * time.Millisecond):
	}
	d.serve(t)
	defer d.cut()
	s.says("cannot be looked at") // whether it was still in force at its end, nobody saw
	s.exits(reports.Inconclusive.ExitCode(), st, before)
	s.undone(1)
}

// TestEngineThatIsBackBeforeTheFaultsEndIsNoReasonAgainstTheVerdict restarts the
// engine within the time of a fault.
func TestEngineThatIsBackBeforeTheFaultsEndIsNoReasonAgainstTheVerdict(t *testing.T) {
	t.Parallel()
	it := dockertest.Run(t, dockertest.Options{})
	if !strings.HasPrefix(engineHost(), "unix://") {
		missing(t, "an engine at a Unix socket")
	}
	u := newUser(t)
	st := containerStage(t, it)
	before := st.look()
	d := &detour{path: filepath.Join(u.dir, "engine.sock")}
	d.serve(t)
	s := u.run([]string{"DOCKER_HOST=unix://" + d.path}, u.write("e.yaml", st.file(t, "", "{fault: pause, on: it, for: 5s}")),
		"a fault in force", inForceNow)
	d.cut()
	<-time.After(1500 * time.Millisecond)
	d.serve(t)
	defer d.cut()
	s.exits(0, st, before)
	s.undone(1)
}

func TestRecoverEndsALiveRun(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	st := oneProcess(t, u)
	before := st.look()
	s := u.held(u.write("e.yaml", st.file(t, "", pauseLong)))
	if out, code := u.call("recover", filepath.Base(s.runDir())); code != 0 || !strings.Contains(out, "undone") {
		t.Errorf("recover: code %d\n%s", code, out)
	}
	st.asBefore(t, before)
	s.exits(reports.Aborted.ExitCode(), st, before)
	s.undone(1)
}

// TestRecoverWithoutNamesUndoesEverything is the user's only one on a network of
// their own, so that nobody else's runs are touched.
func TestRecoverWithoutNamesUndoesEverything(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	u.sys = ordinary()
	st := oneMark(t, u)
	st.top = `probes: {beat: {exec: {command: ["true"]}, rate: 15/s}}`
	before := st.look()
	s := u.held(u.write("e.yaml", st.file(t, "", "{"+execMark+", for: 10m}")))
	agent := s.agent()
	kill(t, s.cmd.Process.Pid, syscall.SIGSTOP)
	waitFor(t, "the run to stop", func() (string, bool) { return "", procState(s.cmd.Process.Pid) == 'T' })
	kill(t, agent, syscall.SIGKILL)
	kill(t, s.cmd.Process.Pid, syscall.SIGKILL)
	<-s.done
	if out, code := u.call("status"); code != 0 || !strings.Contains(out, "held by nobody") {
		t.Errorf("status: code %d\n%s", code, out)
	}
	if out, code := u.call("recover"); code != 0 {
		t.Errorf("recover: code %d\n%s", code, out)
	}
	for _, command := range []string{"status", "recover"} {
		if out, code := u.call(command); code != 0 || out != "Nothing is in force.\n" {
			t.Errorf("%s: code %d\n%s", command, code, out)
		}
	}
	s.undone(1)
	st.asBefore(t, before)
}

func TestRecoverLeavesOtherUsersRunsAlone(t *testing.T) {
	if os.Geteuid() != 0 {
		missing(t, "the right to be another user")
	}
	t.Parallel()
	u := newUser(t)
	st := oneProcess(t, u)
	before := st.look()
	s := u.held(u.write("e.yaml", st.file(t, "", pauseLong)))
	paused := st.look()
	name := filepath.Base(s.runDir())
	for command, want := range map[string]string{
		"recover": name + "  is another user's",
		"status":  fmt.Sprintf("%s  held by agent %d, which will undo it\n  it is another user's", name, s.agent()),
	} {
		c := u.command(nil, command)
		c.Path, c.Dir, c.Env = "/proc/self/exe", "/", []string{"HOME=/nonexistent"}
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 54321, Gid: 54321}} // nobody has runs as that user
		if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v\n%s, want %q", command, err, out, want)
		}
	}
	if now := st.look(); now != paused {
		t.Errorf("was\n%s\nis\n%s", paused, now)
	}
	s.signal(syscall.SIGINT)
	s.exits(reports.Aborted.ExitCode(), st, before)
}

func TestRecoverRefusesAJournalThatOthersCanWrite(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	st := oneProcess(t, u)
	before := st.look()
	s := u.held(u.write("e.yaml", st.file(t, "", pauseLong)))
	agent := s.agent()
	kill(t, s.cmd.Process.Pid, syscall.SIGSTOP)
	waitFor(t, "the run to stop", func() (string, bool) { return "", procState(s.cmd.Process.Pid) == 'T' })
	kill(t, agent, syscall.SIGKILL)
	kill(t, s.cmd.Process.Pid, syscall.SIGKILL)
	<-s.done
	waitFor(t, "the agent's end", func() (string, bool) { return "", !alive(agent) })
	journal := filepath.Join(s.runDir(), injectors.JournalName)
	for _, c := range []struct {
		mode os.FileMode
		code int
		says string
	}{{0o622, 5, "can be written by others"}, {0o600, 0, "undone"}} {
		if err := os.Chmod(journal, c.mode); err != nil {
			t.Fatal(err)
		}
		if out, code := u.call("recover", "last"); code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("mode %o: code %d\n%s", c.mode, code, out)
		}
	}
	st.asBefore(t, before)
}

// TestHangingEndpointFailsOnTime has the probed host frozen: it accepts
// connections and says nothing.
func TestHangingEndpointFailsOnTime(t *testing.T) {
	t.Parallel()
	labStage(t)
	u := newUser(t)
	st := oneLab(t, u)
	st.top = strings.Replace(st.top, `tcp: {address: "beacon:7000"}`, `http: {url: "http://beacon:7000", timeout: 500ms}`, 1)
	st.top = strings.Replace(st.top, "lab: subject", "lab: beacon", 1)
	file := strings.Replace(st.file(t, "", "{fault: pause, on: it, for: 2s}"), "steady:", `during: {success: ">= 90%"}, steady:`, 1)
	s := u.held(u.write("e.yaml", file))
	s.exits(reports.Deviated.ExitCode(), st, "")
	if took := s.result().Duration; took > 15 {
		t.Errorf("took %.1f s", took)
	}
}

func TestLabHostThatCrashesUnderTheFaultIsInconclusive(t *testing.T) {
	t.Parallel()
	labStage(t)
	u := newUser(t)
	st := oneLab(t, u)
	s := u.held(u.write("e.yaml", st.file(t, "", pauseLong)))
	for _, pid := range playing(roleIdle, u.dir) {
		kill(t, pid, syscall.SIGKILL)
	}
	s.exits(reports.Inconclusive.ExitCode(), st, "")
	s.undone(1)
}

func TestLabThatGoesAwayAborts(t *testing.T) {
	t.Parallel()
	labStage(t)
	u := newUser(t)
	st := oneLab(t, u)
	s := u.held(u.write("e.yaml", st.file(t, "", pauseLong)))
	for _, pid := range playing(lab.InitCommand, u.dir) {
		kill(t, pid, syscall.SIGKILL)
	}
	s.exits(reports.Aborted.ExitCode(), st, "")
	s.says("the lab went away")
	s.undone(1)
}

// playing are the processes of a home whose second argument is role.
func playing(role, home string) []int {
	var found []int
	for _, pid := range living() {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		e, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		args := strings.Split(string(b), "\x00")
		if len(args) > 1 && args[1] == role && strings.Contains(string(b)+string(e), home) {
			found = append(found, pid)
		}
	}
	return found
}

// TestStoppedAgentIsReplaced stops the agent, which no kernel mechanism helps
// against.
func TestStoppedAgentIsReplaced(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	st := oneProcess(t, u)
	before := st.look()
	s := u.held(u.write("e.yaml", st.file(t, "", pauseLong)))
	kill(t, s.agent(), syscall.SIGSTOP)
	s.exits(reports.Aborted.ExitCode(), st, before)
	s.undone(1)
}

// TestStoppedRunIsUndoneAfterItsDeadline stops the run. Its agent undoes
// everything when the run's limit has long passed, and kills it.
func TestStoppedRunIsUndoneAfterItsDeadline(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	t.Parallel()
	u := newUser(t)
	st := oneProcess(t, u)
	before := st.look()
	s := u.held(u.write("e.yaml", st.file(t, "limits: {duration: 10s}", "{fault: pause, on: it, for: 3s}")))
	agent := s.agent()
	kill(t, s.cmd.Process.Pid, syscall.SIGSTOP)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	select {
	case <-s.done:
	case <-ctx.Done():
		t.Fatal("the stopped run was not killed")
	}
	waitFor(t, "the agent's end", func() (string, bool) { return "", !alive(agent) })
	s.undone(1)
	st.asBefore(t, before)
}

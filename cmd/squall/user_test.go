package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/squall-chaos/squall/experiments/runner"
	"github.com/squall-chaos/squall/injectors"
	"github.com/squall-chaos/squall/reports"
)

// patience is how long a test waits for what should come soon.
const patience = 30 * time.Second

// user is somebody with a home and a store of runs in it. At the test's end no process
// may be left that knows of it.
type user struct {
	t   *testing.T
	dir string
	sys *syscall.SysProcAttr // how its commands are started; nil: plainly
}

func newUser(t *testing.T) *user {
	t.Helper()
	h := &user{t: t, dir: t.TempDir()}
	t.Cleanup(func() {
		waitFor(t, "no process of "+h.dir, func() (string, bool) {
			left := processesNaming(h.dir)
			return strings.Join(left, "\n"), len(left) == 0
		})
		for _, l := range h.logs() {
			if b, _ := os.ReadFile(l); bytes.Contains(b, []byte("DATA RACE")) {
				t.Errorf("%s:\n%s", l, b)
			}
		}
		if t.Failed() {
			for _, l := range h.logs() {
				b, _ := os.ReadFile(l)
				t.Logf("%s:\n%s", l, b)
			}
		}
	})
	return h
}

func (h *user) runs() string { return filepath.Join(h.dir, "state", "squall", "runs") }

func (h *user) logs() []string {
	logs, _ := filepath.Glob(filepath.Join(h.runs(), "*", "*.log"))
	return logs
}

// write makes a file in the home and returns its path.
func (h *user) write(name, text string) string {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
	return path
}

// command is squall as this home's user calls it.
func (h *user) command(env []string, args ...string) *exec.Cmd {
	h.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		h.t.Fatal(err)
	}
	c := &exec.Cmd{Path: exe, Args: append([]string{"squall"}, args...), Dir: h.dir, SysProcAttr: h.sys}
	c.Env = append([]string{"HOME=" + h.dir, "XDG_STATE_HOME=" + h.dir + "/state", "GORACE=" + os.Getenv("GORACE")}, env...)
	for _, name := range []string{"PATH", "DOCKER_HOST", "GOCOVERDIR"} {
		if v, ok := os.LookupEnv(name); ok && !slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, name+"=") }) {
			c.Env = append(c.Env, name+"="+v)
		}
	}
	return c
}

// call runs squall to its end.
func (h *user) call(args ...string) (output string, code int) {
	h.t.Helper()
	c := h.command(nil, args...)
	out, err := c.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		h.t.Fatal(err)
	}
	return string(out), c.ProcessState.ExitCode()
}

// started is a squall that may still run.
type started struct {
	*user
	cmd  *exec.Cmd
	out  lockedBuffer
	done chan struct{}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start runs squall beside the test. It is killed at the test's end if it still
// runs.
func (h *user) start(env []string, args ...string) *started {
	h.t.Helper()
	s := &started{user: h, cmd: h.command(env, args...), done: make(chan struct{})}
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.out
	s.launch()
	return s
}

func (s *started) launch() {
	s.t.Helper()
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.done)
	}()
	s.t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.done
		if out := s.out.String(); strings.Contains(out, "DATA RACE") || s.t.Failed() {
			s.t.Logf("squall %s said:\n%s", strings.Join(s.cmd.Args[1:], " "), out)
			if strings.Contains(out, "DATA RACE") {
				s.t.Fail()
			}
		}
	})
}

func (s *started) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

func (s *started) over() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// code waits for the end.
func (s *started) code() int {
	s.t.Helper()
	select {
	case <-s.done:
		return s.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		s.t.Fatalf("squall %s does not end", s.cmd.Args[1])
		return -1
	}
}

// until waits for something that squall brings about while it runs.
func (s *started) until(what string, ok func() bool) {
	s.t.Helper()
	waitFor(s.t, what, func() (string, bool) {
		if ok() {
			return "", true
		}
		if s.over() && !ok() {
			s.t.Fatalf("squall ended with %d before: %s", s.cmd.ProcessState.ExitCode(), what)
		}
		return "", false
	})
}

// run starts a run of file and waits until it has come to a point. A run that is
// over because this machine was too busy for its baseline is started again.
func (h *user) run(env []string, file, point string, come func(*started) bool, flags ...string) *started {
	h.t.Helper()
	for try := 0; ; try++ {
		s := h.start(env, append([]string{"run", file}, flags...)...)
		waitFor(h.t, point, func() (string, bool) { return "", come(s) || s.over() })
		if come(s) {
			return s
		}
		<-s.done
		if try == 10 || !strings.Contains(s.out.String(), "too busy to start the reading") {
			h.t.Fatalf("squall ended with %d before: %s", s.cmd.ProcessState.ExitCode(), point)
		}
		if err := os.RemoveAll(h.runs()); err != nil {
			h.t.Fatal(err)
		}
	}
}

// held starts a run of file and waits until its first fault is in force.
func (h *user) held(file string, flags ...string) *started {
	h.t.Helper()
	return h.run(nil, file, "a fault in force", inForceNow, flags...)
}

func inForceNow(s *started) bool { return s.saw(runner.FaultInForce) != nil }

// runDir is the directory of the home's only run.
func (s *started) runDir() string {
	s.t.Helper()
	var dir string
	s.until("a run's directory", func() bool {
		dirs, _ := filepath.Glob(filepath.Join(s.runs(), "*"))
		if len(dirs) == 1 {
			dir = dirs[0]
		}
		return len(dirs) == 1
	})
	return dir
}

// agent is the process of the run's agent.
func (s *started) agent() int {
	s.t.Helper()
	pid := 0
	s.until("an agent", func() bool {
		j, err := injectors.ReadJournalFile(s.runDir())
		if err == nil {
			pid = j.Holder.PID
		}
		return pid != 0
	})
	return pid
}

// event waits for an event of that kind.
func (s *started) event(kind runner.EventKind) runner.Event {
	s.t.Helper()
	var found *runner.Event
	s.until("event "+string(kind), func() bool {
		found = s.saw(kind)
		return found != nil
	})
	return *found
}

// saw is the first event of that kind that the home's only run has told; nil if
// there is none yet.
func (s *started) saw(kind runner.EventKind) *runner.Event {
	files, _ := filepath.Glob(filepath.Join(s.runs(), "*", runner.EventsFile))
	for _, f := range files {
		b, _ := os.ReadFile(f)
		for line := range bytes.Lines(b) {
			var e runner.Event
			if json.Unmarshal(line, &e) == nil && e.Kind == kind {
				return &e
			}
		}
	}
	return nil
}

// result is the stored result of the run, which has ended.
func (s *started) result() *reports.Result {
	s.t.Helper()
	r, err := reports.Read(filepath.Join(s.runDir(), runner.ResultFile))
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// undone checks that the journal says so of every change.
func (s *started) undone(atLeast int) {
	s.t.Helper()
	j, err := injectors.ReadJournalFile(s.runDir())
	if err != nil {
		s.t.Fatal(err)
	}
	if len(j.Open()) > 0 || len(j.Damage) > 0 || len(j.Entries) < atLeast {
		s.t.Errorf("the journal says %+v, damage %v", j.Entries, j.Damage)
	}
}

// waitFor polls until ok. What ok tells goes into the failure's message.
func waitFor(t *testing.T, what string, ok func() (string, bool)) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(3 * time.Millisecond) {
		told, yes := ok()
		if yes {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s: %s", patience, what, told)
		}
	}
}

// processesNaming lists the living processes whose arguments or environment
// contain text, but for this one.
func processesNaming(text string) []string {
	var found []string
	for _, p := range living() {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p))
		e, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p))
		if p != os.Getpid() && (bytes.Contains(b, []byte(text)) || bytes.Contains(e, []byte(text))) {
			found = append(found, fmt.Sprintf("%d %s", p, bytes.ReplaceAll(b, []byte{0}, []byte{' '})))
		}
	}
	return found
}

func living() []int {
	var all []int
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && alive(pid) {
			all = append(all, pid)
		}
	}
	return all
}

// alive reports whether a process exists and is no zombie.
func alive(pid int) bool {
	s := procState(pid)
	return s != 0 && s != 'Z' && s != 'X'
}

// procState is the state letter of proc_pid_stat(5); 0 when there is no process.
func procState(pid int) byte {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	i := bytes.LastIndexByte(b, ')')
	if err != nil || i < 0 || i+2 >= len(b) {
		return 0
	}
	return b[i+2]
}

func kill(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatalf("kill %d: %v", pid, err)
	}
}

// listener accepts connections until the test ends, for probes.
func listener(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	return l.Addr().String()
}

// missing skips a test, or fails it where everything is required.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("SQUALL_TEST_REQUIRE") == "all" {
		t.Fatal("required and missing: " + what)
	}
	t.Skip("missing: " + what)
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/squall-chaos/squall/experiments/runner"
	"github.com/squall-chaos/squall/reports"
)

// self is the path of the test program.
func self(t testing.TB) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

// required skips a test that misses something, by its name, or fails it where
// nothing may be missing.
func required(t testing.TB, what string, err error) {
	t.Helper()
	switch {
	case err == nil:
	case os.Getenv("SQUALL_TEST_REQUIRE") == "all":
		t.Fatalf("needs %s: %v", what, err)
	default:
		t.Skipf("needs %s: %v", what, err)
	}
}

// home is a place for one test's runs: their state and their environment.
type home struct {
	dir string
	env []string // beside that of the test
}

func newHome(t testing.TB) *home { return &home{dir: t.TempDir()} }

// command is one call of the program, that has not started. It gets SIGKILL when
// the test program ends.
func (h *home) command(args ...string) *exec.Cmd {
	c := &exec.Cmd{
		Path: "/proc/self/exe", Args: append([]string{"squall"}, args...), Dir: h.dir,
		Env: append(append(os.Environ(), "XDG_STATE_HOME="+h.dir, "NO_COLOR=1"), h.env...),
	}
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return c
}

// ended is how a call of the program went.
type ended struct {
	code           int
	stdout, stderr string
}

func (e ended) String() string {
	return fmt.Sprintf("exit code %d\nstdout:\n%s\nstderr:\n%s", e.code, e.stdout, e.stderr)
}

// starved reports whether the run was in want of a processor on this machine: it
// shows nothing then, which is right, and not what most tests are about.
func (e ended) starved() bool {
	return strings.Contains(e.stdout, "this machine was too busy") || strings.Contains(e.stdout, "were due were measured") ||
		strings.Contains(e.stdout, "were\n                due were measured")
}

// squall calls the program and waits for its end.
func (h *home) squall(t testing.TB, args ...string) ended {
	t.Helper()
	c := h.command(args...)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return ended{c.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// file writes a file into the home and returns its path.
func (h *home) file(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// runDir is the directory of the only run of the home, or empty.
func (h *home) runDir(t testing.TB) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(h.dir, "squall", "runs", "*"))
	if err != nil || len(found) > 1 {
		t.Fatalf("%d runs, %v", len(found), err)
	}
	if len(found) == 0 {
		return ""
	}
	return found[0]
}

// result is that of the only run, or nil.
func (h *home) result(t testing.TB) *reports.Result {
	t.Helper()
	dir := h.runDir(t)
	if dir == "" {
		return nil
	}
	r, err := reports.Read(filepath.Join(dir, "result.json"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// saw reports whether the only run has told an event of that kind.
func (h *home) saw(t testing.TB, kind runner.EventKind) bool {
	t.Helper()
	dir := h.runDir(t)
	if dir == "" {
		return false
	}
	text, err := os.ReadFile(filepath.Join(dir, runner.EventsFile))
	if err != nil {
		return false
	}
	for _, line := range bytes.Split(text, []byte("\n")) {
		var e runner.Event
		if json.Unmarshal(line, &e) == nil && e.Kind == kind {
			return true
		}
	}
	return false
}

// eventually polls until ok, and fails the test when that takes too long.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// subject is a process of the test's own, that a file can name.
type subject struct {
	*exec.Cmd
	mark string
}

// newSubject starts the test program in a role, under a name of its own.
func newSubject(t testing.TB, mark string, role ...string) subject {
	t.Helper()
	c := &exec.Cmd{Path: "/proc/self/exe", Args: append([]string{mark}, role...)}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	return subject{c, mark}
}

// stateOf is the state letter of proc_pid_stat(5); 0 when there is no process.
func stateOf(pid int) byte {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	if i := bytes.LastIndexByte(b, ')'); i > 0 && i+2 < len(b) {
		return b[i+2]
	}
	return 0
}

// processes are those whose arguments ok accepts.
func processes(ok func(ppid int, argv []string) bool) []int {
	var found []int
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		stat, err := os.ReadFile(d + "/stat")
		if err != nil {
			continue
		}
		var pid, ppid int
		var state string
		after := string(stat[bytes.LastIndexByte(stat, ')')+1:])
		if _, err := fmt.Sscan(after, &state, &ppid); err != nil || state == "Z" {
			continue
		}
		if _, err := fmt.Sscan(filepath.Base(d), &pid); err != nil {
			continue
		}
		line, _ := os.ReadFile(d + "/cmdline")
		if argv := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00"); ok(ppid, argv) {
			found = append(found, pid)
		}
	}
	return found
}

// childOf is the process that a parent runs as that command of ours.
func childOf(parent int, command string) int {
	found := processes(func(ppid int, argv []string) bool {
		return ppid == parent && len(argv) > 1 && argv[1] == command
	})
	if len(found) != 1 {
		return 0
	}
	return found[0]
}

// bounded is a context that ends long before the test program is given up.
func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

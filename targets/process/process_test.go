package process

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/squall-chaos/squall/targets"
)

// childMode is what a re-executed test binary does instead of testing.
const childMode = "SQUALL_TEST_CHILD"

func TestMain(m *testing.M) {
	switch mode := os.Getenv(childMode); mode {
	case "":
		os.Exit(m.Run())
	case "idle":
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
	case "busy":
		runtime.GOMAXPROCS(32)
		for range 32 {
			go func() {
				for n := 1; n > 0; n |= 1 { // for ever
				}
			}()
		}
	case "log":
		fmt.Println("started")
		fmt.Fprintln(os.Stderr, "started too")
	}
	if os.Getenv("SQUALL_TEST_READY") != "" {
		if f := os.NewFile(3, "ready"); f != nil {
			_, _ = f.WriteString("ready")
			f.Close()
		}
	}
	time.Sleep(time.Hour)
}

func requireRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("SQUALL_TEST_REQUIRE") == "all" {
		t.Fatal("needs root to start processes of other users")
	}
	t.Skip("needs root to start processes of other users")
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

// child is a process of the test's own.
type child struct {
	cmd    *exec.Cmd
	marker string
}

// start runs a child and waits until it does what its mode says. Whatever carries
// its marker is killed when the test ends, and must be gone then.
func start(t *testing.T, mode string, change ...func(*exec.Cmd)) child {
	t.Helper()
	return startAs(t, mode, fmt.Sprintf("marker-%d-%d", os.Getpid(), time.Now().UnixNano()), change...)
}

func startAs(t *testing.T, mode, marker string, change ...func(*exec.Cmd)) child {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, marker)
	cmd.Env = append(os.Environ(), childMode+"="+mode, "SQUALL_TEST_READY=1")
	cmd.ExtraFiles = []*os.File{w}
	for _, c := range change {
		c(cmd)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = cmd.Wait() }()
	t.Cleanup(func() { sweep(t, marker) })
	w.Close()
	_ = r.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := r.Read(make([]byte, 5)); err != nil {
		t.Fatalf("the child did not start: %v", err)
	}
	r.Close()
	return child{cmd, marker}
}

// marked returns the processes that carry the marker, dead ones left out.
func marked(marker string) []int {
	pids, _ := list(0)
	return slices.DeleteFunc(pids, func(pid int) bool {
		argv, err := readArgv(pid)
		st, serr := readStat(pid)
		return err != nil || serr != nil || st.dead() || len(argv) != 2 || argv[1] != marker
	})
}

func sweep(t *testing.T, marker string) {
	t.Helper()
	waitFor(t, "no process is left", func() bool {
		left := marked(marker)
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		return len(left) == 0
	})
}

func (c child) pid() int { return c.cmd.Process.Pid }

func (c child) target(t *testing.T, d targets.Driver) *target {
	t.Helper()
	found, err := d.Find(testContext(t), &Selector{PID: c.pid()})
	if err != nil || len(found) != 1 {
		t.Fatalf("found %v, %v", found, err)
	}
	return found[0].(*target)
}

func status(t *testing.T, g *target) targets.Status {
	t.Helper()
	s, err := g.State(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	return s.Status
}

func TestSelectorsFindOnlyWhatTheyName(t *testing.T) {
	c := start(t, "idle")
	exe, _ := os.Executable()
	groups, err := readCgroups(c.pid())
	if err != nil {
		t.Fatal(err)
	}
	hit := []Selector{
		{PID: c.pid()},
		{Name: filepath.Base(exe)},
		{Name: filepath.Base(exe)[:5] + "*"},
		{Exe: "*/" + filepath.Base(exe)},
		{Exe: exe},
		{Command: c.marker + "$"},
		{Command: "^/.*" + c.marker},
		{User: strconv.Itoa(os.Getuid()), Command: c.marker},
		{Cgroup: groups[0].Path, Command: c.marker},
	}
	miss := []Selector{
		{PID: c.pid(), Name: "other"},
		{Name: "other"},
		{Exe: "/bin/other"},
		{Command: c.marker + "x"},
		{User: "54321", Command: c.marker},
		{Cgroup: "/no/such/group", Command: c.marker},
	}
	found := func(s Selector) bool {
		list, err := New().Find(testContext(t), &s)
		if err != nil {
			t.Fatalf("%s: %v", s.String(), err)
		}
		return slices.ContainsFunc(list, func(g targets.Target) bool { return g.Ref().ID == strconv.Itoa(c.pid()) })
	}
	for _, s := range hit {
		if !found(s) {
			t.Errorf("%s: not found", s.String())
		}
	}
	for _, s := range miss {
		if found(s) {
			t.Errorf("%s: found", s.String())
		}
	}
}

func TestFindIsSortedByName(t *testing.T) {
	marker := fmt.Sprintf("marker-sort-%d", time.Now().UnixNano())
	for range 5 {
		startAs(t, "idle", marker)
	}
	found, err := New().Find(testContext(t), &Selector{Command: marker})
	if err != nil || len(found) != 5 {
		t.Fatalf("%v, %v", found, err)
	}
	if !slices.IsSortedFunc(found, func(a, b targets.Target) int { return strings.Compare(a.Name(), b.Name()) }) {
		t.Errorf("not sorted: %v", found)
	}
}

func TestOwnProcessesAreNeverFound(t *testing.T) {
	found, err := New().Find(testContext(t), &Selector{Name: "*"})
	if err != nil {
		t.Fatal(err)
	}
	never := map[int]string{1: "pid 1", 2: "a kernel thread", os.Getpid(): "ourselves", os.Getppid(): "our parent"}
	for _, g := range found {
		pid, _ := strconv.Atoi(g.Ref().ID)
		st, err := readStat(pid)
		if why := never[pid]; why != "" && (pid != 2 || err == nil && st.kernel()) {
			t.Errorf("found %s (%s)", g.Name(), why)
		}
		if err == nil && st.kernel() {
			t.Errorf("found kernel thread %s", g.Name())
		}
	}
	c := startAs(t, "idle", "agent")
	if found, err := New().Find(testContext(t), &Selector{PID: c.pid()}); err != nil || len(found) != 0 {
		t.Errorf("found our agent: %v, %v", found, err)
	}
}

func TestSelectorValidation(t *testing.T) {
	for _, s := range []Selector{{}, {PID: 1}, {PID: -4}, {Name: "[a"}, {Command: "("}} {
		if err := s.Validate(); err == nil {
			t.Errorf("%+v is valid", s)
		}
	}
	if _, err := New().Find(testContext(t), &Selector{User: "no-such-user"}); err == nil || !strings.Contains(err.Error(), "no-such-user") {
		t.Errorf("unknown user: %v", err)
	}
}

func TestPauseStopsEveryThread(t *testing.T) {
	c := start(t, "busy")
	waitFor(t, "all its threads are busy", func() bool {
		states, _ := threadStates(c.pid())
		return bytes.Count(states, []byte("R")) >= 30
	})
	g := c.target(t, New())
	for range 2 { // twice: idempotent
		if err := g.Pause(testContext(t)); err != nil {
			t.Fatal(err)
		}
	}
	states, err := threadStates(c.pid())
	if err != nil || len(states) < 2 || strings.Trim(string(states), "T") != "" {
		t.Errorf("threads are in states %q, %v", states, err)
	}
	if s := status(t, g); s != targets.Paused {
		t.Errorf("status %s", s)
	}
	for range 2 {
		if err := g.Unpause(testContext(t)); err != nil {
			t.Fatal(err)
		}
	}
	if s := status(t, g); s != targets.Running {
		t.Errorf("status %s after unpause", s)
	}
}

func TestKillReturnsWhenItIsDead(t *testing.T) {
	c := start(t, "idle")
	g := c.target(t, New())
	for range 2 {
		if err := g.Kill(testContext(t), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if st, err := readStat(c.pid()); err == nil && !st.dead() {
			t.Errorf("alive in state %c", st.state)
		}
	}
	if s := status(t, g); s != targets.Gone {
		t.Errorf("status %s", s)
	}
	for what, err := range map[string]error{
		"pause":  g.Pause(testContext(t)),
		"signal": g.Signal(testContext(t), syscall.SIGHUP),
	} {
		if !errors.Is(err, targets.ErrGone) {
			t.Errorf("%s: %v, want ErrGone", what, err)
		}
	}
	if _, err := g.Site(testContext(t)); !errors.Is(err, targets.ErrGone) {
		t.Errorf("site: %v, want ErrGone", err)
	}
	if _, err := New().Open(testContext(t), g.Ref()); !errors.Is(err, targets.ErrGone) {
		t.Errorf("open: %v, want ErrGone", err)
	}
}

func TestKillWaitsForItsContextOnly(t *testing.T) {
	g := start(t, "deaf").target(t, New())
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	if err := g.Kill(ctx, syscall.SIGTERM); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the deadline", err)
	}
	if s := status(t, g); s != targets.Running {
		t.Errorf("status %s", s)
	}
}

func TestStopKillsAfterGrace(t *testing.T) {
	polite, deaf := start(t, "idle").target(t, New()), start(t, "deaf").target(t, New())
	if err := polite.Stop(testContext(t), time.Hour); err != nil {
		t.Error(err)
	}
	if err := deaf.Stop(testContext(t), 20*time.Millisecond); err != nil {
		t.Error(err)
	}
	if a, b := status(t, polite), status(t, deaf); a != targets.Gone || b != targets.Gone {
		t.Errorf("status %s and %s", a, b)
	}
}

func TestReusedPIDIsNotTouched(t *testing.T) {
	c := start(t, "idle")
	g := c.target(t, New())
	g.ref.Epoch = "1@" + bootID() // as if another process had had this PID
	if err := g.Signal(testContext(t), syscall.SIGKILL); !errors.Is(err, targets.ErrGone) {
		t.Errorf("signal: %v, want ErrGone", err)
	}
	if err := g.Kill(testContext(t), syscall.SIGKILL); err != nil {
		t.Errorf("kill: %v, want nothing to do", err)
	}
	if st, err := readStat(c.pid()); err != nil || st.dead() {
		t.Error("the process that has the PID now was killed")
	}
}

func TestPIDAloneOpensNothing(t *testing.T) {
	c := start(t, "idle")
	ref := c.target(t, New()).Ref()
	ref.Epoch = ""
	if _, err := New().Open(testContext(t), ref); !errors.Is(err, targets.ErrGone) {
		t.Errorf("open: %v, want ErrGone", err)
	}
}

func captured(t *testing.T, d targets.Driver, g targets.Target) targets.Blueprint {
	t.Helper()
	b, err := d.(targets.Restorer).Capture(testContext(t), g, false)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func restored(t *testing.T, d targets.Driver, ref targets.Ref, b targets.Blueprint) targets.Ref {
	t.Helper()
	now, err := d.(targets.Restorer).Restore(testContext(t), ref, b)
	if err != nil {
		t.Fatal(err)
	}
	return now
}

// portrait is what of a process must be the same after it came back.
func portrait(t *testing.T, pid int) blueprint {
	t.Helper()
	b, err := capture(pid)
	if err != nil {
		t.Fatal(err)
	}
	b.PID, b.Epoch, b.Captured, b.Peers, b.Notes = 0, "", 0, nil, nil
	return b
}

func TestRestoredProcessIsAsItWas(t *testing.T) {
	dir := t.TempDir()
	log, err := os.OpenFile(dir+"/log", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	old := unix.Umask(0o027)
	c := start(t, "log", func(cmd *exec.Cmd) {
		cmd.Dir = dir
		cmd.Stdout, cmd.Stderr = log, log
		cmd.Env = append(cmd.Env, "EMPTY=", "SPACED=a b", "SQUALL_TEST_READY=1")
	})
	unix.Umask(old)
	if err := errors.Join(
		unix.Setpriority(unix.PRIO_PROCESS, c.pid(), 7),
		unix.Prlimit(c.pid(), unix.RLIMIT_MSGQUEUE, &unix.Rlimit{Cur: 321, Max: 654}, nil),
		unix.Prlimit(c.pid(), unix.RLIMIT_CORE, &unix.Rlimit{}, nil),
		os.WriteFile(procPath(c.pid(), "oom_score_adj"), []byte("123"), 0),
	); err != nil {
		t.Fatal(err)
	}
	d := New()
	g := c.target(t, d)
	b := captured(t, d, g)
	before := portrait(t, c.pid())
	if before.Umask != 0o027 || before.Nice != 7 || before.OOM != 123 || before.Limits[unix.RLIMIT_MSGQUEUE].Cur != 321 || before.Stdio[1].Path != dir+"/log" {
		t.Fatalf("captured wrongly: %+v", before)
	}
	if err := g.Kill(testContext(t), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ref := restored(t, d, g.Ref(), b)
	pid, _ := strconv.Atoi(ref.ID)
	waitFor(t, "it runs again", func() bool {
		text, _ := os.ReadFile(dir + "/log")
		return strings.Count(string(text), "started") == 4
	})
	after := portrait(t, pid)
	before.Stdio, after.Stdio = withoutOffsets(before.Stdio), withoutOffsets(after.Stdio)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("it came back changed (-before +after):\n%s", diff)
	}
	if ref == g.Ref() {
		t.Error("it has the same reference")
	}
	if session, err := unix.Getsid(pid); err != nil || session != pid {
		t.Errorf("session %d, %v: want one of its own", session, err)
	}
	if again := restored(t, d, g.Ref(), b); again != ref {
		t.Errorf("restored twice: %v, then %v", ref, again)
	}
	if again := restored(t, New(), g.Ref(), b); again != ref {
		t.Errorf("restored again by another process: %v, then %v", ref, again)
	}
}

func withoutOffsets(s [3]stream) [3]stream {
	for i := range s {
		s[i].Offset = 0
	}
	return s
}

func TestRestoreWritesBehindWhatWasWritten(t *testing.T) {
	dir := t.TempDir()
	log, err := os.Create(dir + "/log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	c := start(t, "log", func(cmd *exec.Cmd) { cmd.Stdout, cmd.Stderr = log, log })
	d := New()
	g := c.target(t, d)
	b := captured(t, d, g)
	if err := g.Kill(testContext(t), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := log.WriteString("last words\n"); err != nil {
		t.Fatal(err)
	}
	restored(t, d, g.Ref(), b)
	const want = "started\nstarted too\nlast words\nstarted\nstarted too\n"
	waitFor(t, "it writes again", func() bool {
		text, _ := os.ReadFile(dir + "/log")
		return len(text) >= len(want)
	})
	if text, _ := os.ReadFile(dir + "/log"); string(text) != want {
		t.Errorf("got %q, want %q", text, want)
	}
}

func TestRestoreLeavesWhatRuns(t *testing.T) {
	c := start(t, "idle")
	d := New()
	g := c.target(t, d)
	b := captured(t, d, g)
	if err := g.Pause(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if ref := restored(t, d, g.Ref(), b); ref != g.Ref() {
		t.Errorf("got %v, want the same", ref)
	}
	waitFor(t, "it goes on", func() bool { return status(t, g) == targets.Running })
	if n := len(marked(c.marker)); n != 1 {
		t.Errorf("%d processes run", n)
	}
}

func TestRestoreFindsWhatASupervisorBroughtBack(t *testing.T) {
	c := start(t, "idle")
	d := New()
	g := c.target(t, d)
	b := captured(t, d, g)
	if err := g.Kill(testContext(t), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	again := startAs(t, "idle", c.marker)
	if ref := restored(t, d, g.Ref(), b); ref.ID != strconv.Itoa(again.pid()) {
		t.Errorf("got %v, want %d", ref, again.pid())
	}
	if n := len(marked(c.marker)); n != 1 {
		t.Errorf("%d processes run, want 1", n)
	}
}

func TestTwinsAllComeBack(t *testing.T) {
	for _, order := range []string{"captured together", "captured one by one"} {
		t.Run(order, func(t *testing.T) {
			marker := fmt.Sprintf("marker-twins-%d", time.Now().UnixNano())
			d := New()
			var twins []*target
			for range 4 {
				twins = append(twins, startAs(t, "idle", marker).target(t, d))
			}
			prints := make([]targets.Blueprint, len(twins))
			for i, g := range twins {
				prints[i] = captured(t, d, g)
				if order == "captured one by one" {
					_ = g.Kill(testContext(t), syscall.SIGKILL)
				}
			}
			for _, g := range twins {
				_ = g.Kill(testContext(t), syscall.SIGKILL)
			}
			refs := make(map[targets.Ref]bool)
			for i, g := range twins {
				refs[restored(t, d, g.Ref(), prints[i])] = true
			}
			if len(refs) != 4 || len(marked(marker)) != 4 {
				t.Errorf("%d references, %d processes, want 4", len(refs), len(marked(marker)))
			}
		})
	}
}

func TestTwinsComeBackThoughOneOfUsForgot(t *testing.T) {
	marker := fmt.Sprintf("marker-forgot-%d", time.Now().UnixNano())
	d := New()
	a, b := startAs(t, "idle", marker).target(t, d), startAs(t, "idle", marker).target(t, d)
	first, second := captured(t, d, a), captured(t, d, b)
	_ = a.Kill(testContext(t), syscall.SIGKILL)
	_ = b.Kill(testContext(t), syscall.SIGKILL)
	restored(t, d, a.Ref(), first)
	restored(t, New(), b.Ref(), second)
	if n := len(marked(marker)); n != 2 {
		t.Errorf("%d processes run, want 2", n)
	}
}

func TestRestoredProcessLeavesNoZombie(t *testing.T) {
	c := start(t, "idle")
	d := New()
	g := c.target(t, d)
	b := captured(t, d, g)
	_ = g.Kill(testContext(t), syscall.SIGKILL)
	ref := restored(t, d, g.Ref(), b)
	back, err := d.Open(testContext(t), ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := back.(*target).Kill(testContext(t), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	pid, _ := strconv.Atoi(ref.ID)
	waitFor(t, "it is reaped", func() bool { _, err := readStat(pid); return err != nil })
}

func TestRestartIsAnotherProcess(t *testing.T) {
	c := start(t, "idle")
	g := c.target(t, New())
	if err := g.Restart(testContext(t), time.Second); err != nil {
		t.Fatal(err)
	}
	if left := marked(c.marker); len(left) != 1 || left[0] == c.pid() {
		t.Errorf("processes %v, was %d", left, c.pid())
	}
}

func TestPausedProcessComesBackPaused(t *testing.T) {
	c := start(t, "idle")
	d := New()
	g := c.target(t, d)
	if err := g.Pause(testContext(t)); err != nil {
		t.Fatal(err)
	}
	b := captured(t, d, g)
	if err := g.Kill(testContext(t), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ref := restored(t, d, g.Ref(), b)
	back, err := d.Open(testContext(t), ref)
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "it is paused", func() bool { return status(t, back.(*target)) == targets.Paused })
}

func TestRestoredProcessKeepsItsUser(t *testing.T) {
	requireRoot(t)
	exe := readableExecutable(t)
	c := start(t, "idle", func(cmd *exec.Cmd) {
		cmd.Path, cmd.Dir = exe, "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 12345, Gid: 23456, Groups: []uint32{23456, 34567}}}
	})
	d := New()
	g := c.target(t, d)
	b := captured(t, d, g)
	before := portrait(t, c.pid())
	_ = g.Kill(testContext(t), syscall.SIGKILL)
	ref := restored(t, d, g.Ref(), b)
	pid, _ := strconv.Atoi(ref.ID)
	after := portrait(t, pid)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("it came back changed (-before +after):\n%s", diff)
	}
	if after.Kin.UID != 12345 || after.GID != 23456 || !slices.Equal(after.Groups, []int{23456, 34567}) {
		t.Errorf("user %d, group %d, groups %v", after.Kin.UID, after.GID, after.Groups)
	}
}

// readableExecutable is a copy of the test binary that every user may execute.
func readableExecutable(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "child")
	b, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o755); err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(path); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func TestCaptureRefusesWhatCannotComeBack(t *testing.T) {
	exe := readableExecutable(t)
	removed := start(t, "idle", func(cmd *exec.Cmd) { cmd.Path = exe })
	if err := os.Remove(exe); err != nil {
		t.Fatal(err)
	}
	cases := map[string]child{"was deleted": removed}
	cases["overwrote its command line"] = start(t, "idle", func(cmd *exec.Cmd) { cmd.Args[0] = "server: master" })
	if os.Geteuid() == 0 {
		cases["another uts namespace"] = start(t, "idle", func(cmd *exec.Cmd) {
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUTS}
		})
	}
	for why, c := range cases {
		d := New()
		_, err := d.(targets.Restorer).Capture(testContext(t), c.target(t, d), false)
		if !errors.Is(err, targets.ErrUnsupported) || !strings.Contains(err.Error(), why) {
			t.Errorf("got %v, want a refusal that says %q", err, why)
		}
	}
}

func TestCaptureNotesWhatGetsLost(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	c := start(t, "idle", func(cmd *exec.Cmd) {
		cmd.Stdout = w
		cmd.Env = append(cmd.Env, "LISTEN_FDS=1")
	})
	d := New()
	notes := d.(*driver).Notes(captured(t, d, c.target(t, d)))
	text := strings.Join(notes, "; ")
	for _, want := range []string{"standard output was pipe", "LISTEN_FDS"} {
		if !strings.Contains(text, want) {
			t.Errorf("notes %q do not say %q", text, want)
		}
	}
}

func TestRestoreRefusesForeignBlueprint(t *testing.T) {
	for _, b := range []string{"", "{}", "rubbish"} {
		if _, err := New().(targets.Restorer).Restore(testContext(t), targets.Ref{}, json.RawMessage(b)); err == nil {
			t.Errorf("%q was restored", b)
		}
	}
}

func TestSiteIsTheProcessesOwn(t *testing.T) {
	c := start(t, "idle")
	site, err := c.target(t, New()).Site(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if site.PID != c.pid() || site.NetNS != procPath(c.pid(), "ns/net") || site.Root != procPath(c.pid(), "root") || site.Cgroup == "" {
		t.Errorf("%+v", site)
	}
}

func TestStatIsReadWhateverTheNameIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stat")
	line := "42 (a) b (c) S 7 42 42 34816 42 4194304 1 2 3 4 5 6 7 8 20 -5 3 0 98765 1 2"
	if err := os.WriteFile(path, []byte(line), 0o644); err != nil {
		t.Fatal(err)
	}
	st, err := parseStat(path)
	want := stat{pid: 42, ppid: 7, comm: "a) b (c", state: 'S', tty: 34816, flags: 4194304, nice: -5, start: 98765}
	if err != nil || st != want {
		t.Errorf("got %+v, %v", st, err)
	}
}

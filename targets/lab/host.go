package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/squall-chaos/squall/targets"
)

// Delays before a host that ended is started again.
const (
	backoffFirst = 100 * time.Millisecond
	backoffMost  = 5 * time.Second
	backoffReset = 10 * time.Second // a host that ran so long begins anew with the shortest
)

// host is one supervised host inside the lab's init. All processes in its
// network namespace are its members; the first one is the command, or, when that
// ended with 0 and left daemons behind, the oldest of them.
type host struct {
	plan   hostPlan
	addr   ends
	procs  *procfs
	reaper *reaper
	net    *os.File // network namespace, for as long as the lab lives
	uts    *os.File // its host name
	netns  string   // net as /proc shows it
	log    *os.File

	mu       sync.Mutex
	status   targets.Status // Created, Running, Exited or Restarting
	held     bool           // taken down on purpose: stays down until it is started
	main     int            // pid of the first process; 0 unless Running
	dir      string         // of that process in /proc
	starts   int            // incarnations so far
	ticks    uint64         // start of the incarnation
	started  time.Time
	exitCode int
	restarts int
	backoff  time.Duration
	retry    *time.Timer
	changed  chan struct{} // closed when the first process ends
}

// attach makes the host's namespaces and connects it as number i.
func (h *host) attach(n *network, i int) error {
	return inNamespaces(func() error {
		return unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWUTS)
	}, func() error {
		if err := unix.Sethostname([]byte(h.plan.Name)); err != nil {
			return err
		}
		var err error
		if h.net, err = openNamespace("net"); err != nil {
			return err
		}
		if h.uts, err = openNamespace("uts"); err != nil {
			return err
		}
		if h.netns, err = os.Readlink("/proc/self/fd/" + strconv.Itoa(int(h.net.Fd()))); err != nil {
			return err
		}
		return n.cable(h.net, i)
	})
}

func (h *host) openLog(dir string) (err error) {
	h.log, err = os.OpenFile(filepath.Join(dir, h.plan.Name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	return err
}

// start starts the host unless it runs, and lets its restart policy act again.
func (h *host) start() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held = false
	if h.main != 0 {
		return nil
	}
	h.backoff = 0
	return h.startLocked()
}

// startLocked starts a new incarnation on a clean host.
func (h *host) startLocked() error {
	h.cancelRetry()
	if err := h.sweepLocked(); err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = null.Close() }()
	pid, err := h.spawn(null)
	if err != nil {
		h.status, h.exitCode = targets.Exited, 127
		return fmt.Errorf("start %s: %w", h.plan.Argv[0], err)
	}
	h.main, h.status, h.exitCode = pid, targets.Running, 0
	h.starts++
	h.started = time.Now()
	h.changed = make(chan struct{})
	h.dir = h.find(pid)
	h.ticks = readStat(h.dir + "/stat").ticks
	return nil
}

func (h *host) spawn(null *os.File) (pid int, err error) {
	attr := &syscall.ProcAttr{
		Dir: h.plan.Dir, Env: h.plan.Env,
		Files: []uintptr{null.Fd(), h.log.Fd(), h.log.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	}
	err = inNamespaces(func() error {
		return errors.Join(setns(h.net, unix.CLONE_NEWNET), setns(h.uts, unix.CLONE_NEWUTS))
	}, func() error {
		pid, err = h.reaper.fork(h, func() (int, error) {
			return syscall.ForkExec(h.plan.Argv[0], h.plan.Argv, attr)
		})
		return err
	})
	return pid, err
}

// find is the directory in /proc of a member; one that does not exist if it is
// gone already.
func (h *host) find(pid int) string {
	if !h.procs.follow {
		return "/proc/" + strconv.Itoa(pid)
	}
	for _, m := range h.members() {
		if m.pid == pid {
			return m.dir
		}
	}
	return "/proc/gone"
}

func (h *host) members() []member { return h.procs.members(h.netns) }

// exited is told by the reaper that a first process is gone.
func (h *host) exited(pid int, ws syscall.WaitStatus) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if pid != h.main {
		return
	}
	h.exitCode = ws.ExitStatus()
	if ws.Signaled() {
		h.exitCode = 128 + int(ws.Signal())
	}
	if h.exitCode == 0 && !h.held && h.adoptLocked() {
		return
	}
	h.main = 0
	h.status = targets.Exited
	close(h.changed)
	if h.held {
		return // whoever took it down sweeps
	}
	if h.plan.Restart == restartAlways || (h.plan.Restart == restartOnFailure && h.exitCode != 0) {
		h.retryLocked()
	}
	go h.sweepIfDown()
}

// adoptLocked makes the oldest daemon that the first process left behind the
// first process. Orphans become children of the init, which is this process.
func (h *host) adoptLocked() bool {
	oldest, found := stat{}, member{}
	for _, m := range h.members() {
		s := readStat(m.dir + "/stat")
		if s.state != 0 && s.state != 'Z' && s.ppid == h.procs.self && (found.pid == 0 || s.ticks < oldest.ticks) {
			oldest, found = s, m
		}
	}
	if found.pid == 0 {
		return false
	}
	h.main, h.dir = found.pid, found.dir
	h.reaper.adopt(h, found.pid)
	return true
}

// retryLocked lets the policy start the host again after a while.
func (h *host) retryLocked() {
	if h.backoff == 0 || time.Since(h.started) >= backoffReset {
		h.backoff = backoffFirst
	} else {
		h.backoff = min(2*h.backoff, backoffMost)
	}
	h.status = targets.Restarting
	h.retry = time.AfterFunc(h.backoff, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.held || h.status != targets.Restarting {
			return
		}
		h.restarts++
		if err := h.startLocked(); err != nil {
			fmt.Fprintf(h.log, "squall: %v\n", err)
			h.retryLocked()
		}
	})
}

func (h *host) cancelRetry() {
	if h.retry != nil {
		h.retry.Stop()
		h.retry = nil
	}
	if h.status == targets.Restarting {
		h.status = targets.Exited
	}
}

// sweepIfDown kills what a first process that crashed has left behind.
func (h *host) sweepIfDown() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.main != 0 {
		return
	}
	if err := h.sweepLocked(); err != nil {
		fmt.Fprintf(h.log, "squall: %v\n", err)
	}
}

// sweepLocked kills all members until there is none.
func (h *host) sweepLocked() error {
	deadline := time.Now().Add(5 * time.Second)
	for wait := 500 * time.Microsecond; ; wait = min(2*wait, 20*time.Millisecond) {
		left := h.members()
		if len(left) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d processes of the host survive SIGKILL", len(left))
		}
		for _, m := range left {
			_ = syscall.Kill(m.pid, syscall.SIGKILL)
		}
		<-time.After(wait)
	}
}

// state is what the host looks like now, with a pidfd of its first process if it
// runs; the caller closes that.
func (h *host) state(withPID bool) (hostState, *os.File) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := hostState{
		Name: h.plan.Name, V4: h.addr.v4.String(), Status: h.status, ExitCode: h.exitCode,
		Epoch: fmt.Sprintf("%d-%d", h.starts, h.ticks), Restarts: h.restarts, Started: h.started,
	}
	if h.addr.v6.IsValid() {
		s.V6 = h.addr.v6.String()
	}
	if h.main == 0 {
		return s, nil
	}
	char := readStat(h.dir + "/stat").state
	if char == 'T' {
		s.Status = targets.Paused
	}
	if char != 0 {
		s.Detail = "/proc state " + string(char)
	}
	if !withPID {
		return s, nil
	}
	fd, err := unix.PidfdOpen(h.main, 0)
	if err != nil {
		return s, nil // it ended just now; the next state says so
	}
	return s, os.NewFile(uintptr(fd), "pidfd")
}

// Package process finds and drives plain processes of this machine.
//
// New returns the driver; a Selector is what files write under "process". A target
// is one process, identified by its PID, the tick of its start and this boot of
// the machine, so that a PID that is used again is never mistaken for it: every
// signal goes through a pidfd whose process was identified first. The driver is a
// targets.Restorer that starts killed processes again as they were.
//
// The package knows no service managers. A process that one brings back is found
// again as what it is: a new process of the same kind.
package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/squall-chaos/squall/targets"
)

// name is the driver's key in files and references.
const name = "process"

type driver struct {
	mu    sync.Mutex
	taken map[string]string // keys of processes that came back → key of whom they stand for; guarded by mu
}

// New returns the driver for processes. It needs no root for the user's own
// processes; for others' the calls say so.
func New() targets.Driver { return &driver{taken: make(map[string]string)} }

func (*driver) Name() string { return name }

func (*driver) Doc() string {
	return "processes of this machine, by pid, name, executable, command line, user or cgroup"
}

func (*driver) Selector() targets.Selector { return &Selector{} }

// Find implements targets.Driver. What cannot be read about a process of another
// user does not match.
func (d *driver) Find(ctx context.Context, sel targets.Selector) ([]targets.Target, error) {
	s, ok := sel.(*Selector)
	if !ok {
		return nil, fmt.Errorf("process: %T is not a selector of processes", sel)
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("process: %w", err)
	}
	m, err := s.compile()
	if err != nil {
		return nil, fmt.Errorf("process: %w", err)
	}
	pids, err := list(s.PID)
	if err != nil {
		return nil, fmt.Errorf("process: %w", err)
	}
	safe, err := newSafety()
	if err != nil {
		return nil, fmt.Errorf("process: %w", err)
	}
	var found []targets.Target
	for _, pid := range pids {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		st, err := readStat(pid)
		if err != nil || st.dead() || !safe.allows(st) || !m.matches(st) {
			continue
		}
		found = append(found, newTarget(d, st))
	}
	slices.SortFunc(found, func(a, b targets.Target) int { return strings.Compare(a.Name(), b.Name()) })
	return found, nil
}

// list returns the PIDs to look at: only one when it is known.
func list(one int) ([]int, error) {
	if one != 0 {
		return []int{one}, nil
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// Open implements targets.Driver. A process has no later incarnations: without an
// epoch it is gone, as its PID could be anybody's by now.
func (d *driver) Open(_ context.Context, ref targets.Ref) (targets.Target, error) {
	pid, err := strconv.Atoi(ref.ID)
	if err != nil || pid <= 1 {
		return nil, fmt.Errorf("process: %q is not the ID of a process", ref.ID)
	}
	if ref.Epoch == "" {
		return nil, fmt.Errorf("process: %d: %w", pid, targets.ErrGone)
	}
	st, err := readStat(pid)
	if errors.Is(err, fs.ErrNotExist) || err == nil && st.dead() {
		return nil, fmt.Errorf("process: %d: %w", pid, targets.ErrGone)
	}
	if err != nil {
		return nil, fmt.Errorf("process: %w", err)
	}
	t := newTarget(d, st)
	if err := targets.Check(ref, t.ref); err != nil {
		return nil, fmt.Errorf("process: %w", err)
	}
	return t, nil
}

// safety knows the processes that are never disturbed.
type safety struct {
	ours map[int]bool // this process and its ancestors
	exe  os.FileInfo  // our own executable
}

func newSafety() (safety, error) {
	s := safety{ours: map[int]bool{1: true}}
	for pid := os.Getpid(); pid > 0 && !s.ours[pid]; {
		st, err := readStat(pid)
		if err != nil {
			return s, err
		}
		s.ours[pid] = true
		pid = st.ppid
	}
	var err error
	s.exe, err = os.Stat("/proc/self/exe")
	return s, err
}

// allows reports whether a process may be disturbed: not pid 1, not the kernel's
// own, not Squall's.
func (s safety) allows(st stat) bool {
	return st.pid > 1 && !st.kernel() && !s.ours[st.pid] && !s.squall(st.pid)
}

// squall reports whether pid is a run or an agent of the executable that we are.
func (s safety) squall(pid int) bool {
	argv, err := readArgv(pid)
	if err != nil || len(argv) < 2 || argv[1] != "agent" && argv[1] != "run" {
		return false
	}
	exe, err := os.Stat(procPath(pid, "exe"))
	return err == nil && os.SameFile(exe, s.exe)
}

package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// start starts the process of the blueprint. The new process is traced only
// until its program is loaded: there it gets its limits, priority and cgroups
// before it has run a single instruction, and is let go.
func (b *blueprint) start() (stat, error) {
	files, err := openStreams(b.Stdio, b.Kin.UID, b.GID)
	if err != nil {
		return stat{}, err
	}
	defer closeAll(files)
	type result struct {
		st  stat
		err error
	}
	done := make(chan result)
	go func() {
		// The thread traces, and has a umask of its own: it is not used again.
		runtime.LockOSThread()
		st, err := b.spawn(files)
		done <- result{st, err}
	}()
	r := <-done
	return r.st, r.err
}

func (b *blueprint) spawn(files []*os.File) (stat, error) {
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return stat{}, os.NewSyscallError("unshare", err)
	}
	unix.Umask(b.Umask)
	attr := &syscall.SysProcAttr{Setsid: true, Ptrace: true}
	if os.Geteuid() == 0 {
		attr.Credential = &syscall.Credential{Uid: uint32(b.Kin.UID), Gid: uint32(b.GID), Groups: groupIDs(b.Groups)}
	}
	p, err := os.StartProcess(b.Kin.Exe, b.Kin.Argv, &os.ProcAttr{Dir: b.Kin.Cwd, Env: b.Env, Files: files, Sys: attr})
	if err != nil {
		return stat{}, err
	}
	var ws unix.WaitStatus
	if _, err = unix.Wait4(p.Pid, &ws, unix.WALL, nil); err == nil && !ws.Stopped() {
		err = errors.New("it ended before its program was loaded")
	}
	var st stat
	if err == nil {
		st, err = readStat(p.Pid)
	}
	if err == nil {
		err = b.dress(p.Pid)
	}
	if err == nil {
		err = os.NewSyscallError("ptrace", unix.PtraceDetach(p.Pid))
	}
	if err != nil {
		_ = p.Kill()
		_, _ = p.Wait()
		return stat{}, err
	}
	go func() { _, _ = p.Wait() }() // leaves no zombie as long as we live
	if b.Paused {
		err = p.Signal(syscall.SIGSTOP)
	}
	return st, err
}

func groupIDs(groups []int) []uint32 {
	ids := make([]uint32, 0, len(groups))
	for _, g := range groups {
		ids = append(ids, uint32(g))
	}
	return ids
}

// dress gives the new process what it cannot inherit from us.
func (b *blueprint) dress(pid int) error {
	for _, g := range b.Cgroups {
		if err := g.join(pid); err != nil {
			return err
		}
	}
	if err := setLimits(pid, b.Limits); err != nil {
		return err
	}
	if err := unix.Setpriority(unix.PRIO_PROCESS, pid, b.Nice); err != nil && !errors.Is(err, unix.EACCES) {
		return os.NewSyscallError("setpriority", err)
	}
	err := os.WriteFile(procPath(pid, "oom_score_adj"), []byte(strconv.Itoa(b.OOM)), 0)
	if errors.Is(err, fs.ErrPermission) {
		return nil // it was lowered by somebody with more rights
	}
	return err
}

// join moves a process into the cgroup. A group that does not exist any more, or
// that we may not write to, is left out.
func (g cgroup) join(pid int) error {
	current, err := readCgroups(pid)
	if err != nil {
		return err
	}
	for _, c := range current {
		if c == g {
			return nil
		}
	}
	mount, err := g.mount()
	if err != nil || mount == "" {
		return err
	}
	file := filepath.Join(mount, filepath.Clean("/"+g.Path), "cgroup.procs")
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteString(strconv.Itoa(pid)); err != nil && !errors.Is(err, unix.ENODEV) && !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("move to cgroup %s: %w", g.Path, err)
	}
	return nil
}

// mount finds where the group's hierarchy is mounted, or returns "".
func (g cgroup) mount() (string, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(b)) {
		before, after, ok := strings.Cut(strings.TrimSpace(line), " - ")
		where, what := strings.Fields(before), strings.Fields(after)
		if !ok || len(where) < 5 || len(what) < 3 {
			continue
		}
		unified := what[0] == "cgroup2" && g.Controllers == ""
		legacy := what[0] == "cgroup" && g.Controllers != "" && containsAll(what[2], g.Controllers)
		if unified || legacy {
			return where[4], nil
		}
	}
	return "", nil
}

// containsAll reports whether all words of want, divided by commas, are among have's.
func containsAll(have, want string) bool {
	for w := range strings.SplitSeq(want, ",") {
		if !strings.Contains(","+have+",", ","+w+",") {
			return false
		}
	}
	return true
}

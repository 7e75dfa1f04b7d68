package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/squall-chaos/squall/targets"
)

// deleted is what the kernel appends to the path of a file that was deleted.
const deleted = " (deleted)"

// blueprint is what starts a process again.
type blueprint struct {
	PID      int           `json:"pid"`
	Epoch    string        `json:"epoch"`
	Kin      kin           `json:"kin"`
	Env      []string      `json:"env"`
	GID      int           `json:"gid"`
	Groups   []int         `json:"groups"`
	Umask    int           `json:"umask"`
	Nice     int           `json:"nice"`
	OOM      int           `json:"oom_score_adj"`
	Limits   []unix.Rlimit `json:"limits"`
	Cgroups  []cgroup      `json:"cgroups"`
	Stdio    [3]stream     `json:"stdio"`
	Paused   bool          `json:"paused,omitempty"`
	Captured uint64        `json:"captured"` // ticks after boot
	Peers    []string      `json:"peers"`    // keys of its kin at that time
	Notes    []string      `json:"notes,omitempty"`
}

func (b *blueprint) key() string { return key(b.PID, b.Epoch) }

// kin is what processes have in common that do the same work.
type kin struct {
	Exe  string   `json:"exe"`
	Argv []string `json:"argv"`
	Cwd  string   `json:"cwd"`
	UID  int      `json:"uid"`
}

// Capture implements targets.Restorer; a process leaves nothing behind to remove,
// so remove makes no difference. The blueprint holds the environment, so it must
// be kept as carefully as the process's memory.
//
// It refuses what could not be started as it was: processes in other namespaces
// or with another root than ours, with a deleted executable, with rights that
// differ from their user's, that are traced, that overwrote their command line,
// and, without root, other users' processes. What a new process will not have,
// such as its terminal, pipes and inherited sockets, is in its Notes.
func (d *driver) Capture(_ context.Context, t targets.Target, _ bool) (targets.Blueprint, error) {
	ref := t.Ref()
	pid, err := strconv.Atoi(ref.ID)
	if err != nil {
		return nil, fmt.Errorf("process: %q is not the ID of a process", ref.ID)
	}
	h, err := open(pid, ref.Epoch)
	if err != nil {
		return nil, err
	}
	defer h.close()
	b, err := capture(pid)
	if h.ended() {
		return nil, fmt.Errorf("process: %d: %w", pid, targets.ErrGone)
	}
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w: it belongs to another user (%w): run Squall as root", targets.ErrUnsupported, err)
	}
	if err != nil {
		return nil, fmt.Errorf("process: %s: %w", t.Name(), err)
	}
	return json.Marshal(b)
}

// Notes implements targets.Noter. It tells what will not be as it was when the process of b is
// started again.
func (*driver) Notes(b targets.Blueprint) []string {
	var p blueprint
	if json.Unmarshal(b, &p) != nil {
		return nil
	}
	return p.Notes
}

func capture(pid int) (blueprint, error) {
	st, err := readStat(pid)
	if err != nil {
		return blueprint{}, err
	}
	status, err := readStatus(pid)
	if err != nil {
		return blueprint{}, err
	}
	if err := refusal(st, status); err != nil {
		return blueprint{}, err
	}
	b := blueprint{PID: pid, Epoch: st.epoch(), Nice: st.nice, Paused: st.stopped()}
	if b.Kin, err = readKin(pid); err != nil {
		return b, err
	}
	if b.Kin.rewritten(pid) {
		return b, fmt.Errorf("%w: it overwrote its command line (%q), so the command that started it is not known: leave out \"for:\" and let what started it bring it back",
			targets.ErrUnsupported, strings.Join(b.Kin.Argv, " "))
	}
	if err := b.readRights(status); err != nil {
		return b, err
	}
	if err := b.readSurroundings(); err != nil {
		return b, err
	}
	b.note(st, status)
	if b.Captured, err = nowTicks(); err != nil {
		return b, err
	}
	peers, err := b.Kin.all()
	for _, p := range peers {
		if p.pid != pid {
			b.Peers = append(b.Peers, p.key())
		}
	}
	return b, err
}

// refusal says why a process could not be started again as it was.
func refusal(st stat, status map[string]string) error {
	no := func(why string) error { return fmt.Errorf("%w: %s", targets.ErrUnsupported, why) }
	if st.kernel() {
		return no("it is a thread of the kernel")
	}
	if tracer := status["TracerPid"]; tracer != "0" && tracer != "" {
		return no("process " + tracer + " traces it")
	}
	for _, key := range []string{"Uid", "Gid"} {
		ids := strings.Fields(status[key])
		if len(slices.Compact(ids)) != 1 {
			return no("it runs with other rights than its user's (set-user-ID or set-group-ID)")
		}
	}
	for _, ns := range []string{"mnt", "pid", "user", "net", "ipc", "uts"} {
		theirs, err := os.Readlink(procPath(st.pid, "ns/"+ns))
		if err != nil {
			return err
		}
		if ours, err := os.Readlink("/proc/self/ns/" + ns); err != nil || ours != theirs {
			return no("it lives in another " + ns + " namespace: select it by the driver that made it (docker, lab)")
		}
	}
	theirs, err := os.Stat(procPath(st.pid, "root"))
	if err != nil {
		return err
	}
	if ours, err := os.Stat("/proc/self/root"); err != nil || !os.SameFile(ours, theirs) {
		return no("it has another root directory")
	}
	return nil
}

func readKin(pid int) (kin, error) {
	exe, err := os.Readlink(procPath(pid, "exe"))
	if err != nil {
		return kin{}, err
	}
	if strings.HasSuffix(exe, deleted) {
		return kin{}, fmt.Errorf("%w: its executable %s was deleted", targets.ErrUnsupported, strings.TrimSuffix(exe, deleted))
	}
	cwd, err := os.Readlink(procPath(pid, "cwd"))
	if err != nil {
		return kin{}, err
	}
	if strings.HasSuffix(cwd, deleted) {
		return kin{}, fmt.Errorf("%w: its working directory %s was deleted", targets.ErrUnsupported, strings.TrimSuffix(cwd, deleted))
	}
	argv, err := readArgv(pid)
	if err != nil {
		return kin{}, err
	}
	uid, err := readUID(pid)
	return kin{exe, argv, cwd, uid}, err
}

// rewritten reports whether a process shows a title instead of its arguments, as
// setproctitle(3) and the like leave it: "name: what it does", padded with nothing.
func (k kin) rewritten(pid int) bool {
	raw, err := os.ReadFile(procPath(pid, "cmdline"))
	if err != nil || len(raw) == 0 || len(k.Argv) == 0 {
		return true
	}
	padding := len(k.Argv) > 2 && strings.Join(k.Argv[1:], "") == ""
	return raw[len(raw)-1] != 0 || strings.Contains(k.Argv[0], ": ") || padding
}

// all returns the processes that are of one kin.
func (k kin) all() ([]stat, error) {
	pids, err := list(0)
	if err != nil {
		return nil, err
	}
	var found []stat
	for _, pid := range pids {
		st, err := readStat(pid)
		if err != nil || st.dead() || st.kernel() {
			continue
		}
		other, err := readKin(pid)
		if err == nil && other.Exe == k.Exe && other.Cwd == k.Cwd && other.UID == k.UID && slices.Equal(other.Argv, k.Argv) {
			found = append(found, st)
		}
	}
	return found, nil
}

func (b *blueprint) readRights(status map[string]string) error {
	var err error
	if b.GID, err = strconv.Atoi(strings.Fields(status["Gid"])[0]); err != nil {
		return err
	}
	for _, g := range strings.Fields(status["Groups"]) {
		n, err := strconv.Atoi(g)
		if err != nil {
			return err
		}
		b.Groups = append(b.Groups, n)
	}
	mask, err := strconv.ParseUint(status["Umask"], 8, 32)
	b.Umask = int(mask)
	if err != nil {
		return err
	}
	b.Limits, err = readLimits(b.PID)
	return err
}

func (b *blueprint) readSurroundings() error {
	env, err := os.ReadFile(procPath(b.PID, "environ"))
	if err != nil {
		return err
	}
	b.Env = splitNul(env)
	oom, err := os.ReadFile(procPath(b.PID, "oom_score_adj"))
	if err != nil {
		return err
	}
	if b.OOM, err = strconv.Atoi(strings.TrimSpace(string(oom))); err != nil {
		return err
	}
	if b.Cgroups, err = readCgroups(b.PID); err != nil {
		return err
	}
	for i := range b.Stdio {
		var note string
		if b.Stdio[i], note, err = readStream(b.PID, i); err != nil {
			return err
		}
		if note != "" {
			b.Notes = append(b.Notes, note)
		}
	}
	return nil
}

// note gathers what a new process will not have.
func (b *blueprint) note(st stat, status map[string]string) {
	add := func(n string) { b.Notes = append(b.Notes, n) }
	if st.tty != 0 {
		add("it will come back without its terminal")
	}
	if slices.ContainsFunc(b.Env, func(e string) bool { return strings.HasPrefix(e, "LISTEN_FDS=") }) {
		add("it was handed sockets when it started (LISTEN_FDS), which it will not get again")
	} else if n := inheritedSockets(b.PID, st.ppid); n > 0 {
		add(fmt.Sprintf("it shares %d sockets with its parent, which it will not get again", n))
	}
	if b.Kin.UID != 0 && strings.Trim(status["CapEff"], "0") != "" {
		add("it has capabilities that its executable must give it again")
	}
	if status["Seccomp"] != "0" && status["Seccomp"] != "" || status["NoNewPrivs"] == "1" {
		add("it was confined (seccomp or no_new_privs), which will not be so again unless it does that itself")
	}
	if ours, err := readLimits(os.Getpid()); err != nil || !slices.Equal(ours, b.Limits) {
		if b.Kin.UID != os.Getuid() && !capable(unix.CAP_SYS_RESOURCE) {
			add("its resource limits cannot be set again without CAP_SYS_RESOURCE")
		}
	}
	for _, g := range b.Cgroups {
		if unit := g.Path[strings.LastIndex(g.Path, "/")+1:]; strings.HasSuffix(unit, ".service") {
			add("it belongs to " + unit + ": a service manager does not know a process that it did not start")
			break
		}
	}
}

// inheritedSockets counts the sockets above standard error that a process has in
// common with its parent; a parent whose descriptors may not be read has none.
func inheritedSockets(pid, parent int) int {
	theirs := sockets(parent)
	n := 0
	for inode := range sockets(pid) {
		if theirs[inode] {
			n++
		}
	}
	return n
}

func sockets(pid int) map[string]bool {
	found := make(map[string]bool)
	entries, err := os.ReadDir(procPath(pid, "fd"))
	if err != nil {
		return found
	}
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err != nil || n < 3 {
			continue
		}
		if to, err := os.Readlink(procPath(pid, "fd/"+e.Name())); err == nil && strings.HasPrefix(to, "socket:") {
			found[to] = true
		}
	}
	return found
}

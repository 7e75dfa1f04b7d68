package process

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/squall-chaos/squall/targets"
)

// ticksPerSecond is USER_HZ, which is 100 on every architecture that Go supports.
const ticksPerSecond = 100

// kernelThread is PF_KTHREAD in the flags of proc_pid_stat(5).
const kernelThread = 0x00200000

// stat is what proc_pid_stat(5) tells of a process.
type stat struct {
	pid, ppid int
	comm      string
	state     byte
	tty       int
	flags     uint64
	nice      int
	start     uint64 // ticks after boot
}

func (s stat) dead() bool { return s.state == 'Z' || s.state == 'X' || s.state == 'x' }

func (s stat) stopped() bool { return s.state == 'T' || s.state == 't' }

func (s stat) kernel() bool { return s.flags&kernelThread != 0 || s.pid == 2 && s.ppid == 0 }

// epoch tells one process of a PID from another, over reboots too.
func (s stat) epoch() string { return strconv.FormatUint(s.start, 10) + "@" + bootID() }

// key tells a process from all others: several can start in one tick.
func (s stat) key() string { return key(s.pid, s.epoch()) }

func key(pid int, epoch string) string { return strconv.Itoa(pid) + "/" + epoch }

func (s stat) ref() targets.Ref {
	return targets.Ref{Driver: name, ID: strconv.Itoa(s.pid), Epoch: s.epoch()}
}

var bootID = sync.OnceValue(func() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
})

func procPath(pid int, file string) string { return fmt.Sprintf("/proc/%d/%s", pid, file) }

func readStat(pid int) (stat, error) { return parseStat(procPath(pid, "stat")) }

// parseStat reads a stat file. A process that ends while it is read is one that
// does not exist.
func parseStat(path string) (stat, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, unix.ESRCH) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return stat{}, err
	}
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')') // comm may hold either
	if open < 0 || end < open {
		return stat{}, fmt.Errorf("%s is not readable", path)
	}
	f := strings.Fields(string(b[end+1:])) // f[0] is field 3
	if len(f) < 20 {
		return stat{}, fmt.Errorf("%s has too few fields", path)
	}
	s := stat{comm: string(b[open+1 : end]), state: f[0][0]}
	var errs [6]error
	s.pid, errs[0] = strconv.Atoi(strings.TrimSpace(string(b[:open])))
	s.ppid, errs[1] = strconv.Atoi(f[1])
	s.tty, errs[2] = strconv.Atoi(f[4])
	s.flags, errs[3] = strconv.ParseUint(f[6], 10, 64)
	s.nice, errs[4] = strconv.Atoi(f[16])
	s.start, errs[5] = strconv.ParseUint(f[19], 10, 64)
	return s, errors.Join(errs[:]...)
}

// threadStates returns the states of all threads of a process.
func threadStates(pid int) ([]byte, error) {
	tasks, err := os.ReadDir(procPath(pid, "task"))
	if err != nil {
		return nil, err
	}
	var states []byte
	for _, t := range tasks {
		s, err := parseStat(filepath.Join(procPath(pid, "task"), t.Name(), "stat"))
		if errors.Is(err, fs.ErrNotExist) {
			continue // the thread ended
		}
		if err != nil {
			return nil, err
		}
		states = append(states, s.state)
	}
	return states, nil
}

func readArgv(pid int) ([]string, error) {
	b, err := os.ReadFile(procPath(pid, "cmdline"))
	return splitNul(b), err
}

func splitNul(b []byte) []string {
	if len(b) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
}

// readStatus reads proc_pid_status(5) into its keys.
func readStatus(pid int) (map[string]string, error) {
	b, err := os.ReadFile(procPath(pid, "status"))
	if err != nil {
		return nil, err
	}
	fields := make(map[string]string)
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(line, ":")
		fields[key] = strings.TrimSpace(value)
	}
	return fields, nil
}

func readUID(pid int) (int, error) {
	status, err := readStatus(pid)
	if err != nil {
		return -1, err
	}
	first, _, _ := strings.Cut(status["Uid"], "\t")
	return strconv.Atoi(first)
}

// cgroup is a line of /proc/PID/cgroup (cgroups(7)).
type cgroup struct {
	Controllers string `json:"controllers"` // empty for the unified hierarchy
	Path        string `json:"path"`
}

func readCgroups(pid int) ([]cgroup, error) {
	b, err := os.ReadFile(procPath(pid, "cgroup"))
	if err != nil {
		return nil, err
	}
	var groups []cgroup
	for line := range strings.Lines(string(b)) {
		if f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3); len(f) == 3 {
			groups = append(groups, cgroup{f[1], f[2]})
		}
	}
	return groups, nil
}

// bootTime is when the machine started, to the second (proc_stat(5)).
var bootTime = sync.OnceValues(func() (time.Time, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return time.Time{}, err
	}
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(line, "btime "); ok {
			sec, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			return time.Unix(sec, 0), err
		}
	}
	return time.Time{}, errors.New("/proc/stat has no btime")
})

func (s stat) startedAt() time.Time {
	boot, err := bootTime()
	if err != nil {
		return time.Time{}
	}
	return boot.Add(time.Duration(s.start) * (time.Second / ticksPerSecond))
}

// nowTicks is the present in ticks after boot, as processes' start times count.
func nowTicks() (uint64, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0, err
	}
	return uint64(ts.Nano()) / uint64(time.Second/ticksPerSecond), nil
}

package process

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// readLimits reads all resource limits of a process, by their numbers. The lines
// of /proc/PID/limits are in that order; prlimit(2) would need more rights to read
// the same.
func readLimits(pid int) ([]unix.Rlimit, error) {
	b, err := os.ReadFile(procPath(pid, "limits"))
	if err != nil {
		return nil, err
	}
	const nameWidth = 26 // of the column before the values
	var all []unix.Rlimit
	for i, line := range strings.Split(strings.TrimSuffix(string(b), "\n"), "\n") {
		if i == 0 { // heading
			continue
		}
		fields := strings.Fields(line[min(nameWidth, len(line)):])
		if len(fields) < 2 {
			return nil, fmt.Errorf("limits of %d: %q is not readable", pid, line)
		}
		cur, err1 := parseLimit(fields[0])
		highest, err2 := parseLimit(fields[1])
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("limits of %d: %w", pid, err)
		}
		all = append(all, unix.Rlimit{Cur: cur, Max: highest})
	}
	return all, nil
}

func parseLimit(s string) (uint64, error) {
	if s == "unlimited" {
		return unix.RLIM_INFINITY, nil
	}
	return strconv.ParseUint(s, 10, 64)
}

// setLimits sets what differs. Without CAP_SYS_RESOURCE a hard limit can only be
// lowered, and the limits of another user's process cannot be set at all; then it
// does what can be done, of which the blueprint's notes tell.
func setLimits(pid int, want []unix.Rlimit) error {
	have, err := readLimits(pid)
	if err != nil {
		return err
	}
	for i := range min(len(have), len(want)) {
		if have[i] == want[i] {
			continue
		}
		err := unix.Prlimit(pid, i, &want[i], nil)
		if errors.Is(err, unix.EPERM) {
			err = unix.Prlimit(pid, i, &unix.Rlimit{Cur: min(want[i].Cur, have[i].Max), Max: have[i].Max}, nil)
		}
		if err != nil && !errors.Is(err, unix.EPERM) {
			return os.NewSyscallError("prlimit", err)
		}
	}
	return nil
}

// capable reports whether this process has a capability in effect.
func capable(c uint) bool {
	status, err := readStatus(os.Getpid())
	if err != nil {
		return false
	}
	set, err := strconv.ParseUint(status["CapEff"], 16, 64)
	return err == nil && set&(1<<c) != 0
}

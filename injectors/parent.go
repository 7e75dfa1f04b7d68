package injectors

import (
	"fmt"
	"log/slog"
	"os"

	"golang.org/x/sys/unix"
)

// parent is the process that started the agent.
type parent struct {
	pid int
	fd  int // -1 when it cannot be watched
}

func openParent() parent {
	p := parent{pid: os.Getppid(), fd: -1}
	if p.pid > 1 {
		if fd, err := unix.PidfdOpen(p.pid, 0); err == nil {
			p.fd = fd
		}
	}
	return p
}

func (p parent) close() {
	if p.fd >= 0 {
		unix.Close(p.fd)
	}
}

// killIfStopped ends a controller that is stopped past its deadline: it could only
// go on with a world that is not the one it knew.
func (p parent) killIfStopped(l *slog.Logger) {
	if p.fd < 0 || os.Getppid() != p.pid || !stoppedProcess(p.pid) {
		return
	}
	l.Warn("the run is stopped past its deadline and is killed", "pid", p.pid)
	_ = unix.PidfdSendSignal(p.fd, unix.SIGKILL, nil, 0)
}

// stoppedProcess reports whether a process is stopped, from its state in
// /proc/PID/stat (proc_pid_stat(5)).
func stoppedProcess(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] == ')' {
			return i+2 < len(b) && (b[i+2] == 'T' || b[i+2] == 't')
		}
	}
	return false
}

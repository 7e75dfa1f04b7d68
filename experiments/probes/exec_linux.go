package probes

import (
	"context"
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownGroup starts a command as the head of a process group that dies with us.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// supervise waits until the process ends or ctx is done, kills its group, and
// reports whether it had not ended by itself. The process is not reaped yet when
// it returns, so that the group's number is still its own when it is killed.
func supervise(ctx context.Context, pid int) (killed bool) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for errors.Is(unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
		}
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		killed = true
		_ = unix.Kill(-pid, unix.SIGKILL)
		<-ended
	}
	_ = unix.Kill(-pid, unix.SIGKILL) // what it left in the background
	return killed
}

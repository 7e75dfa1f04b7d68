//go:build unix && !linux

package probes

import (
	"context"
	"syscall"
	"time"
)

// ownGroup starts a command as the head of a process group.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// supervise waits until the process ends or ctx is done, kills its group, and
// reports whether it had not ended by itself. Without waitid it asks for the
// group until only the dead head is left of it.
func supervise(ctx context.Context, pid int) (killed bool) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			_ = syscall.Kill(-pid, syscall.SIGKILL)
			return true
		case <-tick.C:
			if syscall.Kill(-pid, 0) != nil {
				return false
			}
		}
	}
}

package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/squall-chaos/squall/targets"
)

// handle holds on to one process, whatever becomes of its PID.
type handle struct {
	pid int
	fd  *os.File // pidfd, known to the poller
}

// open gets hold of the process of ref, or returns ErrGone.
func open(pid int, epoch string) (*handle, error) {
	gone := func() error { return fmt.Errorf("process: %d: %w", pid, targets.ErrGone) }
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) { // EINVAL: a thread of another process now
		return nil, gone()
	}
	if err != nil {
		return nil, fmt.Errorf("process: %d: %w", pid, os.NewSyscallError("pidfd_open", err))
	}
	h := &handle{pid, os.NewFile(uintptr(fd), "pidfd")}
	// What is read of the PID after it was opened is the opened process's, as long
	// as that process is alive at the end.
	st, err := readStat(pid)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && (st.epoch() != epoch || st.dead()), err == nil && h.ended():
		h.close()
		return nil, gone()
	case err != nil:
		h.close()
		return nil, fmt.Errorf("process: %w", err)
	}
	return h, nil
}

func (h *handle) close() { h.fd.Close() }

// ended reports whether the process, with all its threads, has ended
// (pidfd_open(2): the descriptor becomes readable).
func (h *handle) ended() bool {
	ended := true
	h.control(func(fd int) { ended = readable(fd) })
	return ended
}

// control calls f with the descriptor, unless it is closed.
func (h *handle) control(f func(fd int)) {
	if raw, err := h.fd.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { f(int(fd)) })
	}
}

func readable(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, 0)
		if !errors.Is(err, unix.EINTR) {
			return err == nil && n > 0
		}
	}
}

// signal sends sig; ErrGone when the process has ended.
func (h *handle) signal(sig syscall.Signal) error {
	var err error
	h.control(func(fd int) { err = unix.PidfdSendSignal(fd, sig, nil, 0) })
	switch {
	case errors.Is(err, unix.ESRCH):
		return fmt.Errorf("process: %d: %w", h.pid, targets.ErrGone)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("process: signal %d: %w: it belongs to another user: run Squall as that user or as root", h.pid, err)
	case err != nil:
		return fmt.Errorf("process: signal %d: %w", h.pid, err)
	}
	return nil
}

// wait blocks until the process has ended or ctx is done.
func (h *handle) wait(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = h.fd.SetReadDeadline(time.Unix(1, 0)) })
	defer func() {
		stop()
		_ = h.fd.SetReadDeadline(time.Time{}) // for whoever waits next
	}()
	raw, err := h.fd.SyscallConn()
	if err != nil {
		return err
	}
	err = raw.Read(func(fd uintptr) bool { return readable(int(fd)) })
	if ctx.Err() != nil && !h.ended() {
		return fmt.Errorf("process: wait for the end of %d: %w", h.pid, ctx.Err())
	}
	if h.ended() {
		return nil
	}
	return err
}

// interval is how often /proc is read while a stop or continue signal takes
// effect, of which the kernel tells only the parent.
const interval = time.Millisecond

// until reads the states of all threads until ok says so, ctx is done, or the
// process has ended, which is ErrGone.
func (h *handle) until(ctx context.Context, ok func(states []byte) bool) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if h.ended() {
			return fmt.Errorf("process: %d: %w", h.pid, targets.ErrGone)
		}
		states, err := threadStates(h.pid)
		if err == nil && ok(states) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("process: %d: threads are in states %q: %w", h.pid, states, ctx.Err())
		}
	}
}

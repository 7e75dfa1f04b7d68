package lab

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// reaper takes the exit status of every process of the lab, as PID 1 must, and
// tells hosts about theirs.
type reaper struct {
	mu    sync.Mutex
	owner map[int]*host // hosts by the pid of their first process
}

func newReaper() *reaper {
	r := &reaper{owner: map[int]*host{}}
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGCHLD)
	go func() {
		for range c {
			for r.one() {
			}
		}
	}()
	return r
}

// one reaps a process and reports whether there may be more.
func (r *reaper) one() bool {
	var ws syscall.WaitStatus
	r.mu.Lock()
	pid, err := syscall.Wait4(-1, &ws, syscall.WNOHANG, nil)
	h := r.owner[pid]
	delete(r.owner, pid)
	r.mu.Unlock()
	if err == syscall.EINTR {
		return true
	}
	if err != nil || pid <= 0 {
		return false
	}
	if h != nil {
		h.exited(pid, ws)
	}
	return true
}

// fork starts a process that h shall hear of, however soon it ends.
func (r *reaper) fork(h *host, fork func() (int, error)) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	pid, err := fork()
	if err == nil {
		r.owner[pid] = h
	}
	return pid, err
}

// adopt makes h hear of a child that was not forked for it. It must only be
// called while nothing is reaped, that is from exited.
func (r *reaper) adopt(h *host, pid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.owner[pid] = h
}

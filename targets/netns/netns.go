// Package netns opens sockets inside the network namespaces of targets, without
// executing anything there.
//
// The package is mechanism only. Dial connects to an address from within a
// namespace; a Dialer does so for a target's Site, with names resolved by a
// Resolver as the target would resolve them.
//
// A socket belongs to the namespace of the thread that created it for its whole
// life (network_namespaces(7)), so only its creation happens inside: on one
// thread a namespace, which is parked there, serves every dial, and is thrown
// away after a while without work. Connecting, waiting and all I/O are ordinary.
// Entering another namespace needs CAP_SYS_ADMIN (setns(2)); a target that
// shares our own namespace needs nothing.
package netns

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/squall-chaos/squall/targets"
)

// idle is how long a thread waits in a namespace for more work. While it waits,
// it keeps the namespace alive.
var idle = 5 * time.Second

// identity is what the kernel knows a namespace by, for as long as somebody
// holds it (namespaces(7)).
type identity struct{ dev, ino uint64 }

// parked are the threads that wait in namespaces.
var parked = struct {
	sync.Mutex
	threads map[identity]*thread
}{threads: make(map[identity]*thread)}

// thread makes sockets in one namespace.
type thread struct {
	id   identity
	work chan request
	busy int // requests sent and not yet answered; guarded by parked
}

type request struct {
	domain, kind int
	done         chan<- made
}

type made struct {
	fd  int
	err error
}

// socket creates a non-blocking socket in the namespace at path; an empty path
// is our own namespace.
func socket(ctx context.Context, path string, domain, kind int) (int, error) {
	if path == "" {
		return create(domain, kind)
	}
	ns, err := os.Open(path)
	if err != nil {
		return -1, explain("open", path, err)
	}
	id, err := identify(ns)
	if err != nil {
		ns.Close()
		return -1, explain("open", path, err)
	}
	if own, err := ownIdentity(); err == nil && own == id {
		ns.Close()
		return create(domain, kind)
	}
	fd, err := enter(id, ns).create(ctx, domain, kind)
	if err != nil {
		return -1, explain("enter", path, err)
	}
	return fd, nil
}

// enter returns the thread parked in ns, marked busy, and starts one if there is
// none. It takes over ns.
func enter(id identity, ns *os.File) *thread {
	parked.Lock()
	defer parked.Unlock()
	if t := parked.threads[id]; t != nil {
		ns.Close()
		t.busy++
		return t
	}
	t := &thread{id: id, work: make(chan request), busy: 1}
	parked.threads[id] = t
	go t.run(ns)
	return t
}

func (t *thread) create(ctx context.Context, domain, kind int) (int, error) {
	defer t.release()
	done := make(chan made, 1)
	select {
	case t.work <- request{domain, kind, done}:
	case <-ctx.Done():
		return -1, ctx.Err()
	}
	m := <-done // creating a socket does not block
	return m.fd, m.err
}

func (t *thread) release() {
	parked.Lock()
	defer parked.Unlock()
	t.busy--
}

// run finds a thread for the namespace. The process's first thread will not do:
// it cannot end, and /proc/self/ns shows its namespaces as the process's own.
func (t *thread) run(ns *os.File) {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		t.serve(ns)
		return
	}
	locked := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		close(locked)
		t.serve(ns)
	}()
	<-locked
	runtime.UnlockOSThread()
}

// serve makes sockets in the namespace until there was no work for a while. The
// goroutine ends with its thread locked, and so the runtime ends the thread: it
// never runs other goroutines from inside the namespace.
func (t *thread) serve(ns *os.File) {
	defer ns.Close()
	entered := os.NewSyscallError("setns", unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET))
	timer := time.NewTimer(idle)
	defer timer.Stop()
	for {
		select {
		case r := <-t.work:
			r.done <- r.make(entered)
			timer.Reset(idle)
		case <-timer.C:
			if t.leave() {
				return
			}
			timer.Reset(idle)
		}
	}
}

// leave forgets the thread unless somebody is about to use it.
func (t *thread) leave() bool {
	parked.Lock()
	defer parked.Unlock()
	if t.busy > 0 {
		return false
	}
	delete(parked.threads, t.id)
	return true
}

func (r request) make(entered error) made {
	if entered != nil {
		return made{-1, entered}
	}
	fd, err := create(r.domain, r.kind)
	return made{fd, err}
}

func create(domain, kind int) (int, error) {
	fd, err := unix.Socket(domain, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	return fd, os.NewSyscallError("socket", err)
}

func identify(ns *os.File) (identity, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(ns.Fd()), &st); err != nil {
		return identity{}, os.NewSyscallError("fstat", err)
	}
	return identity{uint64(st.Dev), st.Ino}, nil
}

func ownIdentity() (identity, error) {
	var st unix.Stat_t
	err := unix.Stat("/proc/thread-self/ns/net", &st)
	return identity{uint64(st.Dev), st.Ino}, err
}

// explain says what an error of the kernel means for the person who reads it.
func explain(doing, path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ESRCH):
		return fmt.Errorf("%s network namespace %s: %w", doing, path, errors.Join(targets.ErrGone, err))
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s network namespace %s: %w: another namespace needs CAP_SYS_ADMIN: run Squall as root", doing, path, err)
	}
	return fmt.Errorf("%s network namespace %s: %w", doing, path, err)
}

package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/squall-chaos/squall/targets"
)

// target is one process.
type target struct {
	driver *driver
	ref    targets.Ref
	pid    int
	name   string
}

var (
	_ targets.Lifecycle = (*target)(nil)
	_ targets.Restorer  = (*driver)(nil)
	_ targets.Noter     = (*driver)(nil)
)

func newTarget(d *driver, st stat) *target {
	return &target{d, st.ref(), st.pid, fmt.Sprintf("%s-%d", st.comm, st.pid)}
}

func (t *target) Ref() targets.Ref { return t.ref }

func (t *target) Name() string { return t.name }

func (t *target) open() (*handle, error) { return open(t.pid, t.ref.Epoch) }

// Site implements targets.Target. Its cgroup is that of the unified hierarchy if
// the process has one of its own there, else the deepest of the others.
func (t *target) Site(context.Context) (targets.Site, error) {
	h, err := t.open()
	if err != nil {
		return targets.Site{}, err
	}
	defer h.close()
	groups, err := readCgroups(t.pid)
	if err != nil {
		return targets.Site{}, fmt.Errorf("process: %w", err)
	}
	if h.ended() {
		return targets.Site{}, fmt.Errorf("process: %d: %w", t.pid, targets.ErrGone)
	}
	return targets.Site{PID: t.pid, NetNS: procPath(t.pid, "ns/net"), Cgroup: mainCgroup(groups), Root: procPath(t.pid, "root")}, nil
}

func mainCgroup(groups []cgroup) string {
	path := "/"
	for _, g := range groups {
		if g.Controllers == "" && g.Path != "/" {
			return g.Path
		}
		if len(g.Path) > len(path) {
			path = g.Path
		}
	}
	return path
}

// State implements targets.Lifecycle. Exit codes belong to a process's parent and
// are not known here.
func (t *target) State(context.Context) (targets.State, error) {
	h, err := t.open()
	if errors.Is(err, targets.ErrGone) {
		return targets.State{Status: targets.Gone, Detail: "/proc has no such process"}, nil
	}
	if err != nil {
		return targets.State{}, err
	}
	defer h.close()
	st, err := readStat(t.pid)
	if err != nil || st.dead() || h.ended() {
		return targets.State{Status: targets.Gone, Detail: "/proc has no such process"}, nil
	}
	s := targets.State{Status: targets.Running, PID: t.pid, StartedAt: st.startedAt(), Detail: fmt.Sprintf("/proc state %c", st.state)}
	if st.stopped() {
		s.Status = targets.Paused
	}
	return s, nil
}

// Signal implements targets.Lifecycle.
func (t *target) Signal(_ context.Context, sig syscall.Signal) error {
	h, err := t.open()
	if err != nil {
		return err
	}
	defer h.close()
	return h.signal(sig)
}

// Kill implements targets.Lifecycle. A supervisor of the process is free to start
// another one: the driver has no say in that.
func (t *target) Kill(ctx context.Context, sig syscall.Signal) error {
	h, err := t.open()
	if err != nil {
		return ignoreGone(err)
	}
	defer h.close()
	if err := h.signal(sig); err != nil {
		return ignoreGone(err)
	}
	return h.wait(ctx)
}

// Stop implements targets.Lifecycle with SIGTERM, and SIGKILL after grace.
func (t *target) Stop(ctx context.Context, grace time.Duration) error {
	h, err := t.open()
	if err != nil {
		return ignoreGone(err)
	}
	defer h.close()
	if grace > 0 {
		if err := h.signal(syscall.SIGTERM); err != nil {
			return ignoreGone(err)
		}
		patience, cancel := context.WithTimeout(ctx, grace)
		err := h.wait(patience)
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
	}
	if err := h.signal(syscall.SIGKILL); err != nil {
		return ignoreGone(err)
	}
	return h.wait(ctx)
}

// ignoreGone is for what is asked to end and has ended already.
func ignoreGone(err error) error {
	if errors.Is(err, targets.ErrGone) {
		return nil
	}
	return err
}

// Pause implements targets.Lifecycle with SIGSTOP and returns when every thread
// has stopped. Its parent can see that it stopped (SIGCHLD).
func (t *target) Pause(ctx context.Context) error {
	return t.switchTo(ctx, syscall.SIGSTOP, func(states []byte) bool {
		return len(bytes.Trim(states, "TtZXx")) == 0 && len(states) > 0
	})
}

// Unpause implements targets.Lifecycle with SIGCONT.
func (t *target) Unpause(ctx context.Context) error {
	return t.switchTo(ctx, syscall.SIGCONT, func(states []byte) bool { return !bytes.ContainsRune(states, 'T') })
}

func (t *target) switchTo(ctx context.Context, sig syscall.Signal, reached func(states []byte) bool) error {
	h, err := t.open()
	if err != nil {
		return err
	}
	defer h.close()
	if err := h.signal(sig); err != nil {
		return err
	}
	return h.until(ctx, reached)
}

// Restart implements targets.Lifecycle: the process is stopped and started again
// as Restore does it, and is another process then.
func (t *target) Restart(ctx context.Context, grace time.Duration) error {
	b, err := t.driver.Capture(ctx, t, false)
	if err != nil {
		return err
	}
	if err := t.Stop(ctx, grace); err != nil {
		return err
	}
	_, err = t.driver.Restore(ctx, t.ref, b)
	return err
}

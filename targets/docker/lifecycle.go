package docker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"golang.org/x/sys/unix"

	"github.com/squall-chaos/squall/targets"
)

// Signal implements targets.Lifecycle: it is a crash from outside. The signal
// goes from this kernel to the container's main process, past the engine, so that
// the engine sees a container that died by itself and its restart policy reacts.
// The engine's own kill would count as a stop by hand, after which no policy
// brings the container back.
//
// On another kernel, or without the right to signal the process, the engine's
// kill is used where it makes no difference, which is without a restart policy;
// with one, the error wraps ErrUnsupported. A container that does not run yields
// ErrGone. The kernel keeps a signal for a paused container until it goes on, and
// drops signals other than KILL and STOP that a container's first process does
// not handle (pid_namespaces(7)).
func (t *target) Signal(ctx context.Context, sig syscall.Signal) error {
	p, err := t.mainProcess(ctx)
	if err == nil {
		defer p.fd.Close()
		err = unix.PidfdSendSignal(int(p.fd.Fd()), sig, nil, 0)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ESRCH):
		return t.gone("it ended by itself")
	case errors.Is(err, targets.ErrElsewhere), errors.Is(err, unix.EPERM):
		return t.signalByEngine(ctx, sig, err)
	}
	return err
}

func (t *target) signalByEngine(ctx context.Context, sig syscall.Signal, why error) error {
	e, c, err := t.inspect(ctx)
	if err != nil {
		return err
	}
	if !c.HostConfig.RestartPolicy.IsNone() {
		return fmt.Errorf("docker: container %s: %w: a signal through the engine would switch off its restart policy %q,"+
			" and past the engine it cannot be sent (%w): run Squall as root beside the engine",
			t.name, targets.ErrUnsupported, c.HostConfig.RestartPolicy.Name, why)
	}
	err = e.ContainerKill(ctx, t.ref.ID, strconv.Itoa(int(sig)))
	if errdefs.IsConflict(err) {
		return t.gone("it does not run")
	}
	return t.failed(ctx, e, "signal", err)
}

// Kill implements targets.Lifecycle through the engine, which then keeps the
// container down whatever its restart policy is. A container that removes itself
// at its end is gone afterwards.
func (t *target) Kill(ctx context.Context, sig syscall.Signal) error {
	e, c, err := t.inspect(ctx)
	if err != nil || !c.State.Running {
		return err
	}
	if !c.State.Restarting {
		if err := t.killAndWait(ctx, e, sig); err != nil {
			return err
		}
		c, err = e.inspect(ctx, t.ref.ID)
		if errdefs.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return t.failed(ctx, e, "inspect", err)
		}
	}
	if !c.State.Running {
		return nil
	}
	// The engine is bringing it back: a container with a stop signal of its own is
	// restarted by its policy after any other signal but KILL.
	return t.Stop(ctx, 0)
}

// killAndWait sends sig and returns when the container has ended. The engine
// tells when; it is asked before the signal is sent, as a container that is
// brought back at once would be seen running again.
func (t *target) killAndWait(ctx context.Context, e *engine, sig syscall.Signal) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the client's goroutine
	done, failed := e.ContainerWait(ctx, t.ref.ID, container.WaitConditionNextExit)
	err := e.ContainerKill(ctx, t.ref.ID, strconv.Itoa(int(sig)))
	switch {
	case errdefs.IsConflict(err): // it does not run any more
		return nil
	case err != nil:
		return t.failed(ctx, e, "kill", err)
	}
	select {
	case <-done:
		return nil
	case err := <-failed:
		if errdefs.IsNotFound(err) {
			return nil
		}
		return t.failed(ctx, e, "wait for the end of", err)
	}
}

// Stop implements targets.Lifecycle. The engine counts grace in whole seconds, so
// it is rounded up.
func (t *target) Stop(ctx context.Context, grace time.Duration) error {
	e, err := t.driver.connect(ctx)
	if err != nil {
		return err
	}
	err = e.ContainerStop(ctx, t.ref.ID, container.StopOptions{Timeout: seconds(grace)})
	return t.failed(ctx, e, "stop", err)
}

func seconds(d time.Duration) *int {
	s := int(math.Ceil(d.Seconds()))
	return &s
}

// Pause implements targets.Lifecycle. A container that does not run yields ErrGone.
func (t *target) Pause(ctx context.Context) error {
	e, err := t.driver.connect(ctx)
	if err != nil {
		return err
	}
	err = e.ContainerPause(ctx, t.ref.ID)
	if err == nil || errdefs.IsNotFound(err) {
		return t.failed(ctx, e, "pause", err)
	}
	// Engines differ in how they refuse; the state tells.
	c, failure := e.inspect(ctx, t.ref.ID)
	switch {
	case failure != nil:
		return t.failed(ctx, e, "pause", errors.Join(err, failure))
	case c.State.Paused:
		return nil
	case !c.State.Running:
		return t.gone("it does not run (" + string(c.State.Status) + ")")
	}
	return t.failed(ctx, e, "pause", err)
}

// Unpause implements targets.Lifecycle. It is done with a container that is not
// paused, whether it runs or not.
func (t *target) Unpause(ctx context.Context) error {
	e, err := t.driver.connect(ctx)
	if err != nil {
		return err
	}
	err = e.ContainerUnpause(ctx, t.ref.ID)
	if err == nil || errdefs.IsNotFound(err) {
		return t.failed(ctx, e, "unpause", err)
	}
	c, failure := e.inspect(ctx, t.ref.ID)
	if failure == nil && !c.State.Paused {
		return nil
	}
	return t.failed(ctx, e, "unpause", errors.Join(err, failure))
}

// Restart implements targets.Lifecycle through the engine. Grace is rounded up to
// whole seconds.
func (t *target) Restart(ctx context.Context, grace time.Duration) error {
	e, err := t.driver.connect(ctx)
	if err != nil {
		return err
	}
	err = e.ContainerRestart(ctx, t.ref.ID, container.StopOptions{Timeout: seconds(grace)})
	return t.failed(ctx, e, "restart", err)
}

// Remove implements targets.Remover. All volumes stay, anonymous ones too.
func (t *target) Remove(ctx context.Context) error {
	e, err := t.driver.connect(ctx)
	if err != nil {
		return err
	}
	err = e.ContainerRemove(ctx, t.ref.ID, container.RemoveOptions{Force: true})
	if errdefs.IsConflict(err) { // somebody else removes it already
		err = e.removed(ctx, t.ref.ID)
	}
	if errdefs.IsNotFound(err) {
		return nil
	}
	return t.failed(ctx, e, "remove", err)
}

// removed waits until the engine knows the container no more.
func (e *engine) removed(ctx context.Context, id string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done, failed := e.ContainerWait(ctx, id, container.WaitConditionRemoved)
	select {
	case <-done:
		return nil
	case err := <-failed:
		return err
	}
}

package lab

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/squall-chaos/squall/targets"
)

// Between two looks at a host's processes while something is awaited of them.
const (
	lookFirst   = 200 * time.Microsecond
	lookSlowest = 20 * time.Millisecond
)

var errStartedAgain = errors.New("the host was started again meanwhile")

// signal sends sig to the first process and leaves the rest to the policy.
func (h *host) signal(sig syscall.Signal) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.main == 0 {
		return fmt.Errorf("host %s does not run: %w", h.plan.Name, targets.ErrGone)
	}
	if err := syscall.Kill(h.main, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

// kill takes the host down with sig and holds it down.
func (h *host) kill(ctx context.Context, sig syscall.Signal) error {
	h.hold()
	asked := map[int]bool{}
	return h.until(ctx, func() (bool, error) { return h.killLocked(sig, asked) })
}

// stop asks first, with the host's own stop signal, and kills after grace.
func (h *host) stop(ctx context.Context, grace time.Duration) error {
	if grace > 0 {
		patient, cancel := context.WithTimeout(ctx, grace)
		err := h.kill(patient, h.plan.StopSignal)
		cancel()
		if err == nil || ctx.Err() != nil || errors.Is(err, errStartedAgain) {
			return err
		}
	}
	return h.kill(ctx, syscall.SIGKILL)
}

// hold keeps the policy from starting the host.
func (h *host) hold() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held = true
	h.cancelRetry()
}

// killLocked sends sig once to every process that was not asked yet, and SIGKILL
// to all that outlive the first one. It reports whether none is left.
func (h *host) killLocked(sig syscall.Signal, asked map[int]bool) (bool, error) {
	if !h.held {
		return false, errStartedAgain
	}
	left := h.members()
	if h.main == 0 {
		sig = syscall.SIGKILL
	}
	for _, m := range left {
		if sig == syscall.SIGKILL || !asked[m.pid] {
			_ = syscall.Kill(m.pid, sig)
		}
		asked[m.pid] = true
	}
	return h.main == 0 && len(left) == 0, nil
}

// pause stops all members. What forks meanwhile is found by the next look: done
// is when two looks in a row find the same processes, all of them still.
func (h *host) pause(ctx context.Context) error {
	var before map[int]bool
	return h.until(ctx, func() (bool, error) {
		if h.main == 0 {
			return false, fmt.Errorf("host %s does not run: %w", h.plan.Name, targets.ErrGone)
		}
		now, same := map[int]bool{}, true
		for _, m := range h.members() {
			now[m.pid] = true
			same = same && before[m.pid]
			if !m.still() {
				same = false
				_ = syscall.Kill(m.pid, syscall.SIGSTOP)
			}
		}
		before = now
		return same, nil
	})
}

// unpause lets all members go on.
func (h *host) unpause(ctx context.Context) error {
	return h.until(ctx, func() (bool, error) {
		if h.main == 0 {
			return false, fmt.Errorf("host %s does not run: %w", h.plan.Name, targets.ErrGone)
		}
		going := true
		for _, m := range h.members() {
			if m.stopped() {
				going = false
				_ = syscall.Kill(m.pid, syscall.SIGCONT)
			}
		}
		return going, nil
	})
}

// until repeats step, with the host locked, until it is done or fails. It looks
// again at once when the first process ends.
func (h *host) until(ctx context.Context, step func() (bool, error)) error {
	for wait := lookFirst; ; wait = min(2*wait, lookSlowest) {
		h.mu.Lock()
		done, err := step()
		ended := h.changed
		down := h.main == 0
		h.mu.Unlock()
		if done || err != nil {
			return err
		}
		if down {
			ended = nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("host %s: %w", h.plan.Name, ctx.Err())
		case <-ended:
		case <-time.After(wait):
		}
	}
}

func (h *host) restart(ctx context.Context, grace time.Duration) error {
	if err := h.stop(ctx, grace); err != nil && !errors.Is(err, errStartedAgain) {
		return err
	}
	return h.start()
}

package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/squall-chaos/squall/targets"
)

// Restore implements targets.Restorer. It does nothing when the process still
// runs, or when as many of its kin run as before and one of them is new: then its
// supervisor brought it back, and the new one is the target now. Kin is of the
// same executable, arguments, working directory and user.
//
// Otherwise it is started with everything that was captured, in a session of its
// own. It is a child of this process and outlives it; while both live, this
// process reaps it.
func (d *driver) Restore(ctx context.Context, ref targets.Ref, b targets.Blueprint) (targets.Ref, error) {
	var p blueprint
	if err := json.Unmarshal(b, &p); err != nil || p.PID == 0 {
		return ref, fmt.Errorf("process: the blueprint of %s is not readable: %w", ref, err)
	}
	if h, err := open(p.PID, p.Epoch); err == nil {
		defer h.close()
		if st, err := readStat(p.PID); err == nil && st.stopped() && !p.Paused {
			return ref, h.signal(syscall.SIGCONT)
		}
		return ref, nil
	} else if !errors.Is(err, targets.ErrGone) {
		return ref, err
	}
	d.mu.Lock() // two at once would both take the same one, or both start one too many
	defer d.mu.Unlock()
	back, found, err := d.broughtBack(p)
	if err != nil {
		return ref, fmt.Errorf("process: %w", err)
	}
	if !found {
		if err := ctx.Err(); err != nil {
			return ref, err
		}
		if back, err = p.start(); err != nil {
			return ref, fmt.Errorf("process: start %s again: %w", strings.Join(p.Kin.Argv, " "), err)
		}
	}
	d.taken[back.key()] = p.key()
	return back.ref(), nil
}

// broughtBack looks for a process that somebody else started in the place of p.
func (d *driver) broughtBack(p blueprint) (stat, bool, error) {
	if _, boot, _ := strings.Cut(p.Epoch, "@"); boot != bootID() {
		p.Captured, p.Peers = 0, nil // ticks of another boot
	}
	now, err := p.Kin.all()
	if err != nil {
		return stat{}, false, err
	}
	if len(now) < len(p.Peers)+1 {
		return stat{}, false, nil
	}
	now = slices.DeleteFunc(now, func(st stat) bool {
		owner, taken := d.taken[st.key()]
		return st.start < p.Captured || slices.Contains(p.Peers, st.key()) || taken && owner != p.key()
	})
	if len(now) == 0 {
		return stat{}, false, nil
	}
	return slices.MaxFunc(now, func(a, b stat) int { return int(int64(a.start) - int64(b.start)) }), true, nil
}

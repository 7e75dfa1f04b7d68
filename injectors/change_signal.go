package injectors

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/squall-chaos/squall/targets"
)

// signalled sends one signal. What it does is the target's own business, so
// there is nothing to undo.
type signalled struct {
	subject
	Signal syscall.Signal `json:"signal"`
	Caught string         `json:"caught,omitempty"` // how the target meant to take it, read before it was sent
}

func init() { registerChange(func() change { return new(signalled) }) }

func (*signalled) kind() string { return "signal" }

func (s *signalled) resource() string { return s.state() }

func (s *signalled) describe() (do, undo string) {
	return fmt.Sprintf("send %s to %s", unix.SignalName(s.Signal), s.Name), "none: a signal cannot be taken back"
}

func (s *signalled) apply(ctx context.Context, w *world) error {
	b, err := w.open(ctx, s.Ref)
	if err != nil {
		return fmt.Errorf("signal %s: %w", s.Name, err)
	}
	if site, err := b.Site(ctx); err == nil {
		s.Caught = disposition(site.PID, s.Signal)
	}
	return b.Signal(ctx, s.Signal)
}

// evidence is the end of the incarnation for a signal that ends it, and else
// that the process has a handler for what it was sent.
func (s *signalled) evidence(ctx context.Context, w *world) (Evidence, error) {
	e := Evidence{Target: s.Name, Asked: unix.SignalName(s.Signal) + " taken"}
	if s.Caught == "handled" {
		e.Proven, e.Measured = true, "sent, and the process has a handler for it"
		return e, nil
	}
	if s.Caught == "ignored" {
		e.Measured = "sent, and the process ignores it"
		return e, nil
	}
	d := down{subject: s.subject}
	over, err := await(ctx, biteTime/5, func(ctx context.Context) (bool, error) { return d.ended(ctx, w) })
	if err != nil {
		return e, err
	}
	if e.Proven = over; over {
		e.Measured = "ended by it"
	} else {
		e.Measured = "sent, and no effect of it is to be seen"
	}
	return e, nil
}

func (s *signalled) lost(context.Context, *world) (Loss, error) { return Loss{}, nil }

func (s *signalled) revert(context.Context, *world) (targets.Ref, error) { return targets.Ref{}, nil }

func (s *signalled) residue(context.Context, *world) ([]string, error) { return nil, nil }

// disposition reads from /proc/PID/status (proc_pid_status(5)) what a process
// does with a signal: "handled", "ignored", or "" for its default action or when
// it cannot be read.
func disposition(pid int, sig syscall.Signal) string {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return ""
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		key, value, _ := strings.Cut(sc.Text(), ":")
		mask, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		if err != nil || mask&(1<<(sig-1)) == 0 {
			continue
		}
		switch key {
		case "SigIgn":
			return "ignored"
		case "SigCgt":
			return "handled"
		}
	}
	return ""
}

// parseSignal reads a signal's name with or without SIG, or its number.
func parseSignal(text string) (syscall.Signal, error) {
	if n, err := strconv.Atoi(text); err == nil && n > 0 && n < 65 {
		return syscall.Signal(n), nil
	}
	name := strings.ToUpper(text)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	if sig := unix.SignalNum(name); sig != 0 {
		return sig, nil
	}
	return 0, errors.New("signal " + strconv.Quote(text) + " is not known: write for example KILL, TERM or HUP")
}

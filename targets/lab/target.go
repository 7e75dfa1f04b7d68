package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/squall-chaos/squall/targets"
)

// Target is one host of a running lab. Its reference is that of the incarnation
// that was found; its methods act on the host in whatever incarnation it is.
type Target struct {
	client *client
	host   string
	ref    targets.Ref
}

var (
	_ targets.Lifecycle = (*Target)(nil)
	_ targets.Dialer    = (*Target)(nil)
)

// Ref identifies the incarnation that was found.
func (t *Target) Ref() targets.Ref { return t.ref }

// Name is the host's name.
func (t *Target) Name() string { return t.host }

// Site tells where the host's first process lives. Its network namespace stays
// the same for as long as the lab runs, across restarts of the host.
func (t *Target) Site(ctx context.Context) (targets.Site, error) {
	_, pid, err := t.look(ctx)
	if err != nil {
		return targets.Site{}, err
	}
	if pid == 0 {
		return targets.Site{}, fmt.Errorf("lab host %s does not run: %w", t.host, targets.ErrGone)
	}
	proc := "/proc/" + strconv.Itoa(pid)
	cgroup, err := os.ReadFile(proc + "/cgroup")
	if err != nil {
		return targets.Site{}, fmt.Errorf("lab host %s: %w", t.host, errors.Join(err, targets.ErrGone))
	}
	return targets.Site{PID: pid, NetNS: proc + "/ns/net", Cgroup: cgroupPath(string(cgroup)), Root: proc + "/root"}, nil
}

// cgroupPath is the path in the unified hierarchy, or in the first one where
// there is none (cgroups(7), /proc/PID/cgroup).
func cgroupPath(table string) string {
	first := ""
	for line := range strings.Lines(table) {
		id, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		_, path, ok := strings.Cut(rest, ":")
		if id == "0" && ok {
			return path
		}
		if first == "" {
			first = path
		}
	}
	return first
}

// State reads the present state; Gone when the whole lab is.
func (t *Target) State(ctx context.Context) (targets.State, error) {
	s, pid, err := t.look(ctx)
	if errors.Is(err, targets.ErrGone) {
		return targets.State{Status: targets.Gone, Detail: "its lab is gone"}, nil
	}
	if err != nil {
		return targets.State{}, err
	}
	return targets.State{
		Status: s.Status, PID: pid, ExitCode: s.ExitCode, Restarts: s.Restarts,
		StartedAt: s.Started, Detail: s.Detail,
	}, nil
}

// look asks for the state, with the pid of the first process as this process
// sees it; 0 if it does not run.
func (t *Target) look(ctx context.Context) (hostState, int, error) {
	r, pidfd, err := t.client.callFile(ctx, request{Op: opState, Host: t.host})
	if err != nil {
		return hostState{}, 0, err
	}
	if pidfd == nil {
		return r.Hosts[0], 0, nil
	}
	defer func() { _ = pidfd.Close() }()
	pid, err := pidOf(pidfd)
	return r.Hosts[0], pid, err
}

// pidOf translates a pidfd into a pid of this process's namespace, which the
// kernel tells in /proc/self/fdinfo (pidfd_open(2)); 0 when the process is gone.
func pidOf(pidfd *os.File) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", pidfd.Fd()))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(line, "Pid:"); ok {
			pid, err := strconv.Atoi(strings.TrimSpace(v))
			return max(pid, 0), err
		}
	}
	return 0, errors.New("this kernel does not tell the pid of a pidfd: it is older than 5.3")
}

func (t *Target) do(ctx context.Context, q request) error {
	q.Host = t.host
	_, err := t.client.call(ctx, q)
	return err
}

// Signal sends sig to the host's first process. If that ends, the restart policy
// reacts.
func (t *Target) Signal(ctx context.Context, sig syscall.Signal) error {
	return t.do(ctx, request{Op: opSignal, Signal: sig})
}

// Kill sends sig to all processes of the host, waits for the first one to end,
// kills what is then left, and keeps the host down until it is started.
func (t *Target) Kill(ctx context.Context, sig syscall.Signal) error {
	return t.do(ctx, request{Op: opKill, Signal: sig})
}

// Stop sends the host's stop signal to all its processes, kills what is left
// after grace, and keeps the host down until it is started.
func (t *Target) Stop(ctx context.Context, grace time.Duration) error {
	return t.do(ctx, request{Op: opStop, Grace: grace})
}

// Start starts the host's command again if it does not run. It does not wait
// until the host is ready.
func (t *Target) Start(ctx context.Context) error {
	return t.do(ctx, request{Op: opStart})
}

// Pause stops all processes of the host and returns when each stands still.
func (t *Target) Pause(ctx context.Context) error { return t.do(ctx, request{Op: opPause}) }

// Unpause lets all processes of the host go on.
func (t *Target) Unpause(ctx context.Context) error { return t.do(ctx, request{Op: opUnpause}) }

// Restart stops the host as Stop does and starts it again.
func (t *Target) Restart(ctx context.Context, grace time.Duration) error {
	return t.do(ctx, request{Op: opRestart, Grace: grace})
}

// DialContext connects from inside the host's network; localhost is the host.
func (t *Target) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return t.client.dial(ctx, t.host, network, address)
}

package docker

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"golang.org/x/sys/unix"

	"github.com/squall-chaos/squall/targets"
	"github.com/squall-chaos/squall/targets/netns"
)

// target is a container. It stays usable over restarts of the container; Ref is
// the incarnation that was found.
type target struct {
	driver *driver
	ref    targets.Ref
	name   string

	mu     sync.Mutex
	origin *origin // where connections start; nil until the first
}

// origin is a dialer together with the process it depends on.
type origin struct {
	process *os.File // pidfd
	dialer  netns.Dialer
}

var (
	_ targets.Lifecycle = (*target)(nil)
	_ targets.Remover   = (*target)(nil)
	_ targets.Dialer    = (*target)(nil)
	_ targets.Restorer  = (*driver)(nil)
	_ targets.Noter     = (*driver)(nil)
)

func newTarget(d *driver, c container.InspectResponse) *target {
	return &target{driver: d, ref: refOf(c), name: strings.TrimPrefix(c.Name, "/")}
}

func refOf(c container.InspectResponse) targets.Ref {
	return targets.Ref{Driver: name, ID: c.ID, Epoch: c.State.StartedAt}
}

func (t *target) Ref() targets.Ref { return t.ref }

func (t *target) Name() string { return t.name }

// inspect reads the container as it is now.
func (t *target) inspect(ctx context.Context) (*engine, container.InspectResponse, error) {
	e, err := t.driver.connect(ctx)
	if err != nil {
		return nil, container.InspectResponse{}, err
	}
	c, err := e.inspect(ctx, t.ref.ID)
	return e, c, t.failed(ctx, e, "inspect", err)
}

// failed wraps an error of doing something to the container.
func (t *target) failed(ctx context.Context, e *engine, doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errdefs.IsNotFound(err):
		return t.gone("it does not exist any more")
	}
	return e.fail(ctx, doing+" "+t.name, err)
}

func (t *target) gone(why string) error {
	return fmt.Errorf("docker: container %s: %s: %w", t.name, why, targets.ErrGone)
}

// Site implements targets.Target.
func (t *target) Site(ctx context.Context) (targets.Site, error) {
	p, err := t.mainProcess(ctx)
	if err != nil {
		return targets.Site{}, err
	}
	p.fd.Close()
	return p.site, nil
}

// DialContext implements targets.Dialer.
func (t *target) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	o, err := t.dialFrom(ctx)
	if err != nil {
		return nil, err
	}
	return o.dialer.DialContext(ctx, network, address)
}

// dialFrom asks the engine only when the container's main process is another one
// than last time, as probes dial many times a second.
func (t *target) dialFrom(ctx context.Context) (*origin, error) {
	t.mu.Lock()
	o := t.origin
	t.mu.Unlock()
	if o != nil && alive(o.process) {
		return o, nil
	}
	p, err := t.mainProcess(ctx)
	if err != nil {
		return nil, err
	}
	o = &origin{p.fd, netns.Dialer{Site: p.site}}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.origin = o // the old one's descriptor is closed when nobody uses it any more
	return o, nil
}

// alive reports whether the process of a pidfd runs (pidfd_open(2): it becomes
// readable when the process ends).
func alive(pidfd *os.File) bool {
	fds := []unix.PollFd{{Fd: int32(pidfd.Fd()), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, 0)
		if err != unix.EINTR {
			return err == nil && n == 0
		}
	}
}

// process is the main process of a container on this kernel.
type process struct {
	fd   *os.File // pidfd; closed by whoever gets the process
	site targets.Site
}

// mainProcess finds the container's main process. It returns ErrGone when the
// container does not run, and ErrElsewhere when it does so on another kernel.
func (t *target) mainProcess(ctx context.Context) (process, error) {
	for first := true; ; first = false {
		e, c, err := t.inspect(ctx)
		if err != nil {
			return process{}, err
		}
		if !c.State.Running || c.State.Restarting || c.State.Pid == 0 {
			return process{}, t.gone("it does not run (" + string(c.State.Status) + ")")
		}
		if !e.endpoint.local() {
			return process{}, fmt.Errorf("docker: container %s: the engine is at %s: %w", t.name, e.endpoint.host, targets.ErrElsewhere)
		}
		p, err := openProcess(c)
		if err == nil || !first {
			return p, err
		}
		// It may have ended in between; then the engine knows by now.
	}
}

// openProcess proves that the process the engine names is the container's own:
// the engine may number processes in another PID namespace or another kernel.
func openProcess(c container.InspectResponse) (process, error) {
	elsewhere := func(why string) error {
		return fmt.Errorf("docker: container %s: process %d %s: %w", strings.TrimPrefix(c.Name, "/"), c.State.Pid, why, targets.ErrElsewhere)
	}
	fd, err := unix.PidfdOpen(c.State.Pid, 0)
	if err != nil {
		return process{}, elsewhere("is not visible here")
	}
	p := process{fd: os.NewFile(uintptr(fd), "pidfd")}
	cgroups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", c.State.Pid))
	group, ours := cgroupOf(string(cgroups), c.ID)
	if err != nil || !ours || !alive(p.fd) {
		p.fd.Close()
		return process{}, elsewhere("is not the container's here")
	}
	proc := fmt.Sprintf("/proc/%d", c.State.Pid)
	p.site = targets.Site{PID: c.State.Pid, NetNS: proc + "/ns/net", Cgroup: group, Root: proc + "/root"}
	return p, nil
}

// cgroupOf finds the path of the container's cgroup in the text of
// /proc/PID/cgroup: the unified hierarchy's, if the container has one there, else
// that of the first controller (cgroups(7)).
func cgroupOf(text, id string) (path string, found bool) {
	for line := range strings.Lines(text) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(fields) != 3 || !strings.Contains(fields[2], id) {
			continue
		}
		if fields[0] == "0" {
			return fields[2], true
		}
		if !found {
			path, found = fields[2], true
		}
	}
	return path, found
}

// State implements targets.Lifecycle.
func (t *target) State(ctx context.Context) (targets.State, error) {
	e, err := t.driver.connect(ctx)
	if err != nil {
		return targets.State{}, err
	}
	c, err := e.inspect(ctx, t.ref.ID)
	if errdefs.IsNotFound(err) {
		return targets.State{Status: targets.Gone, Detail: "the engine knows no such container"}, nil
	}
	if err != nil {
		return targets.State{}, t.failed(ctx, e, "inspect", err)
	}
	return e.stateOf(c), nil
}

func (e *engine) stateOf(c container.InspectResponse) targets.State {
	s := targets.State{Restarts: c.RestartCount, Detail: "engine says " + string(c.State.Status)}
	switch c.State.Status {
	case container.StateRunning:
		s.Status = targets.Running
	case container.StatePaused:
		s.Status = targets.Paused
	case container.StateRestarting:
		s.Status = targets.Restarting
	case container.StateCreated:
		s.Status = targets.Created
	default: // exited, dead, removing
		s.Status = targets.Exited
	}
	if h := c.State.Health; h != nil && h.Status != container.NoHealthcheck {
		s.Health = string(h.Status)
	}
	if s.Status == targets.Exited || s.Status == targets.Restarting {
		s.ExitCode = c.State.ExitCode
		s.Detail += fmt.Sprintf(" with code %d", c.State.ExitCode)
	}
	if c.State.OOMKilled {
		s.Detail += ", out of memory"
	}
	if c.State.Error != "" {
		s.Detail += ": " + c.State.Error
	}
	s.StartedAt = started(c)
	if c.State.Running && c.State.Pid > 0 && e.endpoint.local() {
		if p, err := openProcess(c); err == nil {
			p.fd.Close()
			s.PID = p.site.PID
		}
	}
	return s
}

// started is zero for a container that never ran.
func started(c container.InspectResponse) time.Time {
	at, err := time.Parse(time.RFC3339Nano, c.State.StartedAt)
	if err != nil || at.Year() <= 1 {
		return time.Time{}
	}
	return at
}

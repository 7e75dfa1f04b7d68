// Package docker finds and drives containers of a Docker engine.
//
// New returns the driver; a Selector is what files write under "docker". Targets
// are containers, identified by their full ID and the time they were started.
// What they can do is in targets.Lifecycle, targets.Remover and targets.Dialer;
// the driver is a targets.Restorer and brings removed containers back too.
//
// The package pulls no images, executes nothing in containers and needs no docker
// command. It talks to the engine that the docker command would talk to. Being on
// the engine's own kernel is needed only for Site, DialContext and for signals
// that the engine must not know of.
package docker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"golang.org/x/sync/errgroup"

	"github.com/squall-chaos/squall/targets"
)

// name is the driver's key in files and references.
const name = "docker"

// roleLabel marks containers that are parts of Squall itself.
const roleLabel = "squall.role"

// parallel is how many containers are inspected at once.
const parallel = 16

// Options say which engine to talk to. The zero value means the one that the
// docker command would talk to: DOCKER_HOST, else DOCKER_CONTEXT, else the current
// context of the configuration folder (DOCKER_CONFIG, ~/.docker), else the
// default socket.
type Options struct {
	Host string // such as unix:///run/docker.sock or tcp://10.0.0.5:2376; TLS as for DOCKER_HOST
}

type driver struct {
	options Options
	self    func() []string // IDs of the containers this process runs in

	mu     sync.Mutex
	engine *engine // nil until one answered
}

// New returns the driver for containers. It does not touch the engine: an engine
// that is missing is an error of the first call that needs it.
func New(o Options) targets.Driver {
	return &driver{options: o, self: sync.OnceValue(ownContainers)}
}

func (*driver) Name() string { return name }

func (*driver) Doc() string {
	return "containers of a Docker engine, by name, id, image, label, compose project and service, or network"
}

func (*driver) Selector() targets.Selector { return &Selector{} }

// Find implements targets.Driver. It returns running and paused containers.
func (d *driver) Find(ctx context.Context, sel targets.Selector) ([]targets.Target, error) {
	s, ok := sel.(*Selector)
	if !ok {
		return nil, fmt.Errorf("docker: %T is not a selector of containers", sel)
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("docker: %w", err)
	}
	e, err := d.connect(ctx)
	if err != nil {
		return nil, err
	}
	list, err := e.ContainerList(ctx, container.ListOptions{})
	if err != nil {
		return nil, e.fail(ctx, "list containers", err)
	}
	list = slices.DeleteFunc(list, func(c container.Summary) bool { return !d.eligible(c) || !s.matches(c) })
	return d.inspectAll(ctx, e, list)
}

// eligible reports whether c may be disturbed at all.
func (d *driver) eligible(c container.Summary) bool {
	if _, ours := c.Labels[roleLabel]; ours || slices.Contains(d.self(), c.ID) {
		return false
	}
	return c.State == container.StateRunning || c.State == container.StatePaused
}

// inspectAll makes targets of what was listed, leaving out what went away since.
func (d *driver) inspectAll(ctx context.Context, e *engine, list []container.Summary) ([]targets.Target, error) {
	found := make([]targets.Target, len(list))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, c := range list {
		group.Go(func() error {
			info, err := e.inspect(ctx, c.ID)
			if errdefs.IsNotFound(err) {
				return nil
			}
			if err != nil {
				return e.fail(ctx, "inspect "+c.ID, err)
			}
			if info.State.Running {
				found[i] = newTarget(d, info)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(t targets.Target) bool { return t == nil })
	slices.SortFunc(found, func(a, b targets.Target) int { return strings.Compare(a.Name(), b.Name()) })
	return found, nil
}

// Open implements targets.Driver. It finds containers in any state.
func (d *driver) Open(ctx context.Context, ref targets.Ref) (targets.Target, error) {
	e, err := d.connect(ctx)
	if err != nil {
		return nil, err
	}
	info, err := e.inspect(ctx, ref.ID)
	if errdefs.IsNotFound(err) {
		return nil, fmt.Errorf("docker: container %s: %w", short(ref.ID), targets.ErrGone)
	}
	if err != nil {
		return nil, e.fail(ctx, "inspect "+short(ref.ID), err)
	}
	t := newTarget(d, info)
	if err := targets.Check(ref, t.ref); err != nil {
		return nil, fmt.Errorf("docker: container %s: %w", t.name, err)
	}
	return t, nil
}

// short is the form in which people read container IDs.
func short(id string) string { return id[:min(len(id), 12)] }

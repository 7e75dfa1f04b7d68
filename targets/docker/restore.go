package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/versions"

	"github.com/squall-chaos/squall/targets"
)

// Restore implements targets.Restorer. A container that still exists is started,
// and unpaused or paused as it was. One that is gone is made anew from its
// blueprint under its old name, unless somebody else (Compose, an orchestrator)
// made one of that name that runs: then that is the target now. A container that
// an earlier Restore made and did not get to start is recognised by its name and
// configuration, completed and started.
//
// It returns ErrGone when there is nothing to make the container from, and waits
// while the engine itself is restarting or removing it.
func (d *driver) Restore(ctx context.Context, ref targets.Ref, b targets.Blueprint) (targets.Ref, error) {
	var p blueprint
	if err := json.Unmarshal(b, &p); err != nil || p.ID == "" {
		return ref, fmt.Errorf("docker: the blueprint of %s is not readable: %w", ref, err)
	}
	e, err := d.connect(ctx)
	if err != nil {
		return ref, err
	}
	id, err := e.restore(ctx, p)
	if err != nil {
		return ref, e.fail(ctx, "bring back "+p.Name, err)
	}
	c, err := e.inspect(ctx, id)
	if err != nil {
		return ref, e.fail(ctx, "bring back "+p.Name, err)
	}
	return refOf(c), nil
}

// restore returns the ID of the container that runs in the end.
func (e *engine) restore(ctx context.Context, p blueprint) (string, error) {
	c, err := e.settled(ctx, p.ID)
	if err == nil {
		return c.ID, e.run(ctx, c, p)
	}
	if !errdefs.IsNotFound(err) {
		return "", err
	}
	if p.Recipe == nil {
		return "", fmt.Errorf("somebody removed it: %w", targets.ErrGone)
	}
	c, err = e.settled(ctx, p.Name)
	switch {
	case errdefs.IsNotFound(err):
		return e.remake(ctx, p)
	case err != nil:
		return "", err
	case c.State.Running:
		return c.ID, nil
	case !p.Recipe.made(c):
		return "", fmt.Errorf("its name is taken by container %s, which is another one and does not run: start it, or remove it and run squall recover", short(c.ID))
	}
	return c.ID, e.finish(ctx, c, p)
}

// settled inspects a container, once the engine is neither restarting nor
// removing it.
func (e *engine) settled(ctx context.Context, id string) (container.InspectResponse, error) {
	for {
		c, err := e.inspect(ctx, id)
		switch {
		case err != nil:
			return c, err
		case c.State.Status == container.StateRemoving:
			if err := e.removed(ctx, c.ID); err != nil && !errdefs.IsNotFound(err) {
				return c, err
			}
		case c.State.Restarting:
			if err := pause(ctx, 50*time.Millisecond); err != nil { // no event tells that it gave up
				return c, fmt.Errorf("the engine keeps restarting it (code %d): %w", c.State.ExitCode, err)
			}
		default:
			return c, nil
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run makes an existing container run as it did.
func (e *engine) run(ctx context.Context, c container.InspectResponse, p blueprint) error {
	switch {
	case c.State.Paused && !p.Paused:
		return e.ContainerUnpause(ctx, c.ID)
	case c.State.Running:
		return nil
	}
	if err := e.ContainerStart(ctx, c.ID, container.StartOptions{}); err != nil {
		return err
	}
	if p.Paused {
		return e.ContainerPause(ctx, c.ID)
	}
	return nil
}

// remake makes the container anew and starts it.
func (e *engine) remake(ctx context.Context, p blueprint) (string, error) {
	r := p.Recipe
	for _, v := range r.Volumes {
		if _, err := e.VolumeInspect(ctx, v); err != nil { // else the engine would make an empty one
			return "", fmt.Errorf("its volume %s: %w", v, err)
		}
	}
	config := *r.Config
	if img, err := e.ImageInspect(ctx, config.Image); err != nil || img.ID != r.ImageID {
		config.Image = r.ImageID // the name means another image now
	}
	made, err := e.ContainerCreate(ctx, &config, r.Host, r.creation(e.ClientVersion()), r.Platform, p.Name)
	if err != nil {
		return "", err
	}
	c, err := e.inspect(ctx, made.ID)
	if err != nil {
		return "", err
	}
	return c.ID, e.finish(ctx, c, p)
}

// creation is what is told of the networks when the container is made: engines
// before API 1.44 take one, the others follow in finish.
func (r *recipe) creation(version string) *network.NetworkingConfig {
	all := &network.NetworkingConfig{EndpointsConfig: r.Networks}
	if versions.GreaterThanOrEqualTo(version, "1.44") {
		return all
	}
	main := r.mainNetwork()
	if r.Networks[main] == nil {
		return nil
	}
	return &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{main: r.Networks[main]}}
}

// mainNetwork is the one that the engine connects a container to by itself.
func (r *recipe) mainNetwork() string {
	mode := r.Host.NetworkMode
	if mode.IsDefault() || mode == "" {
		return network.NetworkBridge
	}
	return mode.NetworkName()
}

// finish connects a container that never ran to its networks, and starts it.
func (e *engine) finish(ctx context.Context, c container.InspectResponse, p blueprint) error {
	want := p.Recipe.Networks
	if want != nil && c.NetworkSettings != nil {
		for n := range c.NetworkSettings.Networks {
			if want[n] != nil {
				continue
			}
			if err := e.NetworkDisconnect(ctx, n, c.ID, true); err != nil {
				return fmt.Errorf("disconnect from network %s: %w", n, err)
			}
		}
		for _, n := range slices.Sorted(maps.Keys(want)) {
			if c.NetworkSettings.Networks[n] != nil {
				continue
			}
			if err := e.NetworkConnect(ctx, n, c.ID, want[n]); err != nil {
				return fmt.Errorf("connect to network %s: %w", n, err)
			}
		}
	}
	return e.run(ctx, c, p)
}

// made reports whether c, which does not run, is what an earlier Restore made of
// the recipe: never started, of the same image and with the same commands,
// environment, labels and mounts.
func (r *recipe) made(c container.InspectResponse) bool {
	same := func(a, b any) bool { return reflect.DeepEqual(a, b) }
	return started(c).IsZero() && c.Image == r.ImageID &&
		same(c.Config.Entrypoint, r.Config.Entrypoint) && same(c.Config.Cmd, r.Config.Cmd) &&
		same(c.Config.Env, r.Config.Env) && same(c.Config.Labels, r.Config.Labels) &&
		same(c.HostConfig.Binds, r.Host.Binds) && same(c.HostConfig.Mounts, r.Host.Mounts)
}

package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/versions"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/squall-chaos/squall/targets"
)

// blueprint is what brings a container back.
type blueprint struct {
	ID     string   `json:"id"`
	Name   string   `json:"name"`
	Paused bool     `json:"paused,omitempty"`
	Recipe *recipe  `json:"recipe,omitempty"` // nil when the container is only ended
	Notes  []string `json:"notes,omitempty"`  // what will not be as it was, for people
}

// recipe is what makes a container anew.
type recipe struct {
	ImageID  string                               `json:"image_id"`
	Config   *container.Config                    `json:"config"`
	Host     *container.HostConfig                `json:"host"`
	Networks map[string]*network.EndpointSettings `json:"networks,omitempty"`
	Platform *ocispec.Platform                    `json:"platform,omitempty"`
	Volumes  []string                             `json:"volumes,omitempty"` // must exist, or data is lost
}

// swarmService is the label of containers that a swarm started.
const swarmService = "com.docker.swarm.service.name"

// Capture implements targets.Restorer. With remove, the blueprint holds the whole
// configuration, environment variables among it, so it must be kept as carefully
// as the engine keeps it. Lost are the changed files of the writable layer, which
// Notes tells, and the container's ID and logs; volumes are attached again by
// name, anonymous ones too, which makes them named ones for the engine.
//
// Refused are: tasks of a swarm, which the swarm replaces; containers that remove
// themselves at their end, where that would lose data (they are made anew
// otherwise); with remove, containers whose namespaces others share.
func (d *driver) Capture(ctx context.Context, t targets.Target, remove bool) (targets.Blueprint, error) {
	e, err := d.connect(ctx)
	if err != nil {
		return nil, err
	}
	c, err := e.inspect(ctx, t.Ref().ID)
	if err != nil {
		return nil, (&target{ref: t.Ref(), name: t.Name()}).failed(ctx, e, "inspect", err)
	}
	b, err := e.capture(ctx, c, remove)
	if err != nil {
		return nil, fmt.Errorf("docker: container %s: %w", t.Name(), err)
	}
	return json.Marshal(b)
}

func (e *engine) capture(ctx context.Context, c container.InspectResponse, remove bool) (blueprint, error) {
	b := blueprint{ID: c.ID, Name: strings.TrimPrefix(c.Name, "/"), Paused: c.State.Paused}
	if service := c.Config.Labels[swarmService]; service != "" {
		return b, fmt.Errorf("%w: it is a task of the swarm service %s, which replaces it by itself: leave out \"for:\"", targets.ErrUnsupported, service)
	}
	if len(c.HostConfig.Tmpfs) > 0 {
		b.Notes = append(b.Notes, "its tmpfs mounts will come back empty")
	}
	if !remove && !c.HostConfig.AutoRemove {
		return b, nil
	}
	changed, err := e.changedFiles(ctx, c)
	if err != nil {
		return b, fmt.Errorf("compare with its image: %w", err)
	}
	volumes := anonymous(c)
	switch {
	case !remove && changed+len(volumes) > 0:
		return b, fmt.Errorf("%w: it removes itself when it ends (--rm), and with it %s and %s: use the fault remove, or leave out \"for:\"",
			targets.ErrUnsupported, count(changed, "changed file"), count(len(volumes), "anonymous volume"))
	case changed > 0:
		b.Notes = append(b.Notes, count(changed, "changed file")+" in its writable layer will be lost")
	}
	if remove && len(volumes) > 0 {
		b.Notes = append(b.Notes, count(len(volumes), "anonymous volume")+" will be attached again by name, and so outlive the container")
	}
	if err := e.shared(ctx, c); err != nil {
		return b, err
	}
	b.Recipe = e.recipe(c)
	return b, nil
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Notes implements targets.Noter. It tells what will not be as it was when the container of b is
// brought back, such as "14 changed files in its writable layer will be lost".
func (*driver) Notes(b targets.Blueprint) []string {
	var p blueprint
	if json.Unmarshal(b, &p) != nil {
		return nil
	}
	return p.Notes
}

// changedFiles counts what differs from the image, without the folders on the way
// and the mount points, which a new container gets again.
func (e *engine) changedFiles(ctx context.Context, c container.InspectResponse) (int, error) {
	changes, err := e.ContainerDiff(ctx, c.ID)
	if err != nil {
		return 0, err
	}
	paths := make([]string, 0, len(changes))
	for _, ch := range changes {
		paths = append(paths, ch.Path)
	}
	return countLeaves(paths, c.Mounts), nil
}

func countLeaves(paths []string, mounts []container.MountPoint) int {
	inner := make(map[string]bool) // folders of other paths
	for _, p := range paths {
		for i := strings.LastIndex(p, "/"); i > 0; i = strings.LastIndex(p[:i], "/") {
			inner[p[:i]] = true
		}
	}
	n := 0
	for _, p := range paths {
		towards := slices.ContainsFunc(mounts, func(m container.MountPoint) bool {
			return strings.HasPrefix(m.Destination+"/", p+"/") || strings.HasPrefix(p, m.Destination+"/")
		})
		if !inner[p] && !towards {
			n++
		}
	}
	return n
}

// shared refuses a container without which others would be cut off: they name it
// by its ID, which does not come back.
func (e *engine) shared(ctx context.Context, c container.InspectResponse) error {
	list, err := e.ContainerList(ctx, container.ListOptions{All: true})
	if err != nil {
		return err
	}
	for _, other := range list {
		if other.HostConfig.NetworkMode == "container:"+c.ID {
			return fmt.Errorf("%w: %s uses its network namespace and would be cut off for good: take them down together or leave out \"for:\"",
				targets.ErrUnsupported, strings.Join(other.Names, ", "))
		}
	}
	return nil
}

// recipe turns what the engine tells about c into what it takes to make it.
func (e *engine) recipe(c container.InspectResponse) *recipe {
	r := &recipe{ImageID: c.Image, Config: c.Config, Host: c.HostConfig}
	mode := c.HostConfig.NetworkMode
	if c.Config.Hostname == short(c.ID) || mode.IsContainer() || c.HostConfig.UTSMode.IsHost() {
		c.Config.Hostname = "" // the engine's choice, not the author's
	}
	for i, link := range c.HostConfig.Links { // told as /target:/name/alias
		to, alias, _ := strings.Cut(strings.TrimPrefix(link, "/"), ":")
		c.HostConfig.Links[i] = to + ":" + alias[strings.LastIndex(alias, "/")+1:]
	}
	attach(c)
	for _, m := range c.Mounts {
		if m.Type == mount.TypeVolume && m.Name != "" {
			r.Volumes = append(r.Volumes, m.Name)
		}
	}
	if !mode.IsHost() && !mode.IsNone() && !mode.IsContainer() && c.NetworkSettings != nil {
		r.Networks = make(map[string]*network.EndpointSettings)
		for n, ep := range c.NetworkSettings.Networks {
			r.Networks[n] = e.endpointOf(c, ep)
		}
	}
	if d := c.ImageManifestDescriptor; d != nil {
		r.Platform = d.Platform
	}
	return r
}

// endpointOf keeps what an author can set of an endpoint. Engines add the short
// ID to the aliases (before API 1.45). A MAC address that the author chose stands
// in the configuration before API 1.44; since then it cannot be told from one the
// engine drew, so either is kept: an address too many does no harm.
func (e *engine) endpointOf(c container.InspectResponse, ep *network.EndpointSettings) *network.EndpointSettings {
	if ep == nil {
		return &network.EndpointSettings{}
	}
	kept := &network.EndpointSettings{
		IPAMConfig: ep.IPAMConfig, Links: ep.Links, DriverOpts: ep.DriverOpts, GwPriority: ep.GwPriority,
		Aliases: slices.DeleteFunc(slices.Clone(ep.Aliases), func(a string) bool { return a == short(c.ID) }),
	}
	if versions.GreaterThanOrEqualTo(e.ClientVersion(), "1.44") {
		kept.MacAddress = ep.MacAddress
	}
	return kept
}

// anonymous returns the volumes of c that the engine made without being told a name.
func anonymous(c container.InspectResponse) []container.MountPoint {
	var found []container.MountPoint
	for _, m := range c.Mounts {
		if m.Type == mount.TypeVolume && m.Name != "" && !named(c.HostConfig, m) {
			found = append(found, m)
		}
	}
	return found
}

func named(h *container.HostConfig, m container.MountPoint) bool {
	return slices.ContainsFunc(h.Binds, func(b string) bool {
		source, rest, ok := strings.Cut(b, ":")
		target, _, _ := strings.Cut(rest, ":")
		return ok && source == m.Name && target == m.Destination
	}) || slices.ContainsFunc(h.Mounts, func(x mount.Mount) bool {
		return x.Type == mount.TypeVolume && x.Source != "" && x.Target == m.Destination
	})
}

// attach names the anonymous volumes in the configuration, so that the new
// container gets their data.
func attach(c container.InspectResponse) {
	for _, m := range anonymous(c) {
		i := slices.IndexFunc(c.HostConfig.Mounts, func(x mount.Mount) bool { return x.Target == m.Destination })
		if i >= 0 {
			c.HostConfig.Mounts[i].Source = m.Name
			continue
		}
		c.HostConfig.Binds = slices.DeleteFunc(c.HostConfig.Binds, func(b string) bool { return b == m.Destination })
		c.HostConfig.Mounts = append(c.HostConfig.Mounts, mount.Mount{
			Type: mount.TypeVolume, Source: m.Name, Target: m.Destination, ReadOnly: !m.RW,
		})
	}
}

// Package dockertest runs containers for tests on a real engine.
//
// Images are made from a small static program and never pulled; they stay, tagged
// squall-test/…, for the next test. Everything else a test makes carries a label,
// is removed at the test's end, and must be gone then.
//
// It is for tests only.
package dockertest

import (
	"context"
	"crypto/rand"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"
)

// Label is on everything that a test makes; its value is the test's own.
const Label = "squall.test"

// Require returns a client of the engine that tests use: DOCKER_HOST, or the
// default socket. Without an engine it skips the test, or fails it when
// SQUALL_TEST_REQUIRE is "all".
func Require(t testing.TB) *client.Client {
	t.Helper()
	cli, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err == nil {
		_, err = cli.Ping(Context(t))
	}
	if err == nil {
		t.Cleanup(func() { cli.Close() })
		return cli
	}
	if os.Getenv("SQUALL_TEST_REQUIRE") == "all" {
		t.Fatalf("needs a Docker engine: %v", err)
	}
	t.Skipf("needs a Docker engine: %v", err)
	return nil
}

// Context ends with the test, and after two minutes at the latest.
func Context(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// Image returns the name of an image whose entry point is the idle program, and
// makes it if needed. The program's flags are: -http ADDRESS, -term-after
// DURATION, -term-code N, -ignore-term, -crash-after DURATION.
func Image(t testing.TB) string {
	t.Helper()
	cli := Require(t)
	imageOnce.Do(func() { imageName, imageErr = idleImage(Context(t), cli) })
	if imageErr != nil {
		t.Fatalf("test image: %v", imageErr)
	}
	return imageName
}

var (
	imageOnce sync.Once
	imageName string
	imageErr  error
)

// Options say what to run. The zero value is an idle container with a name of its
// own on the default network.
type Options struct {
	Name    string   // empty: a new one
	Args    []string // flags of the idle program
	Labels  map[string]string
	Config  func(*container.Config) // changes what is made of the above; may be nil
	Host    container.HostConfig
	Network *network.NetworkingConfig
}

// Container is a running container.
type Container struct {
	ID, Name string
	Client   *client.Client
}

// Run starts a container and removes it, and every other one with its labels,
// with their volumes, at the end of the test.
func Run(t testing.TB, o Options) *Container {
	t.Helper()
	c := Create(t, o)
	if err := c.Client.ContainerStart(Context(t), c.ID, container.StartOptions{}); err != nil {
		t.Fatalf("start container %s: %v", c.Name, err)
	}
	return c
}

// Create is Run without starting the container.
func Create(t testing.TB, o Options) *Container {
	t.Helper()
	cli := Require(t)
	image := Image(t)
	labels := map[string]string{Label: Mark(t)}
	for k, v := range o.Labels {
		labels[k] = v
	}
	if o.Name == "" {
		o.Name = Unique()
	}
	config := &container.Config{Image: image, Cmd: o.Args, Labels: labels}
	if o.Config != nil {
		o.Config(config)
	}
	made, err := cli.ContainerCreate(Context(t), config, &o.Host, o.Network, nil, o.Name)
	if err != nil {
		t.Fatalf("create container %s: %v", o.Name, err)
	}
	return &Container{made.ID, o.Name, cli}
}

// Inspect reads the container from the engine.
func (c *Container) Inspect(t testing.TB) container.InspectResponse {
	t.Helper()
	info, err := c.Client.ContainerInspect(Context(t), c.ID)
	if err != nil {
		t.Fatalf("inspect container %s: %v", c.Name, err)
	}
	return info
}

// Network makes a bridge network, without or with a subnet such as
// "10.231.7.0/24", and returns its name.
func Network(t testing.TB, subnet string) string {
	t.Helper()
	cli := Require(t)
	o := network.CreateOptions{Driver: "bridge", Labels: map[string]string{Label: Mark(t)}}
	if subnet != "" {
		o.IPAM = &network.IPAM{Config: []network.IPAMConfig{{Subnet: subnet}}}
	}
	name := Unique()
	if _, err := cli.NetworkCreate(Context(t), name, o); err != nil {
		t.Fatalf("create network: %v", err)
	}
	return name
}

// Volume makes an empty volume and returns its name.
func Volume(t testing.TB) string {
	t.Helper()
	cli := Require(t)
	v, err := cli.VolumeCreate(Context(t), volume.CreateOptions{Name: Unique(), Labels: map[string]string{Label: Mark(t)}})
	if err != nil {
		t.Fatalf("create volume: %v", err)
	}
	return v.Name
}

// Unique returns a name that nothing on the engine has.
func Unique() string { return "squall-test-" + strings.ToLower(rand.Text()[:10]) }

// WaitFor calls ok until it returns true, and fails the test after half a minute.
func WaitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

var marks = struct {
	sync.Mutex
	of map[testing.TB]string
}{of: make(map[testing.TB]string)}

// Mark returns the value of Label for what the test makes. The first call in a
// test arranges for the clean-up.
func Mark(t testing.TB) string {
	t.Helper()
	Require(t)
	marks.Lock()
	defer marks.Unlock()
	if m := marks.of[t]; m != "" {
		return m
	}
	m := Unique()
	marks.of[t] = m
	cli, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer cli.Close()
		sweep(t, cli, m)
		marks.Lock()
		defer marks.Unlock()
		delete(marks.of, t)
	})
	return m
}

// sweep removes what carries the mark and checks that nothing is left.
func sweep(t testing.TB, cli *client.Client, mark string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	marked := filters.NewArgs(filters.Arg("label", Label+"="+mark))
	containers, err := cli.ContainerList(ctx, container.ListOptions{All: true, Filters: marked})
	if err != nil {
		t.Errorf("clean up: %v", err)
	}
	volumes := make(map[string]bool)
	for _, c := range containers {
		for _, m := range c.Mounts {
			if m.Type == mount.TypeVolume {
				volumes[m.Name] = true
			}
		}
		if err := cli.ContainerRemove(ctx, c.ID, container.RemoveOptions{Force: true, RemoveVolumes: true}); err != nil && !errdefs.IsNotFound(err) {
			t.Logf("clean up: %v", err)
		}
	}
	if list, err := cli.VolumeList(ctx, volume.ListOptions{Filters: marked}); err == nil {
		for _, v := range list.Volumes {
			volumes[v.Name] = true
		}
	}
	for v := range volumes {
		_ = cli.VolumeRemove(ctx, v, true)
	}
	networks, err := cli.NetworkList(ctx, network.ListOptions{Filters: marked})
	if err != nil {
		t.Errorf("clean up: %v", err)
	}
	for _, n := range networks {
		if err := cli.NetworkRemove(ctx, n.ID); err != nil {
			t.Logf("clean up: %v", err)
		}
	}
	prove(ctx, t, cli, marked, volumes)
}

func prove(ctx context.Context, t testing.TB, cli *client.Client, marked filters.Args, volumes map[string]bool) {
	t.Helper()
	var left []string
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		left = nil
		containers, err := cli.ContainerList(ctx, container.ListOptions{All: true, Filters: marked})
		for _, c := range containers {
			left = append(left, "container "+c.ID)
		}
		networks, nerr := cli.NetworkList(ctx, network.ListOptions{Filters: marked})
		for _, n := range networks {
			left = append(left, "network "+n.Name)
		}
		for v := range volumes {
			if _, err := cli.VolumeInspect(ctx, v); err == nil {
				left = append(left, "volume "+v)
			}
		}
		if err == nil && nerr == nil && len(left) == 0 {
			return
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			t.Errorf("left on the engine: %v (%v, %v)", left, err, nerr)
			return
		}
	}
}

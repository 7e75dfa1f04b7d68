package redissentinel

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/stdcopy"
	"github.com/docker/go-connections/nat"
	"github.com/goccy/go-yaml"

	"github.com/squall-chaos/squall/targets/docker/dockertest"
)

// composeFile is what compose.yaml uses of its format. Strict decoding makes
// the tests fail when the file uses more than they carry out.
type composeFile struct {
	Server   any                `yaml:"x-server"`
	Sentinel any                `yaml:"x-sentinel"`
	Services map[string]service `yaml:"services"`
}

type service struct {
	Image   string   `yaml:"image"`
	Build   any      `yaml:"build"`
	Command []string `yaml:"command"`
	Restart string   `yaml:"restart"`
	Ports   []string `yaml:"ports"`
	After   []string `yaml:"depends_on"`
}

// system is compose.yaml, running as a project of its own.
type system struct {
	project string
	url     string // of the writer
	cli     *client.Client
}

// up starts compose.yaml as compose would, with Debian's Redis in the place of
// the images it names, and takes it down when the test ends.
func up(t *testing.T) *system {
	t.Helper()
	tag := dockertest.DebianImage(t, "redis", "redis-server", "redis-sentinel", "redis-tools", "dash")
	text, err := os.ReadFile("compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file composeFile
	if err := yaml.UnmarshalWithOptions(text, &file, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	cli, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cli.Close() })
	s := &system{project: "squall-test-sentinel-" + strings.ToLower(rand.Text()[:8]), cli: cli}
	t.Cleanup(func() { s.down(t) })
	if _, err := cli.NetworkCreate(t.Context(), s.project, network.CreateOptions{Labels: s.labels("")}); err != nil {
		t.Fatal(err)
	}
	program := writerProgram(t)
	for _, name := range startOrder(t, file.Services) {
		s.start(t, name, tag, file.Services[name], program)
	}
	s.url = s.published(t, "writer")
	return s
}

func (s *system) labels(service string) map[string]string {
	l := map[string]string{"com.docker.compose.project": s.project}
	if service != "" {
		l["com.docker.compose.service"] = service
		l["com.docker.compose.container-number"] = "1"
	}
	return l
}

func (s *system) container(service string) string { return s.project + "-" + service + "-1" }

// start creates one service's container and starts it. A service that the file
// builds is the writer: its program is copied into the container.
func (s *system) start(t *testing.T, name, tag string, svc service, program []byte) {
	t.Helper()
	exposed, bindings, err := nat.ParsePortSpecs(svc.Ports)
	if err != nil {
		t.Fatal(err)
	}
	for port := range bindings { // a free port, since several tests may run at once
		bindings[port] = []nat.PortBinding{{HostIP: "127.0.0.1"}}
	}
	_, err = s.cli.ContainerCreate(t.Context(),
		&container.Config{Image: tag, Cmd: svc.Command, Labels: s.labels(name), ExposedPorts: exposed},
		&container.HostConfig{
			RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyMode(svc.Restart)},
			PortBindings:  bindings,
		},
		&network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
			s.project: {Aliases: []string{name}},
		}}, nil, s.container(name))
	if err != nil {
		t.Fatalf("create %s: %v", name, err)
	}
	if svc.Build != nil {
		if err := s.cli.CopyToContainer(t.Context(), s.container(name), "/", inTar("writer", program), container.CopyToContainerOptions{}); err != nil {
			t.Fatalf("copy the writer: %v", err)
		}
	}
	if err := s.cli.ContainerStart(t.Context(), s.container(name), container.StartOptions{}); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
}

// published is the URL of a service's only port on this machine.
func (s *system) published(t *testing.T, service string) string {
	t.Helper()
	c, err := s.cli.ContainerInspect(t.Context(), s.container(service))
	if err != nil {
		t.Fatal(err)
	}
	for _, bindings := range c.NetworkSettings.Ports {
		for _, b := range bindings {
			return "http://" + b.HostIP + ":" + b.HostPort
		}
	}
	t.Fatalf("%s publishes no port", service)
	return ""
}

// down removes all that up made and proves that it is gone. A test that failed
// gets the containers' last words first.
func (s *system) down(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	mine := filters.NewArgs(filters.Arg("label", "com.docker.compose.project="+s.project))
	all, err := s.cli.ContainerList(ctx, container.ListOptions{All: true, Filters: mine})
	if err != nil {
		t.Errorf("list containers: %v", err)
	}
	for _, c := range all {
		if t.Failed() {
			s.lastWords(ctx, t, c.Names[0], c.ID)
		}
		if err := s.cli.ContainerRemove(ctx, c.ID, container.RemoveOptions{Force: true, RemoveVolumes: true}); err != nil {
			t.Errorf("remove %s: %v", c.Names[0], err)
		}
	}
	if err := s.cli.NetworkRemove(ctx, s.project); err != nil && !cerrdefs.IsNotFound(err) {
		t.Errorf("remove the network: %v", err)
	}
	left, err := s.cli.ContainerList(ctx, container.ListOptions{All: true, Filters: mine})
	if err != nil || len(left) > 0 {
		t.Errorf("%d containers are left (%v)", len(left), err)
	}
}

func (s *system) lastWords(ctx context.Context, t *testing.T, name, id string) {
	logs, err := s.cli.ContainerLogs(ctx, id, container.LogsOptions{ShowStdout: true, ShowStderr: true, Tail: "20"})
	if err != nil {
		return
	}
	defer logs.Close()
	var text bytes.Buffer
	_, _ = stdcopy.StdCopy(&text, &text, logs)
	t.Logf("%s:\n%s", name, text.String())
}

// startOrder is the services so that each comes after those it depends on.
func startOrder(t *testing.T, services map[string]service) []string {
	t.Helper()
	var order []string
	var visit func(name string)
	visit = func(name string) {
		svc, ok := services[name]
		if !ok {
			t.Fatalf("compose.yaml has no service %q", name)
		}
		for _, before := range svc.After {
			visit(before)
		}
		if !slices.Contains(order, name) {
			order = append(order, name)
		}
	}
	for name := range services {
		visit(name)
	}
	return order
}

// writerProgram builds the writer as its Dockerfile does.
func writerProgram(t *testing.T) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "writer")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", file, "./writer")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the writer: %v\n%s", err, out)
	}
	program, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

func inTar(name string, content []byte) io.Reader {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	_ = w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content))})
	_, _ = w.Write(content)
	_ = w.Close()
	return &b
}

package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/go-connections/nat"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/squall-chaos/squall/targets"
	"github.com/squall-chaos/squall/targets/docker/dockertest"
)

// requireRoot skips a test that looks into a container from this kernel.
func requireRoot(t *testing.T) {
	t.Helper()
	dockertest.Require(t)
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("SQUALL_TEST_REQUIRE") == "all" {
		t.Fatal("needs root to look into containers")
	}
	t.Skip("needs root to look into containers")
}

func open(t *testing.T, c *dockertest.Container) *target {
	t.Helper()
	g, err := New(Options{}).Open(dockertest.Context(t), targets.Ref{Driver: name, ID: c.ID})
	if err != nil {
		t.Fatal(err)
	}
	return g.(*target)
}

func state(t *testing.T, g *target) targets.State {
	t.Helper()
	s, err := g.State(dockertest.Context(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func waitStatus(t *testing.T, g *target, want targets.Status) {
	t.Helper()
	dockertest.WaitFor(t, g.Name()+" is "+string(want), func() bool { return state(t, g).Status == want })
}

func TestSelectorsFindOnlyWhatTheyName(t *testing.T) {
	nets := dockertest.Network(t, "")
	mark := dockertest.Mark(t)
	c := dockertest.Run(t, dockertest.Options{
		Labels:  map[string]string{composeProject: "shop", composeService: "cache", "tier": "back/one"},
		Network: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{nets: {}}},
	})
	image, _, _ := strings.Cut(dockertest.Image(t), ":")
	only := map[string]string{dockertest.Label: mark}
	hit := []Selector{
		{Name: c.Name},
		{Name: c.Name[:len(c.Name)-3] + "*"},
		{ID: c.ID},
		{ID: c.ID[:4], Label: only},
		{ID: strings.ToUpper(c.ID[:12])},
		{Image: image, Label: only},
		{Image: dockertest.Image(t), Label: only},
		{Image: "squall*", Label: only},
		{Label: only},
		{Label: map[string]string{dockertest.Label: mark, "tier": "back*"}},
		{Compose: "shop", Service: "c*", Label: only},
		{Network: nets},
	}
	miss := []Selector{
		{Name: c.Name + "x"},
		{Name: c.Name, Image: "redis"},
		{ID: "0000" + c.ID[4:]},
		{Image: image + ":other", Label: only},
		{Label: map[string]string{dockertest.Label: mark, "tier": "front"}},
		{Label: map[string]string{dockertest.Label: mark, "absent": "*"}},
		{Compose: "other", Label: only},
		{Service: "other", Label: only},
		{Network: "bridge", Label: only},
	}
	found := func(s Selector) bool {
		list, err := New(Options{}).Find(dockertest.Context(t), &s)
		if err != nil {
			t.Fatalf("%s: %v", s.String(), err)
		}
		return len(list) == 1 && list[0].Ref().ID == c.ID && list[0].Name() == c.Name
	}
	for _, s := range hit {
		if !found(s) {
			t.Errorf("%s: not found", s.String())
		}
	}
	for _, s := range miss {
		if found(s) {
			t.Errorf("%s: found", s.String())
		}
	}
}

func TestFindTakesRunningAndPausedSortedAndNeverOurs(t *testing.T) {
	only := &Selector{Label: map[string]string{dockertest.Label: dockertest.Mark(t)}}
	base := dockertest.Unique()
	paused := dockertest.Run(t, dockertest.Options{Name: base + "-c"})
	self := dockertest.Run(t, dockertest.Options{Name: base + "-b"})
	dockertest.Run(t, dockertest.Options{Name: base + "-a"})
	dockertest.Run(t, dockertest.Options{Name: base + "-agent", Labels: map[string]string{roleLabel: "agent"}})
	dockertest.Create(t, dockertest.Options{Name: base + "-created"})
	if err := open(t, paused).Pause(dockertest.Context(t)); err != nil {
		t.Fatal(err)
	}
	names := func(d targets.Driver) []string {
		list, err := d.Find(dockertest.Context(t), only)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, g := range list {
			names = append(names, strings.TrimPrefix(g.Name(), base+"-"))
		}
		return names
	}
	if got := names(New(Options{})); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("found %v", got)
	}
	inside := New(Options{}).(*driver)
	inside.self = func() []string { return []string{self.ID} }
	if got := names(inside); !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("from inside of b found %v", got)
	}
}

func TestOwnContainersAreKnownFromProc(t *testing.T) {
	id, other := strings.Repeat("ab", 32), strings.Repeat("cd", 32)
	for text, want := range map[string][]string{
		"0::/system.slice/docker-" + id + ".scope\n":                                                         {id},
		"4:memory:/docker/" + id + "\n0::/\n":                                                                {id},
		"612 607 254:0 /var/lib/docker/containers/" + id + "/hostname /etc/hostname rw - ext4 /dev/vda rw\n": {id},
		"42 27 0:50 / /var/lib/docker/containers/" + other + "/mounts/shm rw - tmpfs shm rw\n":               nil,
		"0::/user.slice\n": nil,
	} {
		if got := containersIn(text); !slices.Equal(got, want) {
			t.Errorf("%q: got %v", text, got)
		}
	}
}

func TestSelectorValidation(t *testing.T) {
	for _, s := range []Selector{{}, {ID: "abc"}, {ID: "xyzw"}, {Name: "[a"}, {Label: map[string]string{"": "x"}}, {Label: map[string]string{"a": "[x"}}} {
		if s.Validate() == nil {
			t.Errorf("%+v is valid", s)
		}
	}
}

func TestOpenKnowsIncarnations(t *testing.T) {
	c := dockertest.Run(t, dockertest.Options{})
	d := New(Options{})
	g := open(t, c)
	if err := g.Restart(dockertest.Context(t), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Open(dockertest.Context(t), g.Ref()); !errors.Is(err, targets.ErrGone) {
		t.Errorf("the old incarnation: got %v, want ErrGone", err)
	}
	now := open(t, c)
	if now.Ref().Epoch == g.Ref().Epoch {
		t.Error("a restart did not change the epoch")
	}
	if _, err := d.Open(dockertest.Context(t), now.Ref()); err != nil {
		t.Error(err)
	}
	if _, err := d.Open(dockertest.Context(t), targets.Ref{Driver: name, ID: strings.Repeat("ab", 32)}); !errors.Is(err, targets.ErrGone) {
		t.Errorf("no such container: got %v, want ErrGone", err)
	}
}

func TestSiteIsTheMainProcesses(t *testing.T) {
	requireRoot(t)
	c := dockertest.Run(t, dockertest.Options{})
	site, err := open(t, c).Site(dockertest.Context(t))
	if err != nil {
		t.Fatal(err)
	}
	if site.PID != c.Inspect(t).State.Pid || !strings.Contains(site.Cgroup, c.ID) {
		t.Errorf("%+v", site)
	}
	comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", site.PID))
	if string(comm) != "idle\n" {
		t.Errorf("process %d is %q", site.PID, comm)
	}
	if _, err := os.Stat(site.Root + "/idle"); err != nil {
		t.Error(err)
	}
}

func TestProcessOfAnotherKernelIsElsewhere(t *testing.T) {
	c := dockertest.Run(t, dockertest.Options{})
	info := c.Inspect(t)
	info.State.Pid = os.Getpid() // as an engine in a virtual machine would number it
	if _, err := openProcess(info); !errors.Is(err, targets.ErrElsewhere) {
		t.Errorf("got %v, want ErrElsewhere", err)
	}
	for host, local := range map[string]bool{
		"unix:///run/docker.sock": true, "tcp://127.0.0.1:2375": true, "tcp://localhost:2375": true,
		"tcp://[::1]:2375": true, "tcp://10.0.0.5:2376": false, "https://docker.example:2376": false,
	} {
		if got := (endpoint{host: host}).local(); got != local {
			t.Errorf("%s: local %v", host, got)
		}
	}
}

func TestPauseFreezesAndIsIdempotent(t *testing.T) {
	requireRoot(t)
	c := dockertest.Run(t, dockertest.Options{})
	g := open(t, c)
	site, err := g.Site(dockertest.Context(t))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := g.Pause(dockertest.Context(t)); err != nil {
			t.Fatal(err)
		}
	}
	if s := state(t, g); s.Status != targets.Paused || s.PID != site.PID {
		t.Errorf("state %+v", s)
	}
	if !frozen(t, site, c.ID) {
		t.Error("the kernel does not say that it is frozen")
	}
	for range 2 {
		if err := g.Unpause(dockertest.Context(t)); err != nil {
			t.Fatal(err)
		}
	}
	if s := state(t, g); s.Status != targets.Running || frozen(t, site, c.ID) {
		t.Errorf("state %+v, frozen %v", s, frozen(t, site, c.ID))
	}
}

// frozen asks the kernel, in cgroup v2 or v1.
func frozen(t *testing.T, site targets.Site, id string) bool {
	t.Helper()
	if b, err := os.ReadFile(filepath.Join("/sys/fs/cgroup", site.Cgroup, "cgroup.events")); err == nil && strings.Contains(string(b), "frozen") {
		return strings.Contains(string(b), "frozen 1")
	}
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", site.PID))
	for line := range strings.Lines(string(text)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if f[1] == "freezer" && strings.Contains(f[2], id) {
			b, err := os.ReadFile(filepath.Join("/sys/fs/cgroup/freezer", f[2], "freezer.state"))
			if err != nil {
				t.Fatal(err)
			}
			return string(b) == "FROZEN\n"
		}
	}
	t.Fatal("no freezer found")
	return false
}

func TestThirtyArePausedAtOnce(t *testing.T) {
	const n = 30
	if testing.Short() {
		t.Skip("starts 30 containers")
	}
	d := New(Options{})
	for range n {
		dockertest.Run(t, dockertest.Options{})
	}
	list, err := d.Find(dockertest.Context(t), &Selector{Label: map[string]string{dockertest.Label: dockertest.Mark(t)}})
	if err != nil || len(list) != n {
		t.Fatalf("%d found, %v", len(list), err)
	}
	ctx := dockertest.Context(t)
	var group sync.WaitGroup
	done := make([]time.Time, n)
	begin := time.Now()
	for i, g := range list {
		group.Go(func() {
			if err := g.(targets.Lifecycle).Pause(ctx); err != nil {
				t.Error(err)
			}
			done[i] = time.Now()
		})
	}
	group.Wait()
	slices.SortFunc(done, time.Time.Compare)
	t.Logf("first after %v, last %v later", done[0].Sub(begin), done[n-1].Sub(done[0]))
	for _, g := range list {
		if s := state(t, g.(*target)); s.Status != targets.Paused {
			t.Errorf("%s is %s", g.Name(), s.Status)
		}
	}
}

func TestSignalLetsTheRestartPolicyReact(t *testing.T) {
	requireRoot(t)
	c := dockertest.Run(t, dockertest.Options{Host: container.HostConfig{RestartPolicy: container.RestartPolicy{Name: "always"}}})
	g := open(t, c)
	before := state(t, g)
	if err := g.Signal(dockertest.Context(t), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	dockertest.WaitFor(t, "the engine restarted it", func() bool {
		s := state(t, g)
		return s.Status == targets.Running && s.Restarts == before.Restarts+1 && s.PID != before.PID && s.StartedAt.After(before.StartedAt)
	})
}

func TestSignalWithoutPolicyEndsIt(t *testing.T) {
	requireRoot(t)
	c := dockertest.Run(t, dockertest.Options{Args: []string{"-term-code", "7"}})
	waitReady(t, c)
	g := open(t, c)
	if err := g.Signal(dockertest.Context(t), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	waitStatus(t, g, targets.Exited)
	if s := state(t, g); s.ExitCode != 7 || s.PID != 0 {
		t.Errorf("state %+v", s)
	}
	if err := g.Signal(dockertest.Context(t), syscall.SIGTERM); !errors.Is(err, targets.ErrGone) {
		t.Errorf("a second signal: got %v, want ErrGone", err)
	}
}

// waitReady waits until the idle program handles signals.
func waitReady(t *testing.T, c *dockertest.Container) {
	t.Helper()
	dockertest.WaitFor(t, "the program is ready", func() bool {
		logs, err := c.Client.ContainerLogs(dockertest.Context(t), c.ID, container.LogsOptions{ShowStdout: true})
		if err != nil {
			t.Fatal(err)
		}
		defer logs.Close()
		b, _ := io.ReadAll(logs)
		return bytes.Contains(b, []byte("ready"))
	})
}

func TestSignalThroughTheEngineOnlyWithoutPolicy(t *testing.T) {
	plain := open(t, dockertest.Run(t, dockertest.Options{}))
	always := open(t, dockertest.Run(t, dockertest.Options{Host: container.HostConfig{RestartPolicy: container.RestartPolicy{Name: "always"}}}))
	if err := plain.signalByEngine(dockertest.Context(t), syscall.SIGKILL, targets.ErrElsewhere); err != nil {
		t.Error(err)
	}
	waitStatus(t, plain, targets.Exited)
	if err := always.signalByEngine(dockertest.Context(t), syscall.SIGKILL, targets.ErrElsewhere); !errors.Is(err, targets.ErrUnsupported) {
		t.Errorf("got %v, want ErrUnsupported", err)
	}
	if s := state(t, always); s.Status != targets.Running {
		t.Errorf("it is %s", s.Status)
	}
}

func TestKillKeepsItDown(t *testing.T) {
	for _, c := range []struct {
		policy, stopSignal string
		sig                syscall.Signal
	}{
		{"no", "", syscall.SIGKILL},
		{"always", "", syscall.SIGKILL},
		{"unless-stopped", "", syscall.SIGTERM},
		{"always", "SIGQUIT", syscall.SIGTERM}, // the engine restarts this one
	} {
		t.Run(c.policy+c.stopSignal, func(t *testing.T) {
			box := dockertest.Run(t, dockertest.Options{
				Host:   container.HostConfig{RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyMode(c.policy)}},
				Config: func(config *container.Config) { config.StopSignal = c.stopSignal },
			})
			waitReady(t, box)
			g := open(t, box)
			for range 2 {
				if err := g.Kill(dockertest.Context(t), c.sig); err != nil {
					t.Fatal(err)
				}
				if s := state(t, g); s.Status != targets.Exited {
					t.Fatalf("state %+v", s)
				}
			}
			if n := box.Inspect(t).RestartCount; n > 1 {
				t.Errorf("the engine restarted it %d times", n)
			}
		})
	}
}

func TestKillWaitsForASlowEnd(t *testing.T) {
	c := dockertest.Run(t, dockertest.Options{Args: []string{"-term-after", "300ms", "-term-code", "5"}})
	waitReady(t, c)
	g := open(t, c)
	if err := g.Kill(dockertest.Context(t), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if s := state(t, g); s.Status != targets.Exited || s.ExitCode != 5 {
		t.Errorf("state %+v, want its own exit code", s)
	}
}

func TestKillEndsAPausedContainer(t *testing.T) {
	g := open(t, dockertest.Run(t, dockertest.Options{}))
	if err := g.Pause(dockertest.Context(t)); err != nil {
		t.Fatal(err)
	}
	if err := g.Kill(dockertest.Context(t), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if s := state(t, g); s.Status != targets.Exited || s.ExitCode != 137 {
		t.Errorf("state %+v", s)
	}
	if err := g.Pause(dockertest.Context(t)); !errors.Is(err, targets.ErrGone) {
		t.Errorf("pause: got %v, want ErrGone", err)
	}
	if err := g.Unpause(dockertest.Context(t)); err != nil {
		t.Errorf("unpause: %v", err)
	}
}

func TestStopHonoursGrace(t *testing.T) {
	polite := dockertest.Run(t, dockertest.Options{Args: []string{"-term-code", "3"}})
	deaf := dockertest.Run(t, dockertest.Options{Args: []string{"-ignore-term"}})
	waitReady(t, polite)
	waitReady(t, deaf)
	for _, c := range []struct {
		box   *dockertest.Container
		grace time.Duration
		code  int
	}{{polite, time.Minute, 3}, {deaf, 100 * time.Millisecond, 137}} {
		g := open(t, c.box)
		for range 2 {
			if err := g.Stop(dockertest.Context(t), c.grace); err != nil {
				t.Fatal(err)
			}
		}
		if s := state(t, g); s.Status != targets.Exited || s.ExitCode != c.code {
			t.Errorf("state %+v, want code %d", s, c.code)
		}
	}
}

func TestEverythingOfAMissingContainerIsGone(t *testing.T) {
	g := open(t, dockertest.Run(t, dockertest.Options{}))
	ctx := dockertest.Context(t)
	for range 2 {
		if err := g.Remove(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if s := state(t, g); s.Status != targets.Gone {
		t.Errorf("state %+v", s)
	}
	_, site := g.Site(ctx)
	_, dialled := g.DialContext(ctx, "tcp", "127.0.0.1:1")
	for what, err := range map[string]error{
		"signal": g.Signal(ctx, syscall.SIGKILL), "kill": g.Kill(ctx, syscall.SIGKILL), "stop": g.Stop(ctx, 0),
		"pause": g.Pause(ctx), "unpause": g.Unpause(ctx), "restart": g.Restart(ctx, 0), "site": site, "dial": dialled,
	} {
		if !errors.Is(err, targets.ErrGone) {
			t.Errorf("%s: got %v, want ErrGone", what, err)
		}
	}
}

func TestDialFromInsideWithItsNames(t *testing.T) {
	requireRoot(t)
	nets := dockertest.Network(t, "")
	on := func(aliases ...string) *network.NetworkingConfig {
		return &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{nets: {Aliases: aliases}}}
	}
	server := dockertest.Run(t, dockertest.Options{Args: []string{"-http", ":8080"}, Network: on("cache")})
	from := dockertest.Run(t, dockertest.Options{Network: on()})
	g := open(t, from)
	get := func(g *target, host string) (string, error) {
		web := http.Client{Transport: &http.Transport{DialContext: g.DialContext, DisableKeepAlives: true}, Timeout: 10 * time.Second}
		resp, err := web.Get("http://" + net.JoinHostPort(host, "8080") + "/")
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return strings.TrimSpace(string(b)), err
	}
	for _, host := range []string{"cache", server.Name, server.Inspect(t).NetworkSettings.Networks[nets].IPAddress} {
		dockertest.WaitFor(t, "an answer from "+host, func() bool {
			got, err := get(g, host)
			return err == nil && got == server.ID[:12]
		})
	}
	if _, err := get(open(t, dockertest.Run(t, dockertest.Options{})), "cache"); err == nil {
		t.Error("a container on another network knows the name")
	}
	if got, err := get(open(t, server), "localhost"); err != nil || got != server.ID[:12] {
		t.Errorf("localhost of the server: %q, %v", got, err)
	}
	if err := g.Restart(dockertest.Context(t), 0); err != nil {
		t.Fatal(err)
	}
	if got, err := get(g, "cache"); err != nil || got != server.ID[:12] {
		t.Errorf("after its restart: %q, %v", got, err)
	}
}

func capture(t *testing.T, g *target, remove bool) targets.Blueprint {
	t.Helper()
	b, err := g.driver.Capture(dockertest.Context(t), g, remove)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func restore(t *testing.T, g *target, b targets.Blueprint) targets.Ref {
	t.Helper()
	ref, err := g.driver.Restore(dockertest.Context(t), g.Ref(), b)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func TestRestoreStartsWhatWasEnded(t *testing.T) {
	c := dockertest.Run(t, dockertest.Options{})
	g := open(t, c)
	b := capture(t, g, false)
	if ref := restore(t, g, b); ref != g.Ref() {
		t.Errorf("a running container: got %v, want the same", ref)
	}
	if err := g.Kill(dockertest.Context(t), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ref := restore(t, g, b)
	if !ref.Same(g.Ref()) || ref.Epoch == g.Ref().Epoch || state(t, g).Status != targets.Running {
		t.Errorf("got %v, state %+v", ref, state(t, g))
	}
	if again := restore(t, g, b); again != ref {
		t.Errorf("restored twice: %v, then %v", ref, again)
	}
	if err := g.Pause(dockertest.Context(t)); err != nil {
		t.Fatal(err)
	}
	if again := restore(t, g, b); again != ref || state(t, g).Status != targets.Running {
		t.Errorf("paused meanwhile: %v, state %+v", again, state(t, g))
	}
}

func TestPausedContainerComesBackPaused(t *testing.T) {
	g := open(t, dockertest.Run(t, dockertest.Options{}))
	if err := g.Pause(dockertest.Context(t)); err != nil {
		t.Fatal(err)
	}
	b := capture(t, g, false)
	if err := g.Kill(dockertest.Context(t), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	restore(t, g, b)
	if s := state(t, g); s.Status != targets.Paused {
		t.Errorf("state %+v", s)
	}
}

// rich is a container with a bit of everything that must survive its removal.
func rich(t *testing.T) *dockertest.Container {
	t.Helper()
	first, second, third := dockertest.Network(t, "10.231.7.0/24"), dockertest.Network(t, "10.231.8.0/24"), dockertest.Network(t, "")
	c := dockertest.Create(t, dockertest.Options{
		Labels: map[string]string{composeProject: "shop"},
		Args:   []string{"-http", ":8080"},
		Config: func(config *container.Config) {
			config.Env = []string{"A=1", "EMPTY="}
			config.WorkingDir = "/data"
			config.User = "0:0"
			config.StopSignal = "SIGQUIT"
			config.ExposedPorts = nat.PortSet{"8080/tcp": {}}
			config.Volumes = map[string]struct{}{"/anonymous": {}}
			//lint:ignore SA1019 how engines before API 1.44 take it
			config.MacAddress = "02:42:0a:e7:07:63"
			config.Healthcheck = &container.HealthConfig{Test: []string{"NONE"}}
		},
		Host: container.HostConfig{
			NetworkMode:    container.NetworkMode(first),
			RestartPolicy:  container.RestartPolicy{Name: "on-failure", MaximumRetryCount: 3},
			Binds:          []string{dockertest.Volume(t) + ":/data"},
			Mounts:         []mount.Mount{{Type: mount.TypeVolume, Target: "/mounted"}, {Type: mount.TypeTmpfs, Target: "/scratch"}},
			PortBindings:   nat.PortMap{"8080/tcp": {{HostIP: "127.0.0.1", HostPort: "0"}}},
			CapAdd:         []string{"CAP_NET_ADMIN"},
			ExtraHosts:     []string{"db:10.231.7.9"},
			Resources:      container.Resources{Memory: 64 << 20, NanoCPUs: 5e8},
			ReadonlyRootfs: false,
			Sysctls:        map[string]string{"net.ipv4.ip_unprivileged_port_start": "0"},
			LogConfig:      container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "1m"}},
		},
		Network: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
			first: {Aliases: []string{"web", "front"}, IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: "10.231.7.77"}},
		}},
	})
	ctx := dockertest.Context(t)
	if err := errors.Join(
		c.Client.NetworkConnect(ctx, second, c.ID, &network.EndpointSettings{IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: "10.231.8.88"}}),
		c.Client.NetworkConnect(ctx, third, c.ID, &network.EndpointSettings{Aliases: []string{"deep"}}),
		c.Client.ContainerStart(ctx, c.ID, container.StartOptions{}),
	); err != nil {
		t.Fatal(err)
	}
	return c
}

func put(t *testing.T, c *dockertest.Container, dir, file string) {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := errors.Join(w.WriteHeader(&tar.Header{Name: file, Mode: 0o644, Size: 4}), second(w.Write([]byte("data"))), w.Close())
	if err := errors.Join(err, c.Client.CopyToContainer(dockertest.Context(t), c.ID, dir, &b, container.CopyToContainerOptions{})); err != nil {
		t.Fatal(err)
	}
}

func second(_ int, err error) error { return err }

func has(t *testing.T, c *dockertest.Container, path string) bool {
	t.Helper()
	_, err := c.Client.ContainerStatPath(dockertest.Context(t), c.ID, path)
	if err != nil && !errdefs.IsNotFound(err) {
		t.Fatal(err)
	}
	return err == nil
}

// normal is what of a container must be the same after it was made anew.
func normal(c container.InspectResponse) container.InspectResponse {
	id := c.ID
	c.ID, c.Created, c.State = "", "", &container.State{Status: c.State.Status}
	c.ResolvConfPath, c.HostnamePath, c.HostsPath, c.LogPath = "", "", "", ""
	c.GraphDriver.Data = nil
	if c.Config.Hostname == id[:12] {
		c.Config.Hostname = "its ID"
	}
	c.HostConfig.Mounts = nil // anonymous volumes have names now; c.Mounts tells where they are
	slices.SortFunc(c.Mounts, func(a, b container.MountPoint) int { return strings.Compare(a.Destination, b.Destination) })
	for i := range c.Mounts {
		c.Mounts[i].Mode = ""
	}
	c.NetworkSettings.SandboxID, c.NetworkSettings.SandboxKey, c.NetworkSettings.Ports = "", "", nil
	for _, ep := range c.NetworkSettings.Networks {
		ep.EndpointID, ep.DNSNames = "", nil
		if ep.IPAMConfig == nil {
			ep.IPAddress, ep.MacAddress = "", ""
		}
		ep.Aliases = slices.DeleteFunc(ep.Aliases, func(a string) bool { return a == id[:12] })
	}
	return c
}

func TestRemovedContainerComesBackAsItWas(t *testing.T) {
	c := rich(t)
	g := open(t, c)
	for _, dir := range []string{"/data", "/anonymous", "/mounted", "/tmp"} {
		put(t, c, dir, "kept")
	}
	before := c.Inspect(t)
	b := capture(t, g, true)
	notes := strings.Join(g.driver.Notes(b), "; ")
	if !strings.Contains(notes, "1 changed file in its writable layer") || !strings.Contains(notes, "2 anonymous volumes") {
		t.Errorf("notes: %s", notes)
	}
	if err := g.Remove(dockertest.Context(t)); err != nil {
		t.Fatal(err)
	}
	if s := state(t, g); s.Status != targets.Gone {
		t.Fatalf("state %+v", s)
	}
	ref := restore(t, g, b)
	back := &dockertest.Container{ID: ref.ID, Name: c.Name, Client: c.Client}
	opts := cmp.Options{cmpopts.EquateEmpty(), cmpopts.IgnoreFields(container.NetworkSettings{}, "DefaultNetworkSettings")}
	if diff := cmp.Diff(normal(before), normal(back.Inspect(t)), opts); diff != "" {
		t.Errorf("it came back changed (-before +after):\n%s", diff)
	}
	for path, want := range map[string]bool{"/data/kept": true, "/anonymous/kept": true, "/mounted/kept": true, "/tmp/kept": false} {
		if got := has(t, back, path); got != want {
			t.Errorf("%s is there: %v, want %v", path, got, want)
		}
	}
	if again := restore(t, g, b); again != ref {
		t.Errorf("restored twice: %v, then %v", ref, again)
	}
}

func TestRestoreGoesOnAfterACrash(t *testing.T) {
	c := rich(t)
	g := open(t, c)
	before := c.Inspect(t)
	b := capture(t, g, true)
	ctx := dockertest.Context(t)
	if err := g.Remove(ctx); err != nil {
		t.Fatal(err)
	}
	e, err := g.driver.connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var p blueprint
	unmarshal(t, b, &p)
	r := p.Recipe
	made, err := e.ContainerCreate(ctx, r.Config, r.Host, r.creation(e.ClientVersion()), nil, p.Name)
	if err != nil {
		t.Fatal(err)
	}
	ref := restore(t, g, b) // a second attempt finds what the first left
	if ref.ID != made.ID {
		t.Errorf("made another one: %v", ref)
	}
	back := &dockertest.Container{ID: ref.ID, Name: c.Name, Client: c.Client}
	opts := cmp.Options{cmpopts.EquateEmpty(), cmpopts.IgnoreFields(container.NetworkSettings{}, "DefaultNetworkSettings")}
	if diff := cmp.Diff(normal(before), normal(back.Inspect(t)), opts); diff != "" {
		t.Errorf("it came back changed (-before +after):\n%s", diff)
	}
}

func TestRestoreAcceptsWhatSomebodyElseBroughtBack(t *testing.T) {
	c := dockertest.Run(t, dockertest.Options{})
	g := open(t, c)
	b := capture(t, g, true)
	if err := g.Remove(dockertest.Context(t)); err != nil {
		t.Fatal(err)
	}
	theirs := dockertest.Run(t, dockertest.Options{Name: c.Name, Args: []string{"-ignore-term"}})
	if ref := restore(t, g, b); ref.ID != theirs.ID {
		t.Errorf("got %v, want %s", ref, theirs.ID)
	}
}

func TestRestoreRefusesAForeignNamesake(t *testing.T) {
	c := dockertest.Run(t, dockertest.Options{})
	g := open(t, c)
	b := capture(t, g, true)
	if err := g.Remove(dockertest.Context(t)); err != nil {
		t.Fatal(err)
	}
	dockertest.Create(t, dockertest.Options{Name: c.Name, Args: []string{"-ignore-term"}})
	if _, err := g.driver.Restore(dockertest.Context(t), g.Ref(), b); err == nil || !strings.Contains(err.Error(), "name is taken") {
		t.Errorf("got %v", err)
	}
}

func TestRestoreDoesNotHideLostVolumes(t *testing.T) {
	vol := dockertest.Volume(t)
	c := dockertest.Run(t, dockertest.Options{Host: container.HostConfig{Binds: []string{vol + ":/data"}}})
	g := open(t, c)
	b := capture(t, g, true)
	ctx := dockertest.Context(t)
	if err := errors.Join(g.Remove(ctx), c.Client.VolumeRemove(ctx, vol, true)); err != nil {
		t.Fatal(err)
	}
	if _, err := g.driver.Restore(ctx, g.Ref(), b); err == nil || !strings.Contains(err.Error(), vol) {
		t.Errorf("got %v, want an error that names the volume", err)
	}
}

func TestRestoreOfAnEndedContainerThatWasRemovedIsGone(t *testing.T) {
	g := open(t, dockertest.Run(t, dockertest.Options{}))
	b := capture(t, g, false)
	if err := g.Remove(dockertest.Context(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := g.driver.Restore(dockertest.Context(t), g.Ref(), b); !errors.Is(err, targets.ErrGone) {
		t.Errorf("got %v, want ErrGone", err)
	}
}

func TestCaptureOfContainersThatRemoveThemselves(t *testing.T) {
	run := func() (*dockertest.Container, *target) {
		c := dockertest.Run(t, dockertest.Options{Host: container.HostConfig{AutoRemove: true}})
		return c, open(t, c)
	}
	_, clean := run()
	b := capture(t, clean, false)
	if err := clean.Kill(dockertest.Context(t), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ref := restore(t, clean, b)
	if ref.Same(clean.Ref()) {
		t.Errorf("got %v, want a new container", ref)
	}
	c, dirty := run()
	put(t, c, "/tmp", "precious")
	_, err := dirty.driver.Capture(dockertest.Context(t), dirty, false)
	if !errors.Is(err, targets.ErrUnsupported) || !strings.Contains(err.Error(), "1 changed file") {
		t.Errorf("got %v, want a refusal that tells what would be lost", err)
	}
}

func TestCaptureRefusesWhatOthersStandOn(t *testing.T) {
	c := dockertest.Run(t, dockertest.Options{})
	side := dockertest.Run(t, dockertest.Options{Host: container.HostConfig{NetworkMode: container.NetworkMode("container:" + c.ID)}})
	g := open(t, c)
	if _, err := g.driver.Capture(dockertest.Context(t), g, true); !errors.Is(err, targets.ErrUnsupported) || !strings.Contains(err.Error(), side.Name) {
		t.Errorf("got %v, want a refusal that names %s", err, side.Name)
	}
	task := open(t, dockertest.Run(t, dockertest.Options{Labels: map[string]string{swarmService: "web"}}))
	if _, err := task.driver.Capture(dockertest.Context(t), task, false); !errors.Is(err, targets.ErrUnsupported) {
		t.Errorf("a swarm's task: got %v, want ErrUnsupported", err)
	}
	s := open(t, side) // itself it can come back
	b := capture(t, s, true)
	if err := s.Remove(dockertest.Context(t)); err != nil {
		t.Fatal(err)
	}
	restore(t, s, b)
}

func TestLinksComeBack(t *testing.T) {
	to := dockertest.Run(t, dockertest.Options{})
	c := dockertest.Run(t, dockertest.Options{Host: container.HostConfig{Links: []string{to.Name + ":cache"}}})
	g := open(t, c)
	before := c.Inspect(t).HostConfig.Links
	b := capture(t, g, true)
	if err := g.Remove(dockertest.Context(t)); err != nil {
		t.Fatal(err)
	}
	c.ID = restore(t, g, b).ID
	if after := c.Inspect(t).HostConfig.Links; !slices.Equal(before, after) {
		t.Errorf("links %v, were %v", after, before)
	}
}

func TestChangedFilesAreCountedWithoutMountsAndFolders(t *testing.T) {
	paths := []string{"/etc", "/etc/app", "/etc/app/conf", "/data", "/var", "/var/lib", "/var/lib/db", "/tmp", "/tmp/x", "/tmp/y"}
	mounts := []container.MountPoint{{Destination: "/data"}, {Destination: "/var/lib/db"}}
	if n := countLeaves(paths, mounts); n != 3 { // conf, x, y
		t.Errorf("counted %d", n)
	}
}

func TestMissingEngineSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	_, err := New(Options{Host: "unix://" + dir + "/docker.sock"}).Find(context.Background(), &Selector{Name: "*"})
	for _, want := range []string{"no Docker engine at unix://" + dir, "is it running?", "DOCKER_HOST"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	stale, err := net.Listen("unix", dir+"/stale.sock")
	if err != nil {
		t.Fatal(err)
	}
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	stale.Close()
	if _, err := New(Options{Host: "unix://" + dir + "/stale.sock"}).Open(context.Background(), targets.Ref{}); err == nil || !strings.Contains(err.Error(), "is it running?") {
		t.Errorf("a socket that nobody serves: %v", err)
	}
}

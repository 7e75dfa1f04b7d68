package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// system is the example as the README starts it, in a folder and on ports of
// its own.
type system struct {
	dir    string // where nginx writes, and where the clock's program is
	nginx  string // its address
	clock  string // the clock's
	master int    // pid of nginx
}

// up starts the system and takes it down when the test ends.
func up(t *testing.T) *system {
	t.Helper()
	program, err := os.ReadFile(installedNginx(t))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	addresses := freeAddresses(t, 2)
	s := &system{dir: dir, nginx: addresses[0], clock: addresses[1]}
	t.Cleanup(func() { s.down(t) })
	conf, err := os.ReadFile("nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	conf = bytes.ReplaceAll(conf, []byte("127.0.0.1:8070"), []byte(s.nginx))
	conf = bytes.ReplaceAll(conf, []byte("127.0.0.1:8071"), []byte(s.clock))
	if err := errors.Join(
		os.WriteFile(filepath.Join(dir, "nginx.conf"), conf, 0o644),
		os.Mkdir(filepath.Join(dir, "tmp"), 0o755),
		os.WriteFile(s.nginxProgram(), program, 0o755),
	); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", s.clockProgram(), "./clock").CombinedOutput(); err != nil {
		t.Fatalf("build the clock: %v\n%s", err, out)
	}
	s.startClock(t)
	s.master = start(t, s.nginxProgram(), "-p", dir, "-c", "nginx.conf", "-e", "error.log", "-g", "daemon off;").Pid
	eventually(t, 10*time.Second, "nginx and the clock answer", func() error {
		if got := len(s.workers(t)); got != 2 {
			return fmt.Errorf("nginx has %d workers", got)
		}
		return s.get(t.Context(), "/time", "It is")
	})
	return s
}

func (s *system) clockProgram() string { return filepath.Join(s.dir, "clock") }

// nginxProgram is a copy of nginx: by its path this nginx is told from all others.
func (s *system) nginxProgram() string { return filepath.Join(s.dir, "nginx") }

func (s *system) startClock(t *testing.T) *os.Process {
	t.Helper()
	return start(t, s.clockProgram(), "-listen", s.clock)
}

// start starts a program that is waited for, so that it leaves no zombie.
func start(t *testing.T, program string, args ...string) *os.Process {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGCONT)
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			t.Errorf("%s did not end when asked to", program)
		}
	})
	return cmd.Process
}

// down proves that nothing of the system runs any more. A clock that somebody
// else started again for us is ended here.
func (s *system) down(t *testing.T) {
	for _, pid := range processes(t) {
		if s.isClock(pid) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	for _, address := range []string{s.nginx, s.clock} {
		eventually(t, 5*time.Second, "nobody listens on "+address, func() error {
			conn, err := net.DialTimeout("tcp", address, time.Second)
			if err != nil {
				return nil
			}
			return errors.Join(errors.New("somebody does"), conn.Close())
		})
	}
}

func (s *system) isClock(pid int) bool {
	exe, err := os.Readlink(proc(pid, "exe"))
	return err == nil && exe == s.clockProgram()
}

// workers are the pids of nginx's children, sorted.
func (s *system) workers(t *testing.T) []int {
	t.Helper()
	var found []int
	for _, pid := range processes(t) {
		status, err := os.ReadFile(proc(pid, "status"))
		if err == nil && strings.Contains(string(status), fmt.Sprintf("\nPPid:\t%d\n", s.master)) {
			found = append(found, pid)
		}
	}
	slices.Sort(found)
	return found
}

// get reads a page and returns an error unless it has status 200 and the text.
func (s *system) get(ctx context.Context, path, want string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.nginx+path, nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || !strings.Contains(body.String(), want) {
		return fmt.Errorf("%s says %s: %s", path, resp.Status, body.String())
	}
	return nil
}

// installedNginx is where nginx is; Debian keeps it where users do not look.
func installedNginx(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"nginx", "/usr/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("SQUALL_TEST_REQUIRE") == "all" {
		t.Fatal("missing, although SQUALL_TEST_REQUIRE=all: nginx; apt-get install nginx")
	}
	t.Skip("missing: nginx; apt-get install nginx")
	return ""
}

// freeAddresses are ports of 127.0.0.1 that nobody listened on a moment ago.
func freeAddresses(t *testing.T, n int) []string {
	t.Helper()
	var free []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		free = append(free, l.Addr().String())
	}
	return free
}

func processes(t *testing.T) []int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

func proc(pid int, name string) string { return filepath.Join("/proc", strconv.Itoa(pid), name) }

// eventually polls until cond returns nil, or fails the test after limit.
func eventually(t *testing.T, limit time.Duration, what string, cond func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), limit) // cleanups wait too
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := cond()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("after %s it is not so that %s: %v", limit, what, err)
		}
	}
}

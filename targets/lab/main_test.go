package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/squall-chaos/squall/targets"
)

// TestMain lets the test binary be a lab's init, the commands that hosts run,
// and a process that starts a lab and is then killed.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case InitCommand:
			os.Exit(InitMain(os.Args[2:]))
		case "test-serve":
			serveName(os.Args[2])
		case "test-daemon":
			daemonise(os.Args[2:])
		case "test-fork":
			forkForever()
		case "test-sleep":
			time.Sleep(time.Hour)
		case "test-deaf":
			signal.Ignore(syscall.SIGTERM)
			fmt.Println("deaf")
			time.Sleep(time.Hour)
		case "test-crash":
			code, _ := strconv.Atoi(os.Args[2])
			fmt.Println("crashing with", code)
			os.Exit(code)
		case "test-as", "test-as-covered":
			become(os.Args[1] == "test-as-covered", os.Args[2:])
		case "test-ask":
			_, err := (&client{dir: os.Args[2]}).call(context.Background(), request{Op: opList})
			fmt.Println(err)
			os.Exit(0)
		case "test-owner":
			own(os.Args[2])
		}
	}
	os.Exit(m.Run())
}

// serveName answers every request and every datagram with the host's name and,
// at /dial?to=, with what another host answers.
func serveName(address string) {
	name, _ := os.Hostname()
	pc, err := net.ListenPacket("udp", address)
	if err != nil {
		panic(err)
	}
	go func() {
		buf := make([]byte, 100)
		for {
			if _, from, err := pc.ReadFrom(buf); err == nil {
				_, _ = pc.WriteTo([]byte(name), from)
			}
		}
	}()
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		to := r.URL.Query().Get("to")
		if to == "" {
			_, _ = fmt.Fprint(w, name)
			return
		}
		resp, err := http.Get("http://" + to)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer func() { _ = resp.Body.Close() }()
		_, _ = io.Copy(w, resp.Body)
	})
	http.HandleFunc("/env", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, strings.Join(os.Environ(), "\n"))
	})
	panic(http.ListenAndServe(address, nil))
}

// daemonise starts args in a session of its own and ends.
func daemonise(args []string) {
	cmd := exec.Command(os.Args[0], args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	os.Exit(0)
}

// forkForever keeps making children that end at once.
func forkForever() {
	for {
		_ = exec.Command("/bin/true").Run()
	}
}

// own starts a lab in dir, says so, and waits to be killed.
func own(dir string) {
	w := world(&Section{Hosts: map[string]Host{
		"a": {Run: []string{os.Args[0], "test-daemon", "test-sleep"}},
		"b": {Run: []string{os.Args[0], "test-serve", ":80"}, Ready: &Ready{TCP: ":80"}},
	}})
	if err := w.Start(context.Background(), targets.StartOptions{Dir: dir, FileDir: dir}); err != nil {
		panic(err)
	}
	fmt.Println("up")
	time.Sleep(time.Hour)
}

func world(s *Section) *World {
	w, err := New().Declare(s)
	if err != nil {
		panic(err)
	}
	return w.(*World)
}

// needLabs skips where no lab can be started, and fails instead when everything
// is required.
func needLabs(t testing.TB) {
	t.Helper()
	err := Available()
	if err == nil {
		return
	}
	if os.Getenv("SQUALL_TEST_REQUIRE") == "all" {
		t.Fatal(err)
	}
	t.Skip(err)
}

// start runs a lab until the test ends and checks that nothing of it is left.
func start(t testing.TB, s *Section) *World {
	t.Helper()
	needLabs(t)
	w := world(s)
	dir := t.TempDir()
	if err := w.Start(t.Context(), targets.StartOptions{Dir: dir, FileDir: dir, Output: func(l string) { t.Log(l) }}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		<-w.Done()
		if left := processesUnder(dir); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
	})
	return w
}

// processesUnder are the living processes whose command line or environment
// names dir, seen from outside.
func processesUnder(dir string) []string {
	var found []string
	names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, n := range names {
		b, _ := os.ReadFile(n)
		e, _ := os.ReadFile(filepath.Join(filepath.Dir(n), "environ"))
		if n != "/proc/"+strconv.Itoa(os.Getpid())+"/cmdline" && strings.Contains(string(b)+string(e), dir) {
			found = append(found, n+" "+strings.ReplaceAll(string(b), "\x00", " "))
		}
	}
	return found
}

// server is a host that answers its name on port 80, found by the mark in its
// environment.
func serverHost() Host {
	return Host{
		Run: []string{os.Args[0], "test-serve", ":80"}, Ready: &Ready{TCP: ":80"},
		Env: map[string]string{"MARK": "${lab}"},
	}
}

func find(t testing.TB, d targets.Driver, pattern string) []*Target {
	t.Helper()
	s := Selector(pattern)
	found, err := d.Find(t.Context(), &s)
	if err != nil {
		t.Fatal(err)
	}
	var hosts []*Target
	for _, f := range found {
		hosts = append(hosts, f.(*Target))
	}
	return hosts
}

func one(t testing.TB, w *World, name string) *Target {
	t.Helper()
	found := find(t, w, name)
	if len(found) != 1 {
		t.Fatalf("%d hosts match %q, want 1", len(found), name)
	}
	return found[0]
}

func get(t testing.TB, d targets.Dialer, url string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Transport{DialContext: d.DialContext, DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

func state(t testing.TB, h *Target) targets.State {
	t.Helper()
	s, err := h.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// eventually waits for a condition of the world.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !f(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// procState is the state letter in /proc of a pid of this machine; 0 when gone.
func procState(pid int) byte { return readStat("/proc/" + strconv.Itoa(pid) + "/stat").state }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func isGone(err error) bool { return errors.Is(err, targets.ErrGone) }

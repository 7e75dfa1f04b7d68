package lab

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/squall-chaos/squall/targets"
)

// owner starts a lab in another process and returns that, with two hosts.
func owner(t *testing.T, dir string) (*exec.Cmd, [2]*Target) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "test-owner", dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "up\n" {
		t.Fatalf("the owner says %q, %v", line, err)
	}
	var hosts [2]*Target
	for i, name := range []string{"a", "b"} {
		h, err := New().Open(t.Context(), targets.Ref{Driver: DriverName, ID: dir + "#" + name})
		must(t, err)
		hosts[i] = h.(*Target)
	}
	return cmd, hosts
}

func TestKillingTheStarterTakesEverythingDown(t *testing.T) {
	needLabs(t)
	dir := t.TempDir()
	cmd, hosts := owner(t, dir)
	site, err := hosts[1].Site(t.Context())
	must(t, err)
	ns, err := os.Readlink(site.NetNS)
	must(t, err)
	if len(processesUnder(dir)) == 0 || len(inNetwork(ns)) == 0 {
		t.Fatal("the test does not see the lab's processes")
	}
	must(t, hosts[0].Pause(t.Context()))
	must(t, cmd.Process.Kill())
	begun := time.Now()
	eventually(t, "no process is left", func() bool {
		return len(inNetwork(ns)) == 0 && len(processesUnder(dir)) <= 0
	})
	if took := time.Since(begun); took > time.Second {
		t.Errorf("it took %v, want at most 1 s", took)
	}
	for _, m := range mountsNaming(dir) {
		t.Errorf("left behind: mount %s", m)
	}
	for _, h := range hosts {
		if s := state(t, h); s.Status != targets.Gone {
			t.Errorf("%s: %+v, want gone", h.Name(), s)
		}
		if err := h.Kill(t.Context(), syscall.SIGKILL); !isGone(err) {
			t.Errorf("Kill in a lab that is gone: %v", err)
		}
		if _, err := New().Open(t.Context(), h.Ref()); !isGone(err) {
			t.Errorf("Open in a lab that is gone: %v", err)
		}
		if _, err := New().Restore(t.Context(), h.Ref(), nil); !isGone(err) {
			t.Errorf("Restore in a lab that is gone: %v", err)
		}
	}
	// A lab may start where one died.
	w := world(&Section{Hosts: map[string]Host{"a": serverHost()}})
	must(t, w.Start(t.Context(), targets.StartOptions{Dir: dir, FileDir: dir}))
	must(t, w.Close())
}

func mountsNaming(dir string) []string {
	var found []string
	b, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, dir) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

func TestTwoLabsInOneDirectoryAreRefused(t *testing.T) {
	w := start(t, &Section{Hosts: map[string]Host{"a": serverHost()}})
	second := world(&Section{Hosts: map[string]Host{"a": serverHost()}})
	err := second.Start(t.Context(), targets.StartOptions{Dir: w.client.dir, FileDir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "another lab runs in") {
		t.Errorf("a second lab in the same directory: %v", err)
	}
	if s := state(t, one(t, w, "a")); s.Status != targets.Running {
		t.Errorf("the first lab suffered: %+v", s)
	}
	if err := w.Start(t.Context(), targets.StartOptions{Dir: t.TempDir()}); err == nil {
		t.Error("a world was started twice")
	}
}

func TestControlInAVeryLongPath(t *testing.T) {
	needLabs(t)
	dir := filepath.Join(t.TempDir(), strings.Repeat("long-", 20), strings.Repeat("longer", 20))
	must(t, os.MkdirAll(dir, 0o755))
	w := world(&Section{Hosts: map[string]Host{"a": serverHost()}})
	must(t, w.Start(t.Context(), targets.StartOptions{Dir: dir, FileDir: dir}))
	if s := state(t, one(t, w, "a")); s.Status != targets.Running {
		t.Errorf("%+v", s)
	}
	must(t, w.Close())
	must(t, w.Close())
	if _, err := os.Stat(filepath.Join(dir, controlName)); !os.IsNotExist(err) {
		t.Errorf("the control socket is left: %v", err)
	}
}

// failedStart starts a lab that cannot be, checks that nothing is left, and
// returns the error.
func failedStart(t *testing.T, ctx context.Context, s *Section) string {
	t.Helper()
	needLabs(t)
	w, dir := world(s), t.TempDir()
	err := w.Start(ctx, targets.StartOptions{Dir: dir, FileDir: dir})
	if err == nil {
		_ = w.Close()
		t.Fatal("it starts")
	}
	<-w.Done()
	if left := processesUnder(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := os.Stat(filepath.Join(dir, controlName)); !os.IsNotExist(err) {
		t.Errorf("the control socket is left: %v", err)
	}
	return err.Error()
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	marked := map[string]string{"MARK": "${lab}"}
	for name, c := range map[string]struct {
		section Section
		want    []string
	}{
		"build fails": {
			Section{Build: Commands{{"/bin/sh", "-c", "echo one; echo two >&2; exit 7"}}, Hosts: map[string]Host{"a": serverHost()}},
			[]string{"lab build: /bin/sh", "exit status 7", "one\n    two"},
		},
		"never ready": {
			Section{Hosts: map[string]Host{"a": {Run: command("test-deaf"), Env: marked, Ready: &Ready{TCP: ":80", Timeout: 3e9}}}},
			[]string{"lab host a:", "not ready after 3s", "refused", "ready.timeout", "    deaf"},
		},
		"unhealthy": {
			Section{Hosts: map[string]Host{"a": {Run: command("test-serve", ":80"), Env: marked, Ready: &Ready{HTTP: ":80/?to=nobody", Timeout: 3e9}}}},
			[]string{"lab host a:", "502 Bad Gateway"},
		},
		"says something else": {
			Section{Hosts: map[string]Host{"a": {Run: command("test-deaf"), Env: marked, Ready: &Ready{Log: "blind", Timeout: 3e9}}}},
			[]string{`does not say "blind"`},
		},
		"exits": {
			Section{Hosts: map[string]Host{"a": {Run: command("test-crash", "9"), Env: marked, Ready: &Ready{TCP: ":80"}}}},
			[]string{"lab host a:", "exited with code 9 before it was ready", "crashing with 9"},
		},
		"no such command": {
			Section{Hosts: map[string]Host{"a": {Run: []string{"squall-no-such"}}, "b": {Run: []string{"./nor-this"}}}},
			[]string{`lab host a: run: "squall-no-such" is not in PATH`, "lab host b: run: ", "nor-this does not exist"},
		},
		"not a program": {
			Section{Hosts: map[string]Host{"a": {Run: []string{"/etc/passwd"}}}},
			[]string{"lab host a: run: /etc/passwd cannot be executed"},
		},
		"no such directory": {
			Section{Hosts: map[string]Host{"a": {Run: command("test-sleep"), Dir: "nowhere"}}},
			[]string{"host a", "no such file or directory"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := failedStart(t, t.Context(), &c.section)
			for _, want := range c.want {
				if !strings.Contains(got, want) {
					t.Errorf("the error lacks %q:\n%s", want, got)
				}
			}
		})
	}
}

func TestCancelledStartLeavesNothing(t *testing.T) {
	hang := Host{Run: command("test-deaf"), Env: map[string]string{"MARK": "${lab}"}, Ready: &Ready{TCP: ":80"}}
	for name, s := range map[string]*Section{
		"while building":    {Build: Commands{{"/bin/sh", "-c", os.Args[0] + " test-deaf ${lab} & wait"}}, Hosts: map[string]Host{"a": hang}},
		"while not ready":   {Hosts: map[string]Host{"a": hang}},
		"before it started": {Hosts: map[string]Host{"a": hang}},
	} {
		t.Run(name, func(t *testing.T) {
			limit := 100 * time.Millisecond
			if strings.HasPrefix(name, "before") {
				limit = time.Nanosecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			if got := failedStart(t, ctx, s); !strings.Contains(got, "given up") {
				t.Errorf("%s", got)
			}
		})
	}
}

func TestBuildRunsInTheFilesDirectoryAndHostsSeeLittle(t *testing.T) {
	needLabs(t)
	t.Setenv("SQUALL_TEST_PRIVATE", "private")
	dir, files := t.TempDir(), t.TempDir()
	var lines []string
	w := world(&Section{
		Build: Commands{{"/bin/cp", os.Args[0], "${lab}/copy"}, {"/bin/sh", "-c", "pwd; echo ${word}"}},
		Hosts: map[string]Host{"a": {
			Run: []string{"${lab}/copy", "test-serve", ":80"}, Ready: &Ready{HTTP: ":80/x"},
			Env: map[string]string{"WORD": "${word}"},
		}},
	})
	err := w.Start(t.Context(), targets.StartOptions{
		Dir: dir, FileDir: files, Output: func(l string) { lines = append(lines, l) },
		Expand: func(s string) (string, error) { return strings.ReplaceAll(s, "${word}", "wonder"), nil },
	})
	must(t, err)
	defer func() { must(t, w.Close()) }()
	said := strings.Join(lines, "\n")
	if !strings.Contains(said, "\n"+files+"\nwonder\n") || !strings.Contains(said, "building: /bin/cp") {
		t.Errorf("the build said:\n%s", said)
	}
	env, err := get(t, w, "http://a/env")
	must(t, err)
	if strings.Contains(env, "SQUALL_TEST_PRIVATE") || strings.Contains(env, envInside) {
		t.Errorf("the host sees the user's environment:\n%s", env)
	}
	for _, want := range []string{"SQUALL_HOST=a", "WORD=wonder", "PATH="} {
		if !strings.Contains(env, want) {
			t.Errorf("the host's environment lacks %s:\n%s", want, env)
		}
	}
}

func TestAnotherUserIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to become another user")
	}
	w := start(t, &Section{Hosts: map[string]Host{"a": serverHost()}})
	dir, err := os.MkdirTemp("", "squall-lab-test-")
	must(t, err)
	defer func() { _ = os.RemoveAll(dir) }()
	must(t, os.Chmod(dir, 0o755))
	copyFile(t, os.Args[0], filepath.Join(dir, "bin"))
	control := filepath.Join(dir, controlName)
	ask := func() string {
		cmd := exec.Command(filepath.Join(dir, "bin"), "test-ask", dir)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		return fmt.Sprint(string(out), err)
	}
	must(t, os.Link(filepath.Join(w.client.dir, controlName), control))
	if got := ask(); !strings.Contains(got, "permission denied") {
		t.Errorf("by the file's mode: %s", got)
	}
	must(t, os.Chmod(control, 0o666))
	if got := ask(); !strings.Contains(got, "only the user who started the lab") {
		t.Errorf("by its credentials: %s", got)
	}
}

package quickstart

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/squall-chaos/squall/targets/lab"
)

// exitCodes is what the README promises of each file.
var exitCodes = map[string]int{"held.yaml": 0, "fragile.yaml": 1, "blind.yaml": 3}

// TestExperiments runs each file as the README does.
func TestExperiments(t *testing.T) {
	experiments(t, ".", nil)
}

// TestExperimentsAsOrdinaryUser does the same as the user nobody, with a copy of
// this folder and nothing else: no cache, no other files of ours.
func TestExperimentsAsOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		unavailable(t, "needs root to become an ordinary user; run as one, TestExperiments shows the same")
	}
	if testing.Short() {
		t.Skip("builds the standard library once more")
	}
	dir, err := os.MkdirTemp("", "squall-quickstart-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.CopyFS(filepath.Join(dir, "quickstart"), os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	mod := "module example.com/quickstart\n\ngo " + strings.TrimPrefix(majorMinor(), "go") + "\n"
	if err := os.WriteFile(filepath.Join(dir, "quickstart", "go.mod"), []byte(mod), 0o644); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	nobody := &syscall.Credential{Uid: 65534, Gid: 65534}
	if out, err := as(nobody, dir, "go", "version").CombinedOutput(); err != nil {
		unavailable(t, "an ordinary user cannot run go here: %v: %s", err, out)
	}
	experiments(t, filepath.Join(dir, "quickstart"), nobody)
}

// majorMinor is the language version of the running Go, such as "go1.26".
func majorMinor() string {
	parts := strings.SplitN(runtime.Version(), ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// open lets everybody write below dir.
func open(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Chmod(path, 0o777))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// as prepares a command of another user, whose home is dir; nil is this user.
func as(user *syscall.Credential, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "NO_COLOR=1", "XDG_STATE_HOME="+filepath.Join(dir, "state"))
	if user != nil {
		cmd.Dir = dir
		cmd.Env = append(cmd.Env, "HOME="+dir, "TMPDIR="+dir, "GOCACHE="+filepath.Join(dir, "cache"), "GOMODCACHE="+filepath.Join(dir, "mod"))
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: user}
	}
	return cmd
}

func experiments(t *testing.T, folder string, user *syscall.Credential) {
	if err := lab.Available(); err != nil {
		unavailable(t, "%v", err)
	}
	dir := t.TempDir()
	if user != nil {
		dir = filepath.Dir(folder)
	}
	squall := filepath.Join(dir, "squall")
	if out, err := exec.Command("go", "build", "-o", squall, "../../cmd/squall").CombinedOutput(); err != nil {
		t.Fatalf("build squall: %v\n%s", err, out)
	}
	// Fill the build cache once, before two runs at a time want the same of it.
	warm := as(user, dir, "go", "build", "-buildvcs=false", "-o", os.DevNull, "./shop")
	warm.Dir = folder
	if out, err := warm.CombinedOutput(); err != nil {
		t.Fatalf("build the shop: %v\n%s", err, out)
	}
	var wg sync.WaitGroup
	for file, want := range exitCodes {
		wg.Go(func() {
			out, err := as(user, dir, squall, "run", filepath.Join(folder, file)).CombinedOutput()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Error(err)
			}
			got := 0
			if exit != nil {
				got = exit.ExitCode()
			}
			if got != want {
				t.Errorf("squall run %s: exit code %d, want %d\n%s", file, got, want, out)
			}
		})
	}
	wg.Wait()
	for _, p := range processesNaming(dir) {
		t.Errorf("left behind: %s", p)
	}
}

// processesNaming are the processes whose command line names dir.
func processesNaming(dir string) []string {
	var found []string
	names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, n := range names {
		b, _ := os.ReadFile(n)
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(n)))
		if pid != os.Getpid() && strings.Contains(string(b), dir) {
			found = append(found, n+" "+strings.ReplaceAll(string(b), "\x00", " "))
		}
	}
	return found
}

// unavailable skips, and fails instead when everything is required.
func unavailable(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("SQUALL_TEST_REQUIRE") == "all" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

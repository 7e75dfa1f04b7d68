package lab

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestSuiteAsOrdinaryUser runs all other tests again as the user nobody, for whom
// a lab is in a user namespace.
func TestSuiteAsOrdinaryUser(t *testing.T) { suiteAs(t, "test-as") }

// TestSuiteAsOrdinaryUserInContainer does the same where a part of /proc is
// covered, as it is in containers: the kernel then refuses a fresh one.
func TestSuiteAsOrdinaryUserInContainer(t *testing.T) { suiteAs(t, "test-as-covered") }

func suiteAs(t *testing.T, word string) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to become an ordinary user; run as one, all other tests show the same")
	}
	if testing.Short() {
		t.Skip("runs the whole suite again")
	}
	dir, err := os.MkdirTemp("", "squall-lab-test-")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o777))
	bin := filepath.Join(dir, "lab.test")
	copyFile(t, os.Args[0], bin)
	cmd := exec.CommandContext(t.Context(), bin, word, "-test.skip", "TestSuiteAs", "-test.timeout", "5m")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+dir, "HOME="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("as an ordinary user: %v\n%s", err, out)
	}
}

// become turns this process, in a mount namespace of its own, into the suite run
// by nobody.
func become(covered bool, args []string) {
	if covered {
		if err := syscall.Mount("/dev/null", "/proc/meminfo", "", syscall.MS_BIND, ""); err != nil {
			panic(err)
		}
	}
	for _, err := range []error{
		syscall.Setgroups(nil), syscall.Setgid(65534), syscall.Setuid(65534),
		syscall.Exec(os.Args[0], append([]string{os.Args[0]}, args...), os.Environ()),
	} {
		if err != nil {
			panic(err)
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	must(t, err)
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	must(t, err)
	_, err = io.Copy(out, in)
	must(t, err)
	must(t, out.Close())
}

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
func TestSuiteAsOrdinaryUser(t *testing.T) {
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
	cmd := exec.CommandContext(t.Context(), bin, "-test.skip", "TestSuiteAsOrdinaryUser", "-test.timeout", "5m")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+dir, "HOME="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("as an ordinary user: %v\n%s", err, out)
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

package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/squall-chaos/squall/reports"
)

func TestDoctorThatIsStoppedLeavesNothing(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	temp := filepath.Join(h.dir, "tmp")
	if err := os.Mkdir(temp, 0o700); err != nil {
		t.Fatal(err)
	}
	c := h.command("doctor")
	c.Env = append(c.Env, "TMPDIR="+temp, "DOCKER_HOST=unix:///nonexistent")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	made := func() int {
		all, _ := filepath.Glob(filepath.Join(temp, "squall-doctor-*"))
		return len(all)
	}
	eventually(t, "the examination", func() bool { return made() > 0 })
	_ = c.Process.Signal(syscall.SIGTERM)
	_ = c.Wait()
	if code := c.ProcessState.ExitCode(); code != reports.Aborted.ExitCode() {
		t.Errorf("exit code %d", code)
	}
	if n := made(); n > 0 {
		t.Errorf("%d folders are left", n)
	}
}

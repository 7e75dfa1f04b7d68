package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestExperimentsHold runs each experiment as the README does.
func TestExperimentsHold(t *testing.T) {
	squall := filepath.Join(t.TempDir(), "squall")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", squall, "../../cmd/squall").CombinedOutput(); err != nil {
		t.Fatalf("build squall: %v\n%s", err, out)
	}
	for _, file := range []string{"worker.yaml", "pause.yaml", "clock.yaml"} {
		t.Run(file, func(t *testing.T) {
			s := up(t)
			cmd := exec.CommandContext(t.Context(), squall, "run", file, "--var", "run="+s.dir, "--var", "url=http://"+s.nginx)
			cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir())
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("squall run %s: %v\n%s", file, err, out)
			}
			if err := s.get(t.Context(), "/time", "It is"); err != nil {
				t.Errorf("afterwards: %v", err)
			}
			if left := len(s.workers(t)); left != 2 {
				t.Errorf("afterwards nginx has %d workers", left)
			}
		})
	}
}

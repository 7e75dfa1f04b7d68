package redissentinel

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestFailoverHolds runs the experiment as the README does.
func TestFailoverHolds(t *testing.T) {
	t.Parallel()
	s := up(t)
	s.ready(t)
	out, err := s.squall(t, "redis-1")
	if err != nil {
		t.Fatalf("squall run failover.yaml: %v\n%s", err, out)
	}
	if got := s.nodes(t); got.Roles["redis-1"] != "replica" || got.Primaries != 1 || got.Replicas != 2 {
		t.Errorf("afterwards the servers are %v", got.Roles)
	}
}

// TestKillingAReplicaProvesNothing takes a replica for the primary: all goes well,
// and still the run must not say that it held.
func TestKillingAReplicaProvesNothing(t *testing.T) {
	t.Parallel()
	s := up(t)
	s.ready(t)
	out, err := s.squall(t, "redis-2")
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 {
		t.Fatalf("squall run failover.yaml: %v, want exit code 1\n%s", err, out)
	}
	if got := s.nodes(t); got.Roles["redis-1"] != "primary" || got.Replicas != 2 {
		t.Errorf("afterwards the servers are %v", got.Roles)
	}
}

// squall runs failover.yaml on the system with the service that is taken for the
// primary.
func (s *system) squall(t *testing.T, primary string) (string, error) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "squall")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../cmd/squall").CombinedOutput(); err != nil {
		t.Fatalf("build squall: %v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), program, "run", "failover.yaml",
		"--var", "project="+s.project, "--var", "primary="+primary, "--var", "writer="+s.url)
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	return string(out), err
}

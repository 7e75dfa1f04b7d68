// Package redissentinel holds no code: it is an example system with its
// experiment. Its tests run both.
package redissentinel

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
)

// nodes is the writer's answer to GET /nodes.
type nodes struct {
	Roles     map[string]string `json:"roles"`
	Primaries int               `json:"primaries"`
	Replicas  int               `json:"replicas"`
}

// TestSystemFailsOverByItself shows that what failover.yaml claims is so,
// without any of Squall: the experiment's verdict then rests on the system.
func TestSystemFailsOverByItself(t *testing.T) {
	t.Parallel()
	s := up(t)
	s.ready(t)
	if got := s.nodes(t).Roles["redis-1"]; got != "primary" {
		t.Fatalf("redis-1 starts as %s", got)
	}
	if err := s.cli.ContainerKill(t.Context(), s.container("redis-1"), "KILL"); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	if err := s.write(t.Context()); err == nil {
		t.Error("a write succeeded at once without a primary")
	}
	eventually(t, 15*time.Second, "a write succeeds", func() error { return s.write(t.Context()) })
	t.Logf("writes resumed after %s", time.Since(killed).Round(time.Millisecond))

	if err := s.cli.ContainerStart(t.Context(), s.container("redis-1"), container.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	eventually(t, time.Minute, "the old primary is a replica", func() error {
		if got := s.nodes(t); got.Roles["redis-1"] != "replica" || got.Replicas != 2 {
			return fmt.Errorf("the servers are %v", got.Roles)
		}
		return nil
	})
	t.Logf("the old primary is a replica after %s", time.Since(started).Round(time.Millisecond))

	var lost struct{ Acknowledged, Lost int }
	if err := s.ask(t.Context(), http.MethodGet, "/lost", &lost); err != nil {
		t.Fatal(err)
	}
	if lost.Acknowledged < 2 || lost.Lost != 0 {
		t.Errorf("of %d acknowledged records %d are lost", lost.Acknowledged, lost.Lost)
	}
}

// TestComposeAcceptsTheFile asks compose itself, where it is installed.
func TestComposeAcceptsTheFile(t *testing.T) {
	compose := []string{"docker", "compose"}
	if exec.CommandContext(t.Context(), "docker", "compose", "version").Run() != nil {
		if _, err := exec.LookPath("docker-compose"); err != nil {
			if os.Getenv("SQUALL_TEST_REQUIRE") == "all" {
				t.Fatal("required and missing: docker compose or docker-compose")
			}
			t.Skip("missing: docker compose or docker-compose")
		}
		compose = []string{"docker-compose"}
	}
	cmd := exec.CommandContext(t.Context(), compose[0], append(compose[1:], "--file", "compose.yaml", "config", "--quiet")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// ready waits until writes are acknowledged and all servers have their roles.
func (s *system) ready(t *testing.T) {
	t.Helper()
	eventually(t, time.Minute, "the system is ready", func() error {
		if got := s.nodes(t); got.Primaries != 1 || got.Replicas != 2 {
			return fmt.Errorf("the servers are %v", got.Roles)
		}
		return s.write(t.Context())
	})
}

func (s *system) write(ctx context.Context) error {
	return s.ask(ctx, http.MethodPut, "/write", nil)
}

func (s *system) nodes(t *testing.T) nodes {
	t.Helper()
	var n nodes
	if err := s.ask(t.Context(), http.MethodGet, "/nodes", &n); err != nil {
		t.Logf("the writer does not answer yet: %v", err)
	}
	return n
}

// ask makes one request of the writer and decodes its answer into v.
func (s *system) ask(ctx context.Context, method, path string, v any) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var body json.RawMessage
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, body)
	}
	if v == nil {
		return nil
	}
	return json.Unmarshal(body, v)
}

// eventually polls until cond returns nil, or fails the test after limit.
func eventually(t *testing.T, limit time.Duration, what string, cond func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
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

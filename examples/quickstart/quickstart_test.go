// Package quickstart tests the quickstart's labs as their files declare them.
package quickstart

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/squall-chaos/squall/targets"
	"github.com/squall-chaos/squall/targets/lab"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == lab.InitCommand {
		os.Exit(lab.InitMain(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// shop starts the lab of an experiment file.
func shop(t *testing.T, file string) targets.World {
	t.Helper()
	if err := lab.Available(); err != nil {
		unavailable(t, "%v", err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var parsed struct {
		Lab lab.Section `yaml:"lab"`
	}
	if err := yaml.Unmarshal(text, &parsed); err != nil {
		t.Fatal(err)
	}
	w, err := lab.New().Declare(&parsed.Lab)
	if err != nil {
		t.Fatal(err)
	}
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Start(t.Context(), targets.StartOptions{Dir: t.TempDir(), FileDir: here, Output: func(l string) { t.Log(l) }}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// customers ask for a price 50 times a second, whatever the answers, until stop
// is closed, and count.
func customers(ctx context.Context, w targets.World, stop <-chan struct{}) (good, all int) {
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DialContext: w.DialContext, DisableKeepAlives: true}}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var wg sync.WaitGroup
	var mu sync.Mutex
	for {
		select {
		case <-stop:
			wg.Wait()
			return good, all
		case <-tick.C:
		}
		all++
		wg.Go(func() {
			if buys(ctx, client) {
				mu.Lock()
				good++
				mu.Unlock()
			}
		})
	}
}

func buys(ctx context.Context, client *http.Client) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://gateway:8080/price/kite", nil)
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return err == nil && resp.StatusCode == http.StatusOK && strings.Contains(string(b), "1290")
}

// disturb does to the shop what the method of held.yaml and fragile.yaml does,
// and returns the share of good answers meanwhile, in percent.
func disturb(t *testing.T, w targets.World) float64 {
	t.Helper()
	ctx := t.Context()
	stop, share := make(chan struct{}), make(chan float64)
	go func() {
		good, all := customers(ctx, w, stop)
		share <- 100 * float64(good) / float64(all)
	}()
	victim, sleeper := replica(t, w, "api-2"), replica(t, w, "api-3")
	must := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	must(victim.(targets.Lifecycle).Kill(ctx, syscall.SIGKILL))
	<-time.After(3 * time.Second)
	_, err := lab.New().Restore(ctx, victim.Ref(), nil)
	must(err)
	<-time.After(time.Second)
	must(sleeper.(targets.Lifecycle).Pause(ctx))
	<-time.After(3 * time.Second)
	must(sleeper.(targets.Lifecycle).Unpause(ctx))
	close(stop)
	got := <-share
	t.Logf("%.1f %% of the requests succeeded", got)
	return got
}

func replica(t *testing.T, w targets.World, name string) targets.Target {
	t.Helper()
	sel := lab.Selector(name)
	found, err := w.Find(t.Context(), &sel)
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %d hosts, %v", name, len(found), err)
	}
	return found[0]
}

// The hypothesis of both files is that 99 % succeed.
const claimed = 99

func TestRetriesHideALostReplica(t *testing.T) {
	if got := disturb(t, shop(t, "held.yaml")); got < claimed {
		t.Errorf("%.1f %% of the requests succeeded, want at least %d %%", got, claimed)
	}
}

func TestWithoutRetriesALostReplicaIsNoticed(t *testing.T) {
	if got := disturb(t, shop(t, "fragile.yaml")); got >= claimed-1 {
		t.Errorf("%.1f %% of the requests succeeded, want clearly less than %d %%", got, claimed)
	}
}

func TestBlindMatchesNoHost(t *testing.T) {
	w := shop(t, "blind.yaml")
	text, err := os.ReadFile("blind.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var parsed struct {
		Targets map[string]struct {
			Lab lab.Selector `yaml:"lab"`
		} `yaml:"targets"`
	}
	if err := yaml.Unmarshal(text, &parsed); err != nil || len(parsed.Targets) == 0 {
		t.Fatal(parsed, err)
	}
	for name, group := range parsed.Targets {
		if found, err := w.Find(t.Context(), &group.Lab); err != nil || len(found) != 0 {
			t.Errorf("%s: %v, %v", name, found, err)
		}
	}
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// replica is an api that can be made to misbehave.
type replica struct {
	*httptest.Server
	asked atomic.Int64 // requests for prices
	mode  atomic.Value // "", "hang", "fail", "cut"
}

func newReplica(t *testing.T, name string) *replica {
	r := &replica{}
	r.mode.Store("")
	good := api(name)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if strings.HasPrefix(q.URL.Path, "/price") {
			r.asked.Add(1)
		}
		switch r.mode.Load() {
		case "hang":
			<-q.Context().Done()
		case "fail":
			http.Error(w, "broken", http.StatusInternalServerError)
		case "cut":
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("half"))
			panic(http.ErrAbortHandler)
		default:
			good.ServeHTTP(w, q)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *replica) address() string { return strings.TrimPrefix(r.URL, "http://") }

// shopOf is a gateway in front of replicas, without health checks.
func shopOf(t *testing.T, retries int, replicas ...*replica) (*gateway, string) {
	t.Helper()
	o := options{retries: retries, timeout: 200 * time.Millisecond, health: time.Second, log: io.Discard}
	for _, r := range replicas {
		o.backends = append(o.backends, r.address())
	}
	g, err := newGateway(o)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(g.routes())
	t.Cleanup(s.Close)
	return g, s.URL
}

func ask(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestGatewaySpreadsRequestsEvenly(t *testing.T) {
	a, b := newReplica(t, "a"), newReplica(t, "b")
	_, url := shopOf(t, 0, a, b)
	for range 10 {
		status, body := ask(t, url+"/price/kite")
		var q quote
		if err := json.Unmarshal([]byte(body), &q); err != nil || status != 200 || q.Cents != 1290 {
			t.Fatalf("%d %s", status, body)
		}
	}
	if a.asked.Load() != 5 || b.asked.Load() != 5 {
		t.Errorf("a was asked %d times, b %d times", a.asked.Load(), b.asked.Load())
	}
	if status, body := ask(t, url+"/price/moon"); status != 404 || !strings.Contains(body, "moon") {
		t.Errorf("an unknown item: %d %s", status, body)
	}
}

func TestRetryMakesUpForOneBadReplica(t *testing.T) {
	for _, mode := range []string{"hang", "fail", "cut", "gone"} {
		t.Run(mode, func(t *testing.T) {
			a, b := newReplica(t, "a"), newReplica(t, "b")
			a.mode.Store(mode)
			if mode == "gone" {
				a.Close()
			}
			for retries, wantGood := range map[int]int{0: 2, 1: 4} {
				_, url := shopOf(t, retries, a, b)
				good := 0
				for range 4 {
					if status, _ := ask(t, url+"/price/kite"); status == 200 {
						good++
					} else if status != http.StatusBadGateway {
						t.Errorf("status %d", status)
					}
				}
				if good != wantGood {
					t.Errorf("with %d retries %d of 4 were good, want %d", retries, good, wantGood)
				}
			}
		})
	}
}

func TestEachReplicaIsTriedOnceAtMost(t *testing.T) {
	a, b := newReplica(t, "a"), newReplica(t, "b")
	a.mode.Store("fail")
	b.mode.Store("fail")
	_, url := shopOf(t, 9, a, b)
	if status, _ := ask(t, url+"/price/kite"); status != http.StatusBadGateway {
		t.Errorf("status %d", status)
	}
	if a.asked.Load() != 1 || b.asked.Load() != 1 {
		t.Errorf("a was asked %d times, b %d times", a.asked.Load(), b.asked.Load())
	}
}

func TestUnwellReplicaIsLeftOutUntilItIsWell(t *testing.T) {
	a, b := newReplica(t, "a"), newReplica(t, "b")
	g, url := shopOf(t, 0, a, b)
	ctx, cancel := context.WithCancel(t.Context())
	watched := make(chan struct{})
	go func() { g.pool.watch(ctx, 10*time.Millisecond); close(watched) }()
	defer func() { cancel(); <-watched }()

	a.mode.Store("fail")
	until(t, func() bool { return g.pool.up() == 1 })
	before := a.asked.Load()
	for range 10 {
		if status, body := ask(t, url+"/price/kite"); status != 200 {
			t.Errorf("%d %s", status, body)
		}
	}
	if a.asked.Load() != before {
		t.Error("a replica that is down was asked")
	}
	if _, body := ask(t, url+"/healthz"); !strings.Contains(body, "1 of 2 replicas up") {
		t.Errorf("healthz: %s", body)
	}
	b.mode.Store("fail")
	until(t, func() bool { return g.pool.up() == 0 })
	a.mode.Store("") // well, and not yet known to be: still better than nothing
	until(t, func() bool { status, _ := ask(t, url+"/price/kite"); return status == 200 })
	until(t, func() bool { return g.pool.up() == 1 })
}

func until(t *testing.T, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not within 10 s")
		}
	}
}

func TestOnlyReadingIsPassedOn(t *testing.T) {
	a := newReplica(t, "a")
	_, url := shopOf(t, 0, a)
	resp, err := http.Post(url+"/price/kite", "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed || a.asked.Load() != 0 {
		t.Errorf("status %d, asked %d times", resp.StatusCode, a.asked.Load())
	}
}

func TestRunServesUntilItIsToldToEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{"api", "-listen", address}, io.Discard) }()
	until(t, func() bool { return check(t.Context(), http.DefaultClient, address) == nil })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestRunSaysWhatIsWrong(t *testing.T) {
	for args, want := range map[string]string{
		"":                                       "say what to be",
		"bakery":                                 `"bakery" is nothing a shop has`,
		"gateway":                                "has no replicas",
		"gateway -backends a:1 -retries -1":      "must not be negative",
		"gateway -backends a:1 -timeout 0s":      "must be more than 0",
		"gateway -backends a:1 -health 0s":       "must be more than 0",
		"api -listen 256.0.0.1:1":                "256.0.0.1",
		"gateway -backends a:1 -listen nonsense": "nonsense",
	} {
		if err := run(t.Context(), strings.Fields(args), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("shop %s: %v, want %q", args, err, want)
		}
	}
	if err := run(t.Context(), []string{"gateway", "-h"}, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("shop gateway -h: %v", err)
	}
}

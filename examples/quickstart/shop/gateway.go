package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"
)

// maxBody bounds the answer of a replica, which is held in memory so that a
// replica that dies half way through can be replaced by another.
const maxBody = 1 << 20

// options are the gateway's flags.
type options struct {
	backends []string
	retries  int
	timeout  time.Duration // of one try
	health   time.Duration // between two checks of a replica
	log      io.Writer
}

// gateway passes GET requests on to one replica after another until one answers.
type gateway struct {
	pool    *pool
	retries int
	timeout time.Duration
	client  *http.Client
}

func newGateway(o options) (*gateway, error) {
	switch {
	case len(o.backends) == 0:
		return nil, errors.New("the gateway has no replicas: name them with -backends host:port,…")
	case o.retries < 0:
		return nil, fmt.Errorf("-retries is %d: it must not be negative", o.retries)
	case o.timeout <= 0 || o.health <= 0:
		return nil, errors.New("-timeout and -health must be more than 0")
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute}
	return &gateway{
		pool:    newPool(o.backends, slog.New(slog.NewTextHandler(o.log, nil))),
		retries: o.retries,
		timeout: o.timeout,
		client:  &http.Client{Transport: transport},
	}, nil
}

// routes answers /healthz for the gateway alone and passes all else on. Only GET
// requests, which may safely be sent twice.
func (g *gateway) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, "ok, %d of %d replicas up\n", g.pool.up(), len(g.pool.backends))
	})
	mux.HandleFunc("GET /", g.pass)
	return mux
}

// pass tries replicas until one answers. Each is tried once at most.
func (g *gateway) pass(w http.ResponseWriter, r *http.Request) {
	tried := map[*backend]bool{}
	err := errors.New("no replica was tried")
	for range g.retries + 1 {
		b := g.pool.next(tried)
		if b == nil || r.Context().Err() != nil {
			break
		}
		tried[b] = true
		var a *answer
		if a, err = g.try(r.Context(), b, r.URL.RequestURI()); err == nil {
			a.write(w)
			return
		}
	}
	http.Error(w, err.Error(), http.StatusBadGateway)
}

// answer is what a replica said, whole.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a *answer) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", a.header.Get("Content-Type"))
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

// try asks one replica once. A status of 500 or more is an error: another
// replica may do better.
func (g *gateway) try(ctx context.Context, b *backend, uri string) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, g.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.address+uri, nil)
	if err != nil {
		return nil, err
	}
	resp, err := g.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxBody {
		return nil, fmt.Errorf("%s answers with more than %d bytes", b.address, maxBody)
	}
	if resp.StatusCode >= 500 {
		return nil, fmt.Errorf("%s answers %s", b.address, resp.Status)
	}
	return &answer{status: resp.StatusCode, header: resp.Header, body: body}, nil
}

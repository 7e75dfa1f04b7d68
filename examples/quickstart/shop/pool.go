package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// strikes is how many checks in a row a replica must fail to be taken out. One
// lost packet is no reason.
const strikes = 2

// backend is one replica of the api.
type backend struct {
	address string
	down    atomic.Bool
}

// pool spreads requests over the replicas that are up.
type pool struct {
	backends []*backend
	turn     atomic.Uint64
	log      *slog.Logger
}

func newPool(addresses []string, log *slog.Logger) *pool {
	p := &pool{log: log}
	for _, a := range addresses {
		p.backends = append(p.backends, &backend{address: a})
	}
	return p
}

// next is the replica whose turn it is among those not yet tried. One that is
// down is better than none: the check may be wrong. It returns nil when all were
// tried.
func (p *pool) next(tried map[*backend]bool) *backend {
	start := p.turn.Add(1)
	var last *backend
	for i := range uint64(len(p.backends)) {
		b := p.backends[(start+i)%uint64(len(p.backends))]
		switch {
		case tried[b]:
		case !b.down.Load():
			return b
		case last == nil:
			last = b
		}
	}
	return last
}

// up is how many replicas are up.
func (p *pool) up() int {
	n := 0
	for _, b := range p.backends {
		if !b.down.Load() {
			n++
		}
	}
	return n
}

// watch checks every replica once each interval until ctx is done.
func (p *pool) watch(ctx context.Context, interval time.Duration) {
	// A connection of its own for each check: one that was opened before a
	// replica froze would say nothing about whether it takes new ones.
	client := &http.Client{Timeout: interval, Transport: &http.Transport{DisableKeepAlives: true}}
	var wg sync.WaitGroup
	for _, b := range p.backends {
		wg.Go(func() { p.watchOne(ctx, b, client, interval) })
	}
	wg.Wait()
}

func (p *pool) watchOne(ctx context.Context, b *backend, client *http.Client, interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	failures := 0
	for {
		if err := check(ctx, client, b.address); err == nil {
			failures = 0
		} else if failures++; failures == strikes {
			p.log.Warn("replica is down", "replica", b.address, "err", err)
		}
		down := failures >= strikes
		if b.down.Swap(down) && !down {
			p.log.Info("replica is up again", "replica", b.address)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// check asks a replica whether it is well.
func check(ctx context.Context, client *http.Client, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/health", nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusOK {
		return errors.New("it answers " + resp.Status)
	}
	return nil
}

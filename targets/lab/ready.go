package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/squall-chaos/squall/targets"
)

const (
	readyTimeout = 10 * time.Second       // unless the file says otherwise
	readyTry     = 2 * time.Second        // one attempt
	readyFirst   = 5 * time.Millisecond   // until the second attempt; then longer and longer
	readySlowest = 100 * time.Millisecond // between attempts
)

// awaitReady waits for all hosts at once and returns the first failure.
func (w *World) awaitReady(ctx context.Context, o targets.StartOptions) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, h := range w.hosts {
		if h.Ready == nil {
			continue
		}
		g.Go(func() error {
			if err := w.awaitHost(ctx, h); err != nil {
				return fmt.Errorf("lab host %s: %w%s", h.name, err, quote(lastLines(w.logFile(h.name))))
			}
			say(o, "%s is ready", h.name)
			return nil
		})
	}
	return g.Wait()
}

func (w *World) logFile(host string) string { return filepath.Join(w.running().dir, host+".log") }

func (w *World) awaitHost(ctx context.Context, h declared) error {
	limit := h.Ready.Timeout.D()
	if limit == 0 {
		limit = readyTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	t := &Target{client: w.running(), host: h.name}
	var reason error // the last one that says more than that the time is up
	for pause := readyFirst; ; pause = min(pause*2, readySlowest) {
		err := w.tryReady(ctx, h)
		if err == nil {
			return nil
		}
		if reason == nil || !timedOut(err) {
			reason = err
		}
		s, _, stateErr := t.look(ctx)
		if stateErr == nil && s.Status == targets.Exited {
			return fmt.Errorf("it exited with code %d before it was ready", s.ExitCode)
		}
		select {
		case <-w.done:
			return fmt.Errorf("the lab ended before it was ready: %w", targets.ErrGone)
		case <-ctx.Done():
			return fmt.Errorf("not ready after %s (%v): check its log or raise ready.timeout", limit, reason)
		case <-time.After(pause):
		}
	}
}

func timedOut(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}

func (w *World) tryReady(ctx context.Context, h declared) error {
	ctx, cancel := context.WithTimeout(ctx, readyTry)
	defer cancel()
	switch {
	case h.Ready.TCP != "":
		conn, err := w.DialContext(ctx, "tcp", h.name+h.Ready.TCP)
		if err != nil {
			return err
		}
		return conn.Close()
	case h.Ready.HTTP != "":
		return w.tryHTTP(ctx, "http://"+h.name+h.Ready.HTTP)
	default:
		return tryLog(w.logFile(h.name), h.Ready.Log)
	}
}

func (w *World) tryHTTP(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	tr := &http.Transport{DialContext: w.DialContext, DisableKeepAlives: true}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode < 200 || resp.StatusCode > 399 {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return nil
}

func tryLog(file, text string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !bytes.Contains(b, []byte(text)) {
		return fmt.Errorf("its log does not say %q", text)
	}
	return nil
}

// lastLines is the end of a log; nothing if it cannot be read.
func lastLines(file string) []string {
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	if end, err := f.Seek(0, io.SeekEnd); err == nil {
		_, _ = f.Seek(max(0, end-16<<10), io.SeekStart)
	}
	b, _ := io.ReadAll(f)
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	if len(lines) == 1 && lines[0] == "" {
		return []string{"(its log is empty)"}
	}
	return lines[max(0, len(lines)-tailLines):]
}

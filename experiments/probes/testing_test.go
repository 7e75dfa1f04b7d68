package probes

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// decode makes a probe of that kind as a file would: its fields, and beside
// them its expectations.
func decode(t *testing.T, kind, fields, expect string) Probe {
	t.Helper()
	k, ok := KindOf(kind)
	if !ok {
		t.Fatalf("no kind %q", kind)
	}
	p := k.New()
	for into, text := range map[any]string{p: fields, p.Expect(): expect} {
		if err := yaml.UnmarshalWithOptions([]byte(text), into, yaml.Strict()); err != nil && text != "" {
			t.Fatalf("%s\n%s", text, err)
		}
	}
	return p
}

// bound is a valid probe that is ready to read.
func bound(t *testing.T, kind, fields, expect string, e Env) Probe {
	t.Helper()
	p := decode(t, kind, fields, expect)
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	if err := p.Bind(e); err != nil {
		t.Fatal(err)
	}
	return p
}

// read makes one reading that must be one.
func read(t *testing.T, p Probe) Reading {
	t.Helper()
	r, err := p.Read(t.Context())
	if err != nil {
		t.Fatalf("could not measure: %v", err)
	}
	if r.OK != (r.Detail == "") {
		t.Errorf("OK is %t and the detail %q", r.OK, r.Detail)
	}
	return r
}

// wantDetail expects a reading that is not OK for that reason, or OK if there is
// none.
func wantDetail(t *testing.T, p Probe, want string) Reading {
	t.Helper()
	r := read(t, p)
	if r.Detail != want {
		t.Errorf("got %q, want %q", r.Detail, want)
	}
	return r
}

// serve accepts connections on the loopback and hands them to f, which need not
// close them.
func serve(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); f(c) }()
		}
	}()
	return l.Addr().String()
}

// hang keeps a connection open until the other end closes it.
func hang(c net.Conn) {
	buf := make([]byte, 1024)
	for {
		if _, err := c.Read(buf); err != nil {
			return
		}
	}
}

// refusing is an address on which nobody listens.
func refusing(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// cancelled is a context that is cancelled shortly after the reading begins.
func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	timer := time.AfterFunc(50*time.Millisecond, cancel)
	t.Cleanup(func() { timer.Stop(); cancel() })
	return ctx
}

func wantError(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("got error %v, want one with %q", err, part)
	}
}

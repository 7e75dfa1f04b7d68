package probes

import (
	"bufio"
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pong answers PING as a cache does, in two parts.
func pong(c net.Conn) {
	line, _ := bufio.NewReader(c).ReadString('\n')
	if strings.TrimSpace(line) == "PING" {
		fmt.Fprint(c, "+PO")
		time.Sleep(10 * time.Millisecond)
		fmt.Fprint(c, "NG\r\n")
	}
	hang(c)
}

func TestTCP(t *testing.T) {
	flood := func(c net.Conn) {
		block := bytes.Repeat([]byte("x"), 4096)
		for {
			if _, err := c.Write(block); err != nil {
				return
			}
		}
	}
	for _, c := range []struct{ name, fields, expect, want string }{
		{"connect", "address: " + serve(t, hang), "", ""},
		{"answer", "{address: " + serve(t, pong) + `, send: "PING\r\n"}`, "contains: +PONG", ""},
		{"match", "{address: " + serve(t, pong) + `, send: "PING\r\n"}`, `matches: '^\+PONG\r\n$'`, ""},
		{"several", "{address: " + serve(t, pong) + `, send: "PING\r\n"}`, "contains: [+PO, NG]", ""},
		{"no answer", "{address: " + serve(t, hang) + `, timeout: 100ms, send: "PING\r\n"}`, "contains: +PONG", "timeout after 100ms"},
		{"wrong answer", "address: " + serve(t, func(c net.Conn) { fmt.Fprint(c, "-ERR") }), "contains: +PONG", `answer does not contain "+PONG"`},
		{"wrong match", "address: " + serve(t, func(c net.Conn) { fmt.Fprint(c, "-ERR") }), "matches: PONG", `answer does not match "PONG"`},
		{"closed", "address: " + serve(t, func(net.Conn) {}), "contains: x", "connection closed"},
		{"reset", "{address: " + serve(t, reset) + ", send: x}", "contains: x", "connection reset"},
		{"refused", "address: " + refusing(t), "", "connection refused"},
		{"endless", "address: " + serve(t, flood), "contains: y", `answer does not contain "y"`},
		{"slow", "address: " + serve(t, hang), "latency: 1ns", "slower than 1ns"},
		{"no TLS there", "{address: " + serve(t, hang) + ", timeout: 100ms, tls: {}}", "", "timeout after 100ms"},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantDetail(t, bound(t, "tcp", c.fields, c.expect, Env{}), c.want)
		})
	}
}

func TestTCPSpeaksTLS(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))
	t.Cleanup(s.Close)
	s.Config.ErrorLog = nil
	dir := t.TempDir()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), ca, 0o600); err != nil {
		t.Fatal(err)
	}
	fields := "{address: " + s.Listener.Addr().String() + `, send: "GET / HTTP/1.0\r\n\r\n", tls: {%s}}`
	wantDetail(t, bound(t, "tcp", fmt.Sprintf(fields, "ca: ca.pem"), "contains: hello", Env{Dir: dir}), "")
	wantDetail(t, bound(t, "tcp", fmt.Sprintf(fields, ""), "contains: hello", Env{}), "certificate: certificate signed by unknown authority")
}

func TestTCPHonoursTheDialer(t *testing.T) {
	address := serve(t, hang)
	asked := ""
	e := Env{Dial: func(ctx context.Context, network, name string) (net.Conn, error) {
		asked = name
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}
	wantDetail(t, bound(t, "tcp", "address: cache.internal:6379", "", e), "")
	if asked != "cache.internal:6379" {
		t.Errorf("dialled %q", asked)
	}
}

func TestTCPIsCutOffWithoutAReading(t *testing.T) {
	p := bound(t, "tcp", "address: "+serve(t, hang), "contains: x", Env{})
	if r, err := p.Read(cancelled(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %+v, %v", r, err)
	}
}

package probes

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// site is a server with an answer for every case.
func site(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Version", "v1.2.3")
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		fmt.Fprint(w, `{"status":"ok","lag":12.5,"queue":3,"text":"7.5","big":9007199254740993,"items":[{"n":1},{"n":2}],"none":null,"on":true,"yes":"no"}`)
	})
	mux.HandleFunc("/status/{code}", func(w http.ResponseWriter, r *http.Request) {
		code := 0
		fmt.Sscan(r.PathValue("code"), &code)
		w.WriteHeader(code)
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s host=%s agent=%s proto=%s", r.Method, r.Header.Get("Authorization"), b, r.Host, r.UserAgent(), r.Proto)
	})
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	mux.HandleFunc("/once", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/ok", http.StatusFound) })
	mux.HandleFunc("/twice", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/once", http.StatusFound) })
	mux.HandleFunc("/hang", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/trickle", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			fmt.Fprint(w, ".")
			w.(http.Flusher).Flush()
			select {
			case <-time.After(10 * time.Millisecond):
			case <-r.Context().Done():
			}
		}
	})
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		block := []byte(strings.Repeat("x", 64<<10))
		for r.Context().Err() == nil {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/torn", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, "half")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/nan", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"lag":"NaN","word":"soon","list":[1,2]}`)
	})
	s := httptest.NewUnstartedServer(mux)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func TestHTTPExpectations(t *testing.T) {
	s := site(t)
	for _, c := range []struct{ path, expect, want string }{
		{"/ok", "", ""},
		{"/once", "", ""}, // a redirect is the answer
		{"/status/503", "", "status 503, wanted 2xx or 3xx"},
		{"/status/404", "status: 404", ""},
		{"/status/404", "status: [200, 4xx]", ""},
		{"/status/404", "status: [200, 204]", "status 404, wanted 200 or 204"},
		{"/status/204", "status: 200-299", ""},
		{"/status/300", "status: 200-299", "status 300, wanted 200-299"},
		{"/once", "status: 2xx", "status 302, wanted 2xx"},
		{"/ok", `headers: {x-version: v1.2.3}`, ""},
		{"/ok", `headers: {x-version: v1.2}`, `header X-Version is not "v1.2"`},
		{"/ok", `headers: {content-type: {contains: json}}`, ""},
		{"/ok", `headers: {content-type: {matches: "^text/"}}`, `header Content-Type does not match "^text/"`},
		{"/ok", `headers: {x-gone: {contains: x}}`, "no header X-Gone"},
		{"/ok", `body: {contains: ok}`, ""},
		{"/ok", `body: {contains: [ok, gone]}`, `body does not contain "gone"`},
		{"/ok", `body: {not_contains: ok}`, `body contains "ok"`},
		{"/ok", `body: {matches: '"lag":[0-9.]+'}`, ""},
		{"/ok", `body: {matches: '"lag":[a-z]+'}`, `body does not match "\"lag\":[a-z]+"`},
		{"/ok", `body: {equals: ok}`, `body is not "ok"`},
		{"/ok", `latency: "<= 10s"`, ""},
		{"/ok", `latency: 1ns`, "slower than 1ns"},
		{"/loop", "", ""},
		{"/torn", "", "connection closed"},
		{"/endless", "", ""},
		{"/endless", "body: {contains: xxx}", ""},
		{"/endless", "body: {not_contains: y}", ""},
		{"/endless", "body: {equals: x}", "body is longer than 1 MiB"},
		{"/endless", "body: {json: {$.a: 1}}", "body is longer than 1 MiB"},
	} {
		t.Run(c.path+" "+c.expect, func(t *testing.T) {
			wantDetail(t, bound(t, "http", "url: "+s.URL+c.path, c.expect, Env{}), c.want)
		})
	}
}

func TestHTTPJSON(t *testing.T) {
	s := site(t)
	for _, c := range []struct{ json, want string }{
		{`{$.status: ok}`, ""},
		{`{$.status: failed}`, `$.status is not "failed"`},
		{`{$.queue: 3, $.lag: 12.5, $.on: true, $.none: null}`, ""},
		{`{$.queue: "3"}`, `$.queue is not "3"`}, // a text is not a number
		{`{$.queue: ">= 3"}`, ""},
		{`{$.queue: "> 3"}`, `$.queue is not > 3`},
		{`{$.queue: "< 3"}`, `$.queue is not < 3`},
		{`{$.queue: "<= 3"}`, ""},
		{`{$.status: ">= 3"}`, `$.status is not >= 3`}, // never a text
		{`{$.queue: "!= 0"}`, ""},
		{`{$.status: "!= ok"}`, `$.status is not != "ok"`},
		{`{$.status: '== "ok"'}`, ""},
		{`{$.gone: "!= ok"}`, "no $.gone"}, // what is not there is not different
		{`{'$.items[*].n': ">= 1"}`, ""},
		{`{'$.items[*].n': ">= 2"}`, "$.items[*].n is not >= 2"}, // every one
		{`{'$.items[?@.n == 2].n': 2}`, ""},
		{`{'$.items[1]': {n: 2}}`, ""},
		{`{'$.items': [{n: 1}, {n: 2}]}`, ""},
		{`{'$.items[-1].n': 2}`, ""},
		{`{'$.yes': "no"}`, ""}, // JSON, not YAML
		{`{'$[?length(@) == 2]': [{n: 1}, {n: 2}]}`, `$[?length(@) == 2] is not [{"n":1},{"n":2}]`},
	} {
		t.Run(c.json, func(t *testing.T) {
			wantDetail(t, bound(t, "http", "url: "+s.URL+"/ok", "body: {json: "+c.json+"}", Env{}), c.want)
		})
	}
	wantDetail(t, bound(t, "http", "url: "+s.URL+"/echo", "body: {json: {$.a: 1}}", Env{}), "body is not JSON")
}

func TestHTTPRequest(t *testing.T) {
	s := site(t)
	p := bound(t, "http", `{url: "`+s.URL+`/echo", method: PUT, headers: {Authorization: Bearer x, host: shop.test}, body: hello}`,
		`body: {equals: "PUT Bearer x hello host=shop.test agent=squall proto=HTTP/1.1"}`, Env{})
	wantDetail(t, p, "")
	wantDetail(t, p, "") // a second time with the same body
}

func TestHTTPRedirects(t *testing.T) {
	s := site(t)
	wantDetail(t, bound(t, "http", "{url: "+s.URL+"/once, redirects: 1}", "body: {contains: lag}", Env{}), "")
	wantDetail(t, bound(t, "http", "{url: "+s.URL+"/twice, redirects: 1}", "", Env{}), "more than 1 redirects")
	wantDetail(t, bound(t, "http", "{url: "+s.URL+"/twice, redirects: 2}", "body: {contains: lag}", Env{}), "")
	wantDetail(t, bound(t, "http", "{url: "+s.URL+"/loop, redirects: 5}", "", Env{}), "more than 5 redirects")
}

func TestHTTPValue(t *testing.T) {
	s := site(t)
	for _, c := range []struct {
		path, value string
		want        float64
		err         string
	}{
		{"/ok", "$.lag", 12.5, ""},
		{"/ok", "$.text", 7.5, ""},
		{"/ok", "$.items[1].n", 2, ""},
		{"/ok", `'"queue":([0-9]+)'`, 3, ""},
		{"/ok", "$.status", 0, "not a number"},
		{"/ok", "$.none", 0, "not a number"},
		{"/ok", "$.on", 0, "not a number"},
		{"/ok", "$.gone", 0, "not found"},
		{"/ok", "$.items[*].n", 0, "more than once"},
		{"/nan", "$.lag", 0, "not a number"},
		{"/nan", "$.word", 0, "not a number"},
		{"/nan", "'gone=([0-9])'", 0, "not found"},
		{"/echo", "$.a", 0, "not JSON"},
	} {
		p := bound(t, "http", "{url: "+s.URL+c.path+", value: "+strconv.Quote(strings.Trim(c.value, "'"))+"}", "", Env{})
		r, err := p.Read(t.Context())
		if c.err != "" {
			wantError(t, err, c.err)
			continue
		}
		if err != nil || !r.HasValue || r.Value != c.want {
			t.Errorf("%s: got %+v, %v; want %g", c.value, r, err, c.want)
		}
	}
	bad := bound(t, "http", "{url: "+s.URL+"/status/503, value: $.lag}", "", Env{})
	if r := wantDetail(t, bad, "status 503, wanted 2xx or 3xx"); r.HasValue {
		t.Errorf("got a value of a failed reading without one: %+v", r)
	}
}

func TestHTTPTimesOut(t *testing.T) {
	s := site(t)
	silent := serve(t, hang)
	for _, url := range []string{s.URL + "/hang", s.URL + "/trickle", "http://" + silent, "https://" + silent} {
		start := time.Now()
		r := wantDetail(t, bound(t, "http", "{url: "+url+", timeout: 150ms}", "", Env{}), "timeout after 150ms")
		if took := time.Since(start); took > 2*time.Second || r.Latency < 150*time.Millisecond {
			t.Errorf("%s: took %s, latency %s", url, took, r.Latency)
		}
	}
}

func TestHTTPFailuresReadAlike(t *testing.T) {
	for _, c := range []struct{ url, want string }{
		{"http://" + refusing(t), "connection refused"},
		{"http://" + serve(t, asked), "connection closed"},
		{"http://" + serve(t, func(c net.Conn) { asked(c); fmt.Fprint(c, "SSH-2.0-x\r\n"); hang(c) }), "malformed response"},
		{"http://" + serve(t, reset), "connection reset"},
		{"http://nowhere.invalid", "name not found: nowhere.invalid"},
	} {
		if strings.Contains(c.url, "invalid") {
			e := Env{Dial: func(context.Context, string, string) (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Name: "nowhere.invalid", Err: "no such host", IsNotFound: true}}
			}}
			wantDetail(t, bound(t, "http", "url: "+c.url, "", e), c.want)
			continue
		}
		p := bound(t, "http", "url: "+c.url, "", Env{})
		wantDetail(t, p, c.want)
		wantDetail(t, p, c.want)
	}
}

// asked waits for a request.
func asked(c net.Conn) {
	buf := make([]byte, 1024)
	_, _ = c.Read(buf)
}

// reset cuts the connection off once it was asked something.
func reset(c net.Conn) {
	asked(c)
	_ = c.(*net.TCPConn).SetLinger(0)
}

func TestHTTPTellsOurTroubleFromTheSystems(t *testing.T) {
	for _, c := range []struct {
		err  error
		ours bool
	}{
		{errors.New("the target is gone"), true},
		{&net.OpError{Op: "dial", Err: fmt.Errorf("open network namespace: %w", syscall.ENOENT)}, true},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("socket", syscall.EMFILE)}, true},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EADDRNOTAVAIL)}, true},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, false},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EPERM)}, false},
		{&net.OpError{Op: "dial", Err: context.DeadlineExceeded}, false},
		{syscall.EHOSTUNREACH, false},
	} {
		e := Env{Dial: func(context.Context, string, string) (net.Conn, error) { return nil, c.err }}
		for _, p := range []Probe{
			bound(t, "http", "url: http://cache:80/", "", e),
			bound(t, "tcp", "address: cache:80", "", e),
		} {
			r, err := p.Read(t.Context())
			if (err != nil) != c.ours || r.OK {
				t.Errorf("%T, %v: got %+v, %v", p, c.err, r, err)
			}
		}
	}
}

func TestHTTPHonoursTheDialer(t *testing.T) {
	s := site(t)
	var asked string
	e := Env{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		asked = network + " " + address
		return (&net.Dialer{}).DialContext(ctx, network, s.Listener.Addr().String())
	}}
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1") // must have no effect
	wantDetail(t, bound(t, "http", "url: http://cache.internal:8080/ok", "", e), "")
	if asked != "tcp cache.internal:8080" {
		t.Errorf("dialled %q", asked)
	}
}

func TestHTTPConnections(t *testing.T) {
	for _, c := range []struct {
		fields string
		want   int
	}{{"", 3}, {", keepalive: true", 1}} {
		var mu sync.Mutex
		opened := 0
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }))
		s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			mu.Lock()
			defer mu.Unlock()
			if state == http.StateNew {
				opened++
			}
		}
		s.Start()
		p := bound(t, "http", "{url: "+s.URL+c.fields+"}", "", Env{})
		for range 3 {
			wantDetail(t, p, "")
		}
		s.CloseClientConnections()
		s.Close()
		mu.Lock()
		if opened != c.want {
			t.Errorf("%q: %d connections, want %d", c.fields, opened, c.want)
		}
		mu.Unlock()
	}
}

func TestHTTPTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s sni=%s", r.Proto, r.TLS.ServerName)
	}))
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	dir := t.TempDir()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), ca, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ tls, expect, want string }{
		{"", "", "certificate: certificate signed by unknown authority"},
		{"insecure: true", "body: {contains: HTTP/2.0}", ""},
		{"ca: ca.pem", "", ""},
		{"{ca: ca.pem, server_name: example.com}", "body: {contains: sni=example.com}", ""},
		{"{ca: ca.pem, server_name: wrong.test}", "", "certificate: certificate is valid for example.com, *.example.com, not wrong.test"},
	} {
		p := bound(t, "http", "{url: "+s.URL+", tls: {"+strings.Trim(c.tls, "{}")+"}}", c.expect, Env{Dir: dir})
		wantDetail(t, p, c.want)
	}
	plain := site(t)
	wantDetail(t, bound(t, "http", "url: "+strings.Replace(plain.URL, "http", "https", 1), "", Env{}), "http: server gave HTTP response to HTTPS client")
}

func TestHTTPClientCertificate(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "certificates=%d", len(r.TLS.PeerCertificates))
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	dir := t.TempDir()
	certificate(t, dir)
	p := bound(t, "http", "{url: "+s.URL+", tls: {insecure: true, cert: cert.pem, key: key.pem}}", "body: {equals: certificates=1}", Env{Dir: dir})
	wantDetail(t, p, "")
	if r := read(t, bound(t, "http", "{url: "+s.URL+", tls: {insecure: true}}", "", Env{})); r.OK {
		t.Error("went through without a certificate")
	}
}

func TestHTTPIsCutOffWithoutAReading(t *testing.T) {
	s := site(t)
	r, err := bound(t, "http", "url: "+s.URL+"/hang", "", Env{}).Read(cancelled(t))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestHTTPReadsConcurrently(t *testing.T) {
	s := site(t)
	p := bound(t, "http", "{url: "+s.URL+"/ok, value: '$.items[?@.n==2].n'}", `body: {json: {'$..n': ">= 1"}}`, Env{})
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 10 {
				if r, err := p.Read(t.Context()); err != nil || !r.OK || r.Value != 2 {
					t.Errorf("got %+v, %v", r, err)
				}
			}
		})
	}
	wg.Wait()
}

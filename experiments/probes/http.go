package probes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/squall-chaos/squall/experiments/units"
)

func init() {
	register(Kind{
		Name: "http",
		Doc:  "asks an HTTP server and looks at its status, headers, body and latency",
		New:  func() Probe { return &HTTP{Method: http.MethodGet, Timeout: units.Duration(defaultTimeout)} },
	})
}

const (
	// defaultTimeout is how long a reading takes at most unless the file says so.
	defaultTimeout = 2 * time.Second
	// mostBody is how much of an answer is read; what comes after it is not looked
	// at.
	mostBody = 1 << 20
)

// HTTP asks an HTTP/1.1 or HTTP/2 server. Every reading opens a connection of
// its own, resolves the name anew, and uses no proxy, whatever the environment
// says. Anything but what is expected, in time and whole, is a failed reading.
type HTTP struct {
	URL       string            `yaml:"url" jsonschema:"required"` // http or https; required
	Method    string            `yaml:"method,omitempty"`          // default GET
	Headers   map[string]string `yaml:"headers,omitempty"`         // Host is one of them
	Body      string            `yaml:"body,omitempty"`            // sent as it is
	Timeout   units.Duration    `yaml:"timeout,omitempty"`         // of the whole reading, from name lookup to the body's last byte; default 2s
	TLS       *TLS              `yaml:"tls,omitempty"`             // for https
	Redirects int               `yaml:"redirects,omitempty"`       // how many are followed, one more fails the reading; default 0: a redirect is the answer
	KeepAlive bool              `yaml:"keepalive,omitempty"`       // reuse connections from reading to reading
	Value     string            `yaml:"value,omitempty"`           // a number to read from the body: a JSONPath, a regular expression with a group, or the word output for all of it

	expect HTTPExpect
	client *http.Client
	header http.Header
	ready  httpMatcher
}

// HTTPExpect is what is expected of the answer. All that is set must be met.
type HTTPExpect struct {
	Status  Statuses               `yaml:"status,omitempty"`  // default: any 2xx or 3xx
	Headers map[string]HeaderMatch `yaml:"headers,omitempty"` // by name, in any case
	Body    *BodyMatch             `yaml:"body,omitempty"`
	Latency MaxDuration            `yaml:"latency,omitempty"` // of this one reading
}

// BodyMatch is what is expected of an answer's body, of which the first MiB is
// looked at; a body longer than that is not equal to anything and not JSON.
type BodyMatch struct {
	Contains    Texts     `yaml:"contains,omitempty"`     // every one of these
	NotContains Texts     `yaml:"not_contains,omitempty"` // none of these
	Matches     string    `yaml:"matches,omitempty"`      // somewhere in it; an RE2 regular expression
	Equals      *string   `yaml:"equals,omitempty"`       // exactly this, but for white space around it
	JSON        JSONMatch `yaml:"json,omitempty"`         // JSONPath (RFC 9535) to a value or a comparison
}

func (b *BodyMatch) text() TextMatch {
	return TextMatch{Contains: b.Contains, NotContains: b.NotContains, Matches: b.Matches, Equals: b.Equals}
}

// httpMatcher is HTTPExpect made ready.
type httpMatcher struct {
	headers map[string]textMatcher
	text    *textMatcher
	json    []place
	value   *reader
}

// Expect returns the expectations.
func (h *HTTP) Expect() any { return &h.expect }

// Limit is the timeout.
func (h *HTTP) Limit() time.Duration { return h.Timeout.D() }

// Validate says what is wrong with the probe.
func (h *HTTP) Validate() error {
	errs := []error{h.validateURL(), h.TLS.validate(), timeoutOf(h.Timeout), h.expect.Status.validate()}
	if h.Method != strings.ToUpper(h.Method) || strings.ContainsAny(h.Method, " \t\r\n") {
		errs = append(errs, fmt.Errorf("method: %q is not a method: write for example POST", h.Method))
	}
	if h.Redirects < 0 {
		errs = append(errs, errors.New("redirects: it cannot be negative: 0 follows none"))
	}
	if h.TLS != nil && strings.HasPrefix(h.URL, "http://") {
		errs = append(errs, errors.New("tls: the url is not https, so that it has no effect: leave one out"))
	}
	for _, name := range slices.Sorted(maps.Keys(h.expect.Headers)) {
		errs = append(errs, TextMatch(h.expect.Headers[name]).validate("headers."+name))
	}
	if b := h.expect.Body; b != nil {
		errs = append(errs, b.text().validate("body"), b.JSON.validate())
	}
	_, err := newReader(h.Value)
	return errors.Join(append(errs, err)...)
}

func (h *HTTP) validateURL() error {
	if h.URL == "" {
		return errors.New("url: it is missing: write for example http://127.0.0.1:8080/health")
	}
	if unresolved(h.URL) {
		return nil
	}
	u, err := url.Parse(h.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fmt.Errorf("url: %q is not an http or https address: write for example http://127.0.0.1:8080/health", h.URL)
	}
	return nil
}

// timeoutOf says what is wrong with a timeout.
func timeoutOf(d units.Duration) error {
	if d <= 0 {
		return errors.New("timeout: it must be more than zero: leave it out for 2s")
	}
	return nil
}

// Bind prepares connections and expectations.
func (h *HTTP) Bind(e Env) error {
	conf, err := h.TLS.config(e.Dir)
	if err != nil {
		return err
	}
	if h.ready, err = h.prepare(); err != nil {
		return err
	}
	h.header = http.Header{"User-Agent": {"squall"}}
	for name, value := range h.Headers {
		h.header.Set(name, value)
	}
	h.client = &http.Client{
		Transport: &http.Transport{
			DialContext:         dialer(e.Dial),
			TLSClientConfig:     conf,
			ForceAttemptHTTP2:   true,
			DisableKeepAlives:   !h.KeepAlive,
			DisableCompression:  true,
			MaxIdleConnsPerHost: 256,
			IdleConnTimeout:     30 * time.Second,
		},
		CheckRedirect: h.checkRedirect,
	}
	return nil
}

func (h *HTTP) prepare() (httpMatcher, error) {
	m := httpMatcher{headers: map[string]textMatcher{}}
	for name, want := range h.expect.Headers {
		ready, err := TextMatch(want).ready()
		if err != nil {
			return m, err
		}
		m.headers[textproto.CanonicalMIMEHeaderKey(name)] = ready
	}
	if b := h.expect.Body; b != nil {
		text, err := b.text().ready()
		if err != nil {
			return m, err
		}
		m.text = &text
		if m.json, err = b.JSON.ready(); err != nil {
			return m, err
		}
	}
	var err error
	m.value, err = newReader(h.Value)
	return m, err
}

var errRedirects = errors.New("too many redirects")

func (h *HTTP) checkRedirect(_ *http.Request, via []*http.Request) error {
	switch {
	case h.Redirects == 0:
		return http.ErrUseLastResponse
	case len(via) > h.Redirects:
		return errRedirects
	}
	return nil
}

// Read makes one request.
func (h *HTTP) Read(ctx context.Context) (Reading, error) {
	a, bounded, cancel := begin(ctx, h.Timeout.D())
	defer cancel()
	req, err := http.NewRequestWithContext(bounded, h.Method, h.URL, strings.NewReader(h.Body))
	if err != nil {
		return Reading{}, err
	}
	req.Header = h.header.Clone()
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	resp, err := h.client.Do(req)
	switch {
	case errors.Is(err, errRedirects):
		return a.wrong(fmt.Sprintf("more than %d redirects", h.Redirects)), nil
	case err != nil:
		return a.failed(err)
	}
	defer resp.Body.Close()
	body, whole, err := h.readBody(resp.Body)
	if err != nil {
		return a.failed(err)
	}
	latency := time.Since(a.start)
	if detail := h.mismatch(resp, body, whole, latency); detail != "" {
		r := Reading{Latency: latency, Detail: detail}
		if h.ready.value != nil {
			if v, err := h.ready.value.read(body); err == nil {
				r.Value, r.HasValue = v, true
			}
		}
		return r, nil
	}
	r := Reading{OK: true, Latency: latency}
	if h.ready.value != nil {
		if r.Value, err = h.ready.value.read(body); err != nil {
			return Reading{}, err
		}
		r.HasValue = true
	}
	return r, nil
}

// readBody reads up to the limit, and keeps it only if somebody looks at it.
func (h *HTTP) readBody(r io.Reader) (body []byte, whole bool, err error) {
	limited := io.LimitReader(r, mostBody+1)
	if h.ready.text == nil && h.ready.value == nil {
		n, err := io.Copy(io.Discard, limited)
		return nil, n <= mostBody, err
	}
	var b bytes.Buffer
	n, err := b.ReadFrom(limited)
	body = b.Bytes()
	if n > mostBody {
		return body[:mostBody], false, err
	}
	return body, true, err
}

// mismatch says how the answer is not as expected; "" if it is.
func (h *HTTP) mismatch(resp *http.Response, body []byte, whole bool, latency time.Duration) string {
	want := h.expect.Status
	if len(want) == 0 {
		want = Statuses{"2xx", "3xx"}
	}
	if !want.match(resp.StatusCode) {
		return fmt.Sprintf("status %d, wanted %s", resp.StatusCode, want)
	}
	for name, m := range h.ready.headers {
		value := strings.Join(resp.Header.Values(name), ", ")
		if len(resp.Header.Values(name)) == 0 {
			return "no header " + name
		}
		if d := m.mismatch("header "+name, value); d != "" {
			return d
		}
	}
	if d := h.ready.bodyMismatch(body, whole); d != "" {
		return d
	}
	return h.expect.Latency.exceeded(latency)
}

func (m httpMatcher) bodyMismatch(body []byte, whole bool) string {
	if m.text == nil {
		return ""
	}
	if !whole && (m.text.Equals != nil || len(m.json) > 0) {
		return "body is longer than 1 MiB"
	}
	if d := m.text.mismatch("body", string(body)); d != "" || len(m.json) == 0 {
		return d
	}
	doc, err := parseJSON(body)
	if err != nil {
		return "body is " + err.Error()
	}
	for _, p := range m.json {
		if d := p.mismatch(doc); d != "" {
			return d
		}
	}
	return ""
}

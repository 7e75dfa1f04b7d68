package probes

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"time"

	"github.com/squall-chaos/squall/experiments/units"
)

func init() {
	register(Kind{
		Name: "tcp",
		Doc:  "opens a TCP connection, optionally says something and looks at the answer",
		New:  func() Probe { return &TCP{Timeout: units.Duration(defaultTimeout)} },
	})
}

// mostAnswer is how much of a TCP answer is looked at.
const mostAnswer = 64 << 10

// TCP opens a connection, a new one for every reading. It is good when the
// connection (and the TLS handshake, if asked for) comes about in time and the
// answer, if one is expected, is as expected.
type TCP struct {
	Address string         `yaml:"address" jsonschema:"required"` // host:port; required
	Timeout units.Duration `yaml:"timeout,omitempty"`             // of the whole reading; default 2s
	TLS     *TLS           `yaml:"tls,omitempty"`                 // speak TLS; {} with the machine's own trust
	Send    string         `yaml:"send,omitempty"`                // sent as it is once connected

	expect TCPExpect
	dial   DialFunc
	conf   *tls.Config // nil: no TLS
	re     *regexp.Regexp
}

// TCPExpect is what is expected of the answer. Reading goes on until all of it
// is met, the other end closes, or 64 KiB came.
type TCPExpect struct {
	Contains Texts       `yaml:"contains,omitempty"` // every one of these
	Matches  string      `yaml:"matches,omitempty"`  // somewhere in it; an RE2 regular expression
	Latency  MaxDuration `yaml:"latency,omitempty"`  // of this one reading
}

// Expect returns the expectations.
func (t *TCP) Expect() any { return &t.expect }

// Limit is the timeout.
func (t *TCP) Limit() time.Duration { return t.Timeout.D() }

// Validate says what is wrong with the probe.
func (t *TCP) Validate() error {
	errs := []error{t.validateAddress(), t.TLS.validate(), timeoutOf(t.Timeout)}
	if _, err := compile(t.expect.Matches); err != nil {
		errs = append(errs, fmt.Errorf("expect.matches: %w", err))
	}
	return errors.Join(errs...)
}

func (t *TCP) validateAddress() error {
	if unresolved(t.Address) {
		return nil
	}
	host, port, err := net.SplitHostPort(t.Address)
	if err != nil || host == "" || port == "" {
		return fmt.Errorf("address: %q is not a host and a port: write for example 127.0.0.1:6379", t.Address)
	}
	return nil
}

// Bind prepares connections and expectations.
func (t *TCP) Bind(e Env) error {
	t.dial = dialer(e.Dial)
	var err error
	if t.re, err = compile(t.expect.Matches); err != nil {
		return err
	}
	if t.TLS == nil {
		return nil
	}
	if t.conf, err = t.TLS.config(e.Dir); err != nil {
		return err
	}
	if t.conf.ServerName == "" {
		t.conf.ServerName, _, _ = net.SplitHostPort(t.Address)
	}
	return nil
}

// Read opens one connection.
func (t *TCP) Read(ctx context.Context) (Reading, error) {
	a, bounded, cancel := begin(ctx, t.Timeout.D())
	defer cancel()
	conn, err := t.dial(bounded, "tcp", t.Address)
	if err != nil {
		return a.failed(err)
	}
	defer conn.Close()
	defer context.AfterFunc(bounded, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if t.conf != nil {
		secured := tls.Client(conn, t.conf)
		if err := secured.HandshakeContext(bounded); err != nil {
			return a.failed(err)
		}
		conn = secured
	}
	if t.Send != "" {
		if _, err := io.WriteString(conn, t.Send); err != nil {
			return a.failed(err)
		}
	}
	if r, err := t.listen(a, conn); err != nil || !r.OK {
		return r, err
	}
	latency := time.Since(a.start)
	if d := t.expect.Latency.exceeded(latency); d != "" {
		return a.wrong(d), nil
	}
	return Reading{OK: true, Latency: latency}, nil
}

// listen reads until the answer is as expected, or cannot be any more.
func (t *TCP) listen(a attempt, conn net.Conn) (Reading, error) {
	var got []byte
	buf := make([]byte, 4096)
	for {
		missing := t.missing(string(got))
		if missing == "" {
			return Reading{OK: true}, nil
		}
		if len(got) >= mostAnswer {
			return a.wrong(missing), nil
		}
		n, err := conn.Read(buf)
		got = append(got, buf[:n]...)
		switch {
		case n > 0:
		case errors.Is(err, io.EOF) && len(got) > 0:
			return a.wrong(missing), nil
		case err != nil:
			return a.failed(err)
		}
	}
}

// missing says what is not yet in the answer; "" if all of it is.
func (t *TCP) missing(answer string) string {
	for _, s := range t.expect.Contains {
		if !strings.Contains(answer, s) {
			return "answer does not contain " + quote(s)
		}
	}
	if t.re != nil && !t.re.MatchString(answer) {
		return "answer does not match " + quote(t.expect.Matches)
	}
	return ""
}

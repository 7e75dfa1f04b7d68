package probes

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/squall-chaos/squall/experiments/units"
)

// errOurs marks an error that is ours and not the system's: nothing was
// measured.
var errOurs = errors.New("could not measure")

// ours are the errors of the kernel that say that this machine, not the other
// end, is at its limits.
var ours = []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS, syscall.EADDRNOTAVAIL}

// dialer returns dial, or one that starts on this machine if it is nil. What
// goes wrong before the network is asked is marked as ours.
func dialer(dial DialFunc) DialFunc {
	if dial == nil {
		d := &net.Dialer{KeepAlive: -1}
		return d.DialContext
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err == nil {
			return c, nil
		}
		if ctx.Err() != nil || theirs(err) {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %w", errOurs, err)
	}
}

// theirs reports whether err, from a dialer that starts elsewhere, is an answer
// of the network: a name that is not known, time that ran out, a connection that
// did not come about. Anything else went wrong on the way to the network.
func theirs(err error) bool {
	var dns *net.DNSError
	var timeout net.Error
	var call *os.SyscallError
	if errors.As(err, &dns) || (errors.As(err, &timeout) && timeout.Timeout()) || (errors.As(err, &call) && call.Syscall == "connect") {
		return true
	}
	for _, s := range short {
		if errors.Is(err, s.err) {
			return true
		}
	}
	return false
}

// attempt bounds one reading. A probe gives its own context to what it does and
// the error to outcome.
type attempt struct {
	outer   context.Context
	timeout time.Duration
	start   time.Time
}

func begin(ctx context.Context, timeout time.Duration) (attempt, context.Context, context.CancelFunc) {
	start := time.Now() // before the deadline is set, so that a timeout never took less
	bounded, cancel := context.WithTimeout(ctx, timeout)
	return attempt{outer: ctx, timeout: timeout, start: start}, bounded, cancel
}

// failed makes a reading of err, or an error if err says nothing of the system.
func (a attempt) failed(err error) (Reading, error) {
	if a.outer.Err() != nil {
		return Reading{}, a.outer.Err()
	}
	if errors.Is(err, errOurs) {
		return Reading{}, err
	}
	for _, errno := range ours {
		if errors.Is(err, errno) {
			return Reading{}, fmt.Errorf("%w: %w", errOurs, errno)
		}
	}
	return a.wrong(a.describe(err)), nil
}

// wrong is a reading that is not as expected.
func (a attempt) wrong(detail string) Reading {
	return Reading{Latency: time.Since(a.start), Detail: detail}
}

// short names errors by what makes them alike, without addresses and times.
var short = []struct {
	err  error
	text string
}{
	{syscall.ECONNREFUSED, "connection refused"},
	{syscall.ECONNRESET, "connection reset"},
	{syscall.EPIPE, "connection closed"},
	{syscall.ECONNABORTED, "connection aborted"},
	{syscall.EHOSTUNREACH, "host unreachable"},
	{syscall.ENETUNREACH, "network unreachable"},
	{syscall.ETIMEDOUT, "connection timed out"},
	{io.ErrUnexpectedEOF, "connection closed"},
	{io.EOF, "connection closed"},
}

func (a attempt) describe(err error) string {
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		(time.Since(a.start) >= a.timeout && errors.As(err, &timeout) && timeout.Timeout()) {
		return "timeout after " + units.Duration(a.timeout).String()
	}
	for _, s := range short {
		if errors.Is(err, s.err) {
			return s.text
		}
	}
	var dns *net.DNSError
	var invalid x509.CertificateInvalidError
	var verify *tls.CertificateVerificationError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "name not found: " + dns.Name
	case errors.As(err, &dns):
		return "name lookup failed: " + dns.Name
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "certificate has expired or is not yet valid"
	case errors.As(err, &verify):
		return "certificate: " + strings.TrimPrefix(verify.Err.Error(), "x509: ")
	}
	return innermost(err)
}

// innermost is the message of the error that all others wrap, cut short.
func innermost(err error) string {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(next) {
		err = next
	}
	text := err.Error()
	switch {
	case strings.HasPrefix(text, "malformed HTTP"), strings.Contains(text, "malformed MIME header"),
		strings.HasPrefix(text, "readLoopPeekFailLocked"): // net/http: an answer before the question
		return "malformed response"
	case text == "http: server closed idle connection":
		return "connection closed"
	case strings.HasPrefix(text, "stream error"):
		return "HTTP/2 stream error"
	}
	const most = 100
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

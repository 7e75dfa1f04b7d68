package netns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/squall-chaos/squall/targets"
)

// headStart is how long connections of the preferred address family are tried
// alone (RFC 8305 calls it the connection attempt delay, and allows 100 ms to 2 s).
const headStart = 300 * time.Millisecond

// Dial connects to an IP address and port from inside the network namespace at
// path, such as /proc/PID/ns/net; an empty path is our own. network is "tcp",
// "udp", or one of them with "4" or "6". Names are a Dialer's business.
//
// It blocks until connected or ctx is done. A namespace that is gone yields
// targets.ErrGone; one that may not be entered an error wrapping
// fs.ErrPermission. It may be called concurrently and costs no thread per call.
func Dial(ctx context.Context, path, network, address string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: fmt.Errorf("%q is not an IP address with a port: %w", address, err)}
	}
	return dialAddr(ctx, path, network, to)
}

// Dialer connects from inside a target's network.
type Dialer struct {
	Site targets.Site // NetNS and Root are used; each empty one is our own
}

// DialContext connects to address as the target would: names are looked up by a
// Resolver for the same site, and the addresses of one name are tried in turn,
// IPv6 and IPv4 side by side after a short head start for the first. network is
// as for Dial.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	port, err := net.DefaultResolver.LookupPort(ctx, strings.TrimRight(network, "46"), service)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	resolver := Resolver{Site: d.Site}
	addrs, err := resolver.LookupNetIP(ctx, "ip"+strings.TrimLeft(network, "tcpud"), host)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	var first, second []netip.AddrPort
	for _, a := range addrs {
		to := netip.AddrPortFrom(a, uint16(port))
		if a.Is4() == addrs[0].Is4() {
			first = append(first, to)
		} else {
			second = append(second, to)
		}
	}
	return race(ctx, d.Site.NetNS, network, first, second)
}

type outcome struct {
	conn net.Conn
	err  error
}

// race dials the first addresses, and the second ones beside them once the first
// failed or took their time. Whoever comes late is closed.
func race(ctx context.Context, path, network string, first, second []netip.AddrPort) (net.Conn, error) {
	if len(second) == 0 {
		return inTurn(ctx, path, network, first)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan outcome)
	try := func(addrs []netip.AddrPort) {
		conn, err := inTurn(ctx, path, network, addrs)
		select {
		case results <- outcome{conn, err}:
		case <-ctx.Done():
			if conn != nil {
				conn.Close()
			}
		}
	}
	go try(first)
	wait := time.NewTimer(headStart)
	defer wait.Stop()
	var errs []error
	running, started := 1, false
	for running > 0 {
		select {
		case o := <-results:
			if o.err == nil {
				return o.conn, nil
			}
			errs = append(errs, o.err)
			running--
		case <-wait.C:
		case <-ctx.Done():
			return nil, &net.OpError{Op: "dial", Net: network, Err: ctx.Err()}
		}
		if !started {
			started = true
			running++
			go try(second)
		}
	}
	return nil, errs[0]
}

// inTurn dials addrs one after another, each with a fair share of what is left
// of ctx's time.
func inTurn(ctx context.Context, path, network string, addrs []netip.AddrPort) (net.Conn, error) {
	var first error
	for i, to := range addrs {
		conn, err := dialShare(ctx, path, network, to, len(addrs)-i)
		if err == nil {
			return conn, nil
		}
		if first == nil {
			first = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, first
}

func dialShare(ctx context.Context, path, network string, to netip.AddrPort, left int) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
		defer cancel()
	}
	return dialAddr(ctx, path, network, to)
}

func dialAddr(ctx context.Context, path, network string, to netip.AddrPort) (net.Conn, error) {
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	failed := func(err error) error {
		return &net.OpError{Op: "dial", Net: network, Addr: net.TCPAddrFromAddrPort(to), Err: err}
	}
	domain, kind, err := family(network, to.Addr())
	if err != nil {
		return nil, failed(err)
	}
	if err := ctx.Err(); err != nil {
		return nil, failed(err)
	}
	fd, err := socket(ctx, path, domain, kind)
	if err != nil {
		return nil, failed(err)
	}
	conn, err := connect(ctx, fd, to)
	if err != nil {
		return nil, failed(err)
	}
	return conn, nil
}

func family(network string, a netip.Addr) (domain, kind int, err error) {
	switch network {
	case "tcp", "tcp4", "tcp6":
		kind = unix.SOCK_STREAM
	case "udp", "udp4", "udp6":
		kind = unix.SOCK_DGRAM
	default:
		return 0, 0, net.UnknownNetworkError(network)
	}
	domain = unix.AF_INET6
	if a.Is4() {
		domain = unix.AF_INET
	}
	if strings.HasSuffix(network, "4") && !a.Is4() || strings.HasSuffix(network, "6") && a.Is4() {
		return 0, 0, &net.AddrError{Err: "no suitable address for " + network, Addr: a.String()}
	}
	return domain, kind, nil
}

// connect connects fd and makes a connection of it. It takes over fd.
func connect(ctx context.Context, fd int, to netip.AddrPort) (net.Conn, error) {
	sa, err := sockaddr(fd, to)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	// A poller that sees an unconnected TCP socket reports it as hung up, so the
	// connection attempt comes before the file.
	err = unix.Connect(fd, sa)
	f := os.NewFile(uintptr(fd), "socket") // registers with the poller, as fd does not block
	defer f.Close()
	if errors.Is(err, unix.EINPROGRESS) || errors.Is(err, unix.EINTR) {
		err = established(ctx, f)
	}
	if err != nil {
		return nil, os.NewSyscallError("connect", err)
	}
	return net.FileConn(f)
}

// established waits until the connection attempt on f has ended.
func established(ctx context.Context, f *os.File) error {
	stop := context.AfterFunc(ctx, func() { _ = f.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failure error
	err = raw.Write(func(fd uintptr) bool {
		code, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		switch {
		case err != nil:
			failure = err
		case code != 0:
			failure = unix.Errno(code)
		default:
			_, err := unix.Getpeername(int(fd))
			return err == nil
		}
		return true
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.Join(err, failure)
}

func sockaddr(fd int, to netip.AddrPort) (unix.Sockaddr, error) {
	if to.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}, nil
	}
	sa := &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
	zone := to.Addr().Zone()
	if zone == "" {
		return sa, nil
	}
	// Asked of the socket, the kernel answers for the socket's namespace.
	req, err := unix.NewIfreq(zone)
	if err != nil {
		return nil, fmt.Errorf("zone %q: %w", zone, err)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, req); err != nil {
		return nil, fmt.Errorf("zone %q: %w", zone, err)
	}
	sa.ZoneId = req.Uint32()
	return sa, nil
}

package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/squall-chaos/squall/targets"
)

// dial connects to address from inside the network of host, or from outside of
// all hosts if that is empty. The lab's init makes the socket, so that no
// privilege is needed here.
func (c *client) dial(ctx context.Context, host, network, address string) (net.Conn, error) {
	kind := strings.TrimRight(network, "46")
	if kind != "tcp" && kind != "udp" {
		return nil, &net.OpError{Op: "dial", Net: network, Err: net.UnknownNetworkError(network)}
	}
	addrs, err := c.resolve(ctx, network, address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	var first error
	for _, addr := range addrs {
		conn, err := c.dialOne(ctx, host, kind, addr)
		if err == nil {
			return conn, nil
		}
		first = errors.Join(first, &net.OpError{Op: "dial", Net: kind, Addr: net.TCPAddrFromAddrPort(addr), Err: err})
		if ctx.Err() != nil || errors.Is(err, targets.ErrGone) {
			break
		}
	}
	if many, ok := first.(interface{ Unwrap() []error }); ok && len(many.Unwrap()) == 1 {
		return nil, many.Unwrap()[0]
	}
	return nil, first
}

// resolve returns the addresses of a name of the lab, IPv4 first.
func (c *client) resolve(ctx context.Context, network, address string) ([]netip.AddrPort, error) {
	name, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, strings.TrimRight(network, "46"), service)
	if err != nil {
		return nil, err
	}
	texts, err := c.lookup(ctx, name)
	if err != nil {
		return nil, err
	}
	var addrs []netip.AddrPort
	for _, text := range texts {
		ip, err := netip.ParseAddr(text)
		if err != nil || (strings.HasSuffix(network, "4") && !ip.Is4()) || (strings.HasSuffix(network, "6") && ip.Is4()) {
			continue
		}
		addrs = append(addrs, netip.AddrPortFrom(ip, uint16(port)))
	}
	if len(addrs) == 0 {
		return nil, &net.AddrError{Err: "no suitable address", Addr: address}
	}
	return addrs, nil
}

func (c *client) lookup(ctx context.Context, name string) ([]string, error) {
	if name == "" || name == "localhost" {
		return []string{"127.0.0.1", "::1"}, nil
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		return []string{ip.Unmap().String()}, nil
	}
	names, err := c.table(ctx)
	if err != nil {
		return nil, err
	}
	if addrs, ok := names[strings.TrimSuffix(strings.ToLower(name), ".")]; ok {
		return addrs, nil
	}
	return nil, &net.DNSError{Err: "no such host in the lab", Name: name, IsNotFound: true}
}

// table returns the addresses of all hosts.
func (c *client) table(ctx context.Context) (map[string][]string, error) {
	c.mu.Lock()
	names := c.names
	c.mu.Unlock()
	if names != nil {
		return names, nil
	}
	r, err := c.call(ctx, request{Op: opList})
	if err != nil {
		return nil, err
	}
	names = make(map[string][]string, len(r.Hosts))
	for _, h := range r.Hosts {
		names[h.Name] = []string{h.V4, h.V6}
	}
	c.mu.Lock()
	c.names = names
	c.mu.Unlock()
	return names, nil
}

func (c *client) dialOne(ctx context.Context, host, kind string, addr netip.AddrPort) (net.Conn, error) {
	family := "4"
	if addr.Addr().Is6() {
		family = "6"
	}
	_, f, err := c.callFile(ctx, request{Op: opSocket, Host: host, Network: kind + family})
	if err != nil {
		return nil, err
	}
	if f == nil {
		return nil, errors.New("the lab sent no socket")
	}
	defer func() { _ = f.Close() }()
	if err := connectFile(ctx, f, sockaddr(addr)); err != nil {
		return nil, err
	}
	return net.FileConn(f)
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// connectFile connects a non-blocking socket and waits in the runtime's poller
// until it is connected, refused, or ctx is done.
func connectFile(ctx context.Context, f *os.File, to unix.Sockaddr) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := f.SetWriteDeadline(deadline); err != nil {
			return fmt.Errorf("set deadline: %w", err)
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = f.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()

	var result error
	begun := false
	err = raw.Write(func(fd uintptr) bool {
		if !begun {
			begun = true
			result = unix.Connect(int(fd), to)
			return result != unix.EINPROGRESS
		}
		result = connected(int(fd))
		return result != unix.EINPROGRESS
	})
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	if result != nil {
		return os.NewSyscallError("connect", result)
	}
	return nil
}

// connected tells how a connection attempt went; EINPROGRESS if it still goes on
// (connect(2)).
func connected(fd int) error {
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	if n != 0 {
		return syscall.Errno(n)
	}
	if _, err := unix.Getpeername(fd); err != nil {
		return unix.EINPROGRESS
	}
	return nil
}

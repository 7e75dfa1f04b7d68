package netns

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/squall-chaos/squall/targets"
)

// Resolver looks names up as a target does: first in the target's own
// /etc/hosts, then at the name servers in its /etc/resolv.conf (hosts(5),
// resolv.conf(5)), which it reaches from inside the target's network. It reads
// the files anew each time and follows no link out of the target's root. It
// knows no other name services: nsswitch.conf(5) is not read.
type Resolver struct {
	Site targets.Site // NetNS and Root are used; each empty one is our own
}

// LookupNetIP returns the addresses of host, IPv6 first when the target has
// both, as in RFC 6724. network is "ip", "ip4" or "ip6". A name without an
// address yields a net.DNSError with IsNotFound. It blocks for as long as the
// target's resolv.conf lets servers take, or until ctx is done.
func (r *Resolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return wanted(network, host, []netip.Addr{a.Unmap()})
	}
	if host == "" {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	root, err := openRoot(r.Site.Root)
	if err != nil {
		return nil, &net.DNSError{Err: err.Error(), Name: host, UnwrapErr: err}
	}
	defer root.Close()
	hosts, err := root.read("etc/hosts")
	if err != nil {
		return nil, &net.DNSError{Err: err.Error(), Name: host, UnwrapErr: err}
	}
	if addrs := lookupHosts(hosts, host); len(addrs) > 0 {
		return wanted(network, host, addrs)
	}
	if name := strings.ToLower(strings.TrimSuffix(host, ".")); name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return wanted(network, host, []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}) // RFC 6761
	}
	text, err := root.read("etc/resolv.conf")
	if err != nil {
		return nil, &net.DNSError{Err: err.Error(), Name: host, UnwrapErr: err}
	}
	return r.ask(ctx, network, host, parseConf(text))
}

// ask tries the names that host may stand for until one has addresses.
func (r *Resolver) ask(ctx context.Context, network, host string, c conf) ([]netip.Addr, error) {
	var types []dnsmessage.Type
	if network != "ip4" {
		types = append(types, dnsmessage.TypeAAAA)
	}
	if network != "ip6" {
		types = append(types, dnsmessage.TypeA)
	}
	var last error
	for _, fqdn := range c.candidates(host) {
		addrs, err := r.lookup(ctx, fqdn, types, c)
		if len(addrs) > 0 {
			return addrs, nil
		}
		if err != nil {
			last = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	if last != nil {
		return nil, &net.DNSError{Err: last.Error(), Name: host, UnwrapErr: last, IsTimeout: isTimeout(last), IsTemporary: true}
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// lookup asks for all types at once. An error of one type counts only when the
// others have nothing.
func (r *Resolver) lookup(ctx context.Context, fqdn string, types []dnsmessage.Type, c conf) ([]netip.Addr, error) {
	type answer struct {
		addrs []netip.Addr
		err   error
	}
	answers := make([]chan answer, len(types))
	for i, t := range types {
		answers[i] = make(chan answer, 1)
		go func() {
			addrs, err := r.query(ctx, fqdn, t, c)
			answers[i] <- answer{addrs, err}
		}()
	}
	var addrs []netip.Addr
	var first error
	for _, ch := range answers {
		a := <-ch
		addrs = append(addrs, a.addrs...)
		if a.err != nil && first == nil {
			first = a.err
		}
	}
	return addrs, first
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// wanted keeps the addresses of the family that network asks for.
func wanted(network, host string, addrs []netip.Addr) ([]netip.Addr, error) {
	addrs = slices.DeleteFunc(slices.Clone(addrs), func(a netip.Addr) bool {
		return network == "ip4" && !a.Is4() || network == "ip6" && a.Is4()
	})
	if len(addrs) == 0 {
		return nil, &net.DNSError{Err: "no " + network + " address", Name: host, IsNotFound: true}
	}
	return addrs, nil
}

// lookupHosts returns the addresses of name in a hosts file, in its order.
func lookupHosts(text, name string) []netip.Addr {
	name = strings.TrimSuffix(name, ".")
	var addrs []netip.Addr
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		a, err := netip.ParseAddr(fields[0])
		if err != nil {
			continue
		}
		known := slices.ContainsFunc(fields[1:], func(f string) bool { return strings.EqualFold(strings.TrimSuffix(f, "."), name) })
		if known && !slices.Contains(addrs, a.Unmap()) {
			addrs = append(addrs, a.Unmap())
		}
	}
	return addrs
}

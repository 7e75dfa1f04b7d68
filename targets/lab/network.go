package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The lab's network is nobody else's: it is not routed anywhere, so that the
// same addresses serve every lab.
var (
	prefix4 = netip.MustParsePrefix("10.83.0.0/16")
	prefix6 = netip.MustParsePrefix("fd53:7175:616c:6c::/64")
)

// ends are the addresses of one end of the network; v6 is invalid where the
// kernel has no IPv6.
type ends struct{ v4, v6 netip.Addr }

// network is one bridge in the lab's first network namespace, where no host
// lives, with one cable to each host.
type network struct {
	links  *netlink.Handle
	bridge int
	ipv6   bool
}

func newNetwork() (*network, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("network: %w", err)
	}
	_, err = os.Stat("/proc/sys/net/ipv6")
	n := &network{links: h, ipv6: err == nil}
	if err := up(h, "lo"); err != nil {
		return nil, err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "outside"
	snooping := false // no querier, no need: learning from multicast only costs
	if err := h.LinkAdd(&netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snooping}); err != nil {
		return nil, fmt.Errorf("network: make a bridge: %w (does this kernel have the bridge module? try: sudo modprobe bridge veth)", err)
	}
	link, err := n.ready(h, attrs.Name, n.at(1))
	if err != nil {
		return nil, err
	}
	n.bridge = link.Attrs().Index
	return n, nil
}

// at is the i-th address of the network.
func (n *network) at(i int) ends {
	b4 := prefix4.Addr().As4()
	b4[2], b4[3] = byte(i>>8), byte(i)
	e := ends{v4: netip.AddrFrom4(b4)}
	if n.ipv6 {
		b6 := prefix6.Addr().As16()
		b6[14], b6[15] = byte(i>>8), byte(i)
		e.v6 = netip.AddrFrom16(b6)
	}
	return e
}

// addrs are the addresses of the i-th host.
func (n *network) addrs(i int) ends { return n.at(i + 2) }

func up(h *netlink.Handle, name string) error {
	link, err := h.LinkByName(name)
	if err == nil {
		err = h.LinkSetUp(link)
	}
	if err != nil {
		return fmt.Errorf("network: bring %s up: %w", name, err)
	}
	return nil
}

// ready gives a link its addresses, usable at once, and brings it up.
func (n *network) ready(h *netlink.Handle, name string, e ends) (netlink.Link, error) {
	link, err := h.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("network: %s: %w", name, err)
	}
	if err := h.AddrAdd(link, address(e.v4, prefix4.Bits())); err != nil {
		return nil, fmt.Errorf("network: address %s on %s: %w", e.v4, name, err)
	}
	if e.v6.IsValid() {
		if err := h.AddrAdd(link, address(e.v6, prefix6.Bits())); err != nil {
			return nil, fmt.Errorf("network: address %s on %s: %w", e.v6, name, err)
		}
	}
	if err := h.LinkSetUp(link); err != nil {
		return nil, fmt.Errorf("network: bring %s up: %w", name, err)
	}
	return link, nil
}

// address skips the search for duplicates, which would keep an IPv6 address from
// being used for a second or two.
func address(a netip.Addr, bits int) *netlink.Addr {
	n := &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(bits, a.BitLen())}
	addr := &netlink.Addr{IPNet: n}
	if a.Is6() {
		addr.Flags = unix.IFA_F_NODAD
	}
	return addr
}

// cable connects the namespace to the bridge as host number i: eth0 inside, up
// and with its addresses. The calling thread must be in that namespace.
func (n *network) cable(inside *os.File, i int) error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer h.Close()
	if err := up(h, "lo"); err != nil {
		return err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "host" + strconv.Itoa(i)
	attrs.MasterIndex = n.bridge
	attrs.Flags = net.FlagUp
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(inside.Fd()))}
	if err := n.links.LinkAdd(veth); err != nil {
		return fmt.Errorf("cable to the bridge: %w", err)
	}
	_, err = n.ready(h, "eth0", n.addrs(i))
	return err
}

// inNamespaces runs f on a thread of its own after enter has moved that thread,
// and throws the thread away. It never uses the process's first thread, whose
// namespaces are those that /proc shows for the whole process.
func inNamespaces(enter, f func() error) error {
	result := make(chan error, 1)
	var try func()
	try = func() {
		runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
		if unix.Gettid() == unix.Getpid() {
			retried := make(chan struct{})
			go func() { try(); close(retried) }()
			<-retried
			runtime.UnlockOSThread()
			return
		}
		err := enter()
		if err == nil {
			err = f()
		}
		result <- err
	}
	go try()
	return <-result
}

// setns moves the calling thread.
func setns(f *os.File, kind int) error {
	if err := unix.Setns(int(f.Fd()), kind); err != nil {
		return fmt.Errorf("enter namespace: %w", err)
	}
	return nil
}

// openNamespace opens the calling thread's own.
func openNamespace(kind string) (*os.File, error) {
	f, err := os.Open("/proc/thread-self/ns/" + kind)
	if errors.Is(err, os.ErrNotExist) {
		f, err = os.Open(fmt.Sprintf("/proc/self/task/%d/ns/%s", unix.Gettid(), kind))
	}
	return f, err
}

package netns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	vns "github.com/vishvananda/netns"
	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"github.com/squall-chaos/squall/targets"
)

func TestMain(m *testing.M) {
	if path := os.Getenv("SQUALL_TEST_ENTER"); path != "" {
		_, err := Dial(context.Background(), path, "tcp", "127.0.0.1:9")
		fmt.Println(errors.Is(err, fs.ErrPermission), err)
		os.Exit(0)
	}
	idle = 200 * time.Millisecond
	os.Exit(m.Run())
}

// requireRoot skips the test without root, or fails it where that must not be.
func requireRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("SQUALL_TEST_REQUIRE") == "all" {
		t.Fatal("needs root to make network namespaces")
	}
	t.Skip("needs root to make network namespaces")
}

// namespace is a network namespace of the test's own with its loopback up.
type namespace struct {
	handle vns.NsHandle
	path   string
}

func newNamespace(t testing.TB) namespace {
	t.Helper()
	requireRoot(t)
	var ns namespace
	inside(t, func() error {
		h, err := vns.New()
		if err != nil {
			return err
		}
		ns = namespace{h, fmt.Sprintf("/proc/self/fd/%d", int(h))}
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(lo)
	})
	t.Cleanup(func() {
		ns.handle.Close()
		waitFor(t, "no thread parked in a namespace", func() bool {
			parked.Lock()
			defer parked.Unlock()
			return len(parked.threads) == 0
		})
	})
	return ns
}

// in runs f on a thread inside ns.
func (ns namespace) in(t testing.TB, f func() error) {
	t.Helper()
	inside(t, func() error {
		if err := vns.Set(ns.handle); err != nil {
			return err
		}
		return f()
	})
}

// inside runs f on a thread that is thrown away; never on the first one, which
// cannot be.
func inside(t testing.TB, f func() error) {
	t.Helper()
	done := make(chan error)
	var run func()
	run = func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			done <- f()
			return
		}
		next := make(chan struct{})
		go func() { runtime.LockOSThread(); close(next); run() }()
		<-next
		runtime.UnlockOSThread()
	}
	go run()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

// echo serves TCP and UDP at address inside ns.
func (ns namespace) echo(t testing.TB, address string) netip.AddrPort {
	t.Helper()
	var l net.Listener
	var p net.PacketConn
	ns.in(t, func() (err error) {
		if l, err = net.Listen("tcp", address); err != nil {
			return err
		}
		p, err = net.ListenPacket("udp", l.Addr().String())
		return err
	})
	t.Cleanup(func() { l.Close(); p.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); _, _ = io.Copy(c, c) }()
		}
	}()
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := p.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = p.WriteTo(buf[:n], from)
		}
	}()
	return netip.MustParseAddrPort(l.Addr().String())
}

func roundTrip(t testing.TB, c net.Conn) {
	t.Helper()
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 5)
	if _, err := io.ReadFull(c, buf); err != nil || string(buf) != "hello" {
		t.Fatalf("read %q, %v", buf, err)
	}
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestDialReachesOnlyTheNamespace(t *testing.T) {
	ns, other := newNamespace(t), newNamespace(t)
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		to := ns.echo(t, address).String()
		for _, network := range []string{"tcp", "udp"} {
			c, err := Dial(testContext(t), ns.path, network, to)
			if err != nil {
				t.Fatalf("%s %s: %v", network, to, err)
			}
			if c.RemoteAddr().String() != to {
				t.Errorf("remote address %s, want %s", c.RemoteAddr(), to)
			}
			roundTrip(t, c)
		}
		if _, err := Dial(testContext(t), other.path, "tcp", to); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("another namespace: got %v, want refused", err)
		}
		if _, err := Dial(testContext(t), "", "tcp", to); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("our own namespace: got %v, want refused", err)
		}
	}
}

func TestDialOfOwnNamespaceParksNoThread(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := Dial(testContext(t), "/proc/self/ns/net", "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	parked.Lock()
	defer parked.Unlock()
	if len(parked.threads) != 0 {
		t.Errorf("%d threads are parked", len(parked.threads))
	}
}

func TestProcessStaysInItsNamespace(t *testing.T) {
	ns := newNamespace(t)
	to := ns.echo(t, "127.0.0.1:0").String()
	before, _ := os.Readlink("/proc/self/ns/net")
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			c, err := Dial(testContext(t), ns.path, "tcp", to)
			if err != nil {
				t.Error(err)
				return
			}
			c.Close()
		})
	}
	wg.Wait()
	tasks, err := filepath.Glob("/proc/self/task/*/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	foreign := 0
	for _, task := range tasks {
		if now, err := os.Readlink(task); err == nil && now != before {
			foreign++
		}
	}
	if foreign > 1 {
		t.Errorf("%d threads are inside the namespace, want at most the one parked", foreign)
	}
	if now, _ := os.Readlink("/proc/self/ns/net"); now != before {
		t.Errorf("the process is in %s, was in %s", now, before)
	}
}

func TestConnectionOutlivesParkedThread(t *testing.T) {
	ns := newNamespace(t)
	c, err := Dial(testContext(t), ns.path, "tcp", ns.echo(t, "127.0.0.1:0").String())
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the thread left", func() bool {
		parked.Lock()
		defer parked.Unlock()
		return len(parked.threads) == 0
	})
	roundTrip(t, c)
}

func TestDialEndsWithItsContext(t *testing.T) {
	ns := newNamespace(t)
	ns.in(t, func() error { // packets to 192.0.2.0/24 vanish
		hole := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "hole"}, PeerName: "bottom"}
		if err := netlink.LinkAdd(hole); err != nil {
			return err
		}
		bottom, err := netlink.LinkByName("bottom")
		if err != nil {
			return err
		}
		a, _ := netlink.ParseAddr("192.0.2.1/24")
		return errors.Join(netlink.AddrAdd(hole, a), netlink.LinkSetUp(hole), netlink.LinkSetUp(bottom))
	})
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err := Dial(ctx, ns.path, "tcp", "192.0.2.9:80")
	var ne net.Error
	if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
		t.Fatalf("got %v, want a timeout", err)
	}
}

func TestDialOfMissingNamespaceIsGone(t *testing.T) {
	if _, err := Dial(testContext(t), "/proc/4194305/ns/net", "tcp", "127.0.0.1:1"); !errors.Is(err, targets.ErrGone) {
		t.Errorf("got %v, want ErrGone", err)
	}
}

func TestWithoutPrivilegeSaysWhatToDo(t *testing.T) {
	requireRoot(t)
	ns := newNamespace(t)
	exe := filepath.Join(t.TempDir(), "dial")
	copyFile(t, exe, "/proc/self/exe")
	pin := pinned(t, ns)
	cmd := exec.Command(exe)
	cmd.Env = []string{"SQUALL_TEST_ENTER=" + pin}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if !strings.HasPrefix(string(out), "true ") || !strings.Contains(string(out), "CAP_SYS_ADMIN: run Squall as root") {
		t.Errorf("got %s", out)
	}
}

// pinned binds ns to a path that everybody may open.
func pinned(t *testing.T, ns namespace) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ns")
	for dir := filepath.Dir(path); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(ns.path, path, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return path
}

func copyFile(t *testing.T, to, from string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(to); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(to, b, 0o755); err != nil {
		t.Fatal(err)
	}
}

// rootWith makes a root directory with the two files.
func rootWith(t testing.TB, hosts, resolv string) string {
	t.Helper()
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(dir+"/etc", 0o755), os.WriteFile(dir+"/etc/hosts", []byte(hosts), 0o644),
		os.WriteFile(dir+"/etc/resolv.conf", []byte(resolv), 0o644)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// nameserver answers at address:53 inside ns; over UDP, names that begin with
// "big" are truncated.
func (ns namespace) nameserver(t testing.TB, address string, zone map[string][]string) {
	t.Helper()
	var p net.PacketConn
	var l net.Listener
	ns.in(t, func() (err error) {
		if p, err = net.ListenPacket("udp", address+":53"); err != nil {
			return err
		}
		l, err = net.Listen("tcp", address+":53")
		return err
	})
	t.Cleanup(func() { p.Close(); l.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := p.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = p.WriteTo([]byte("stray"), from)
			forged := reply(append([]byte{^buf[0]}, buf[1:n]...), nil, true) // another ID: not to be believed
			_, _ = p.WriteTo(forged, from)
			_, _ = p.WriteTo(reply(buf[:n], zone, true), from)
		}
	}()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			var size [2]byte
			_, _ = io.ReadFull(c, size[:])
			msg := make([]byte, binary.BigEndian.Uint16(size[:]))
			_, _ = io.ReadFull(c, msg)
			r := reply(msg, zone, false)
			_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(r))), r...))
			c.Close()
		}
	}()
}

func reply(msg []byte, zone map[string][]string, udp bool) []byte {
	var m dnsmessage.Message
	if err := m.Unpack(msg); err != nil {
		return nil
	}
	q := m.Questions[0]
	m.Response, m.Additionals = true, nil
	name := q.Name.String()
	if udp && strings.HasPrefix(name, "big") {
		m.Truncated = true
		out, _ := m.Pack()
		return out
	}
	addrs, known := zone[name]
	if !known {
		m.RCode = dnsmessage.RCodeNameError
	}
	for _, a := range addrs {
		ip := netip.MustParseAddr(a)
		h := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 1}
		if ip.Is4() && q.Type == dnsmessage.TypeA {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: ip.As4()}})
		}
		if ip.Is6() && q.Type == dnsmessage.TypeAAAA {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: ip.As16()}})
		}
	}
	out, _ := m.Pack()
	return out
}

func TestNamesResolveAsTheTargetResolvesThem(t *testing.T) {
	ns := newNamespace(t)
	ns.nameserver(t, "127.0.0.11", map[string][]string{
		"redis.":           {"127.0.0.7"},
		"db.shop.example.": {"127.0.0.8", "::1"},
		"big.":             {"127.0.0.9"},
		"empty.":           nil,
	})
	root := rootWith(t, "127.0.0.5 Cache cache.local # the cache\n::1 six\nrubbish\n",
		"search shop.example\nnameserver 127.0.0.11\noptions ndots:0 timeout:1 attempts:1\n")
	r := Resolver{targets.Site{NetNS: ns.path, Root: root}}
	for _, c := range []struct {
		network, host string
		want          []string
	}{
		{"ip", "cache", []string{"127.0.0.5"}},
		{"ip", "CACHE.local.", []string{"127.0.0.5"}},
		{"ip", "redis", []string{"127.0.0.7"}},
		{"ip", "db", []string{"::1", "127.0.0.8"}},
		{"ip4", "db", []string{"127.0.0.8"}},
		{"ip6", "db", []string{"::1"}},
		{"ip", "big", []string{"127.0.0.9"}},
		{"ip", "localhost", []string{"127.0.0.1", "::1"}},
		{"ip", "10.1.2.3", []string{"10.1.2.3"}},
		{"ip", "nobody", nil},
		{"ip", "empty", nil},
		{"ip4", "six", nil},
	} {
		got, err := r.LookupNetIP(testContext(t), c.network, c.host)
		var words []string
		for _, a := range got {
			words = append(words, a.String())
		}
		if !slices.Equal(words, c.want) {
			t.Errorf("%s %s: got %v (%v), want %v", c.network, c.host, words, err, c.want)
		}
		var dns *net.DNSError
		if c.want == nil && (!errors.As(err, &dns) || !dns.IsNotFound) {
			t.Errorf("%s: got %v, want not found", c.host, err)
		}
	}
}

func TestSilentNameserverIsATimeout(t *testing.T) {
	ns := newNamespace(t)
	var p net.PacketConn
	ns.in(t, func() (err error) { p, err = net.ListenPacket("udp", "127.0.0.11:53"); return err })
	defer p.Close()
	r := Resolver{targets.Site{NetNS: ns.path, Root: rootWith(t, "", "nameserver 127.0.0.11\noptions timeout:1 attempts:1\n")}}
	_, err := r.LookupNetIP(testContext(t), "ip4", "redis")
	var dns *net.DNSError
	if !errors.As(err, &dns) || !dns.IsTimeout || dns.IsNotFound {
		t.Errorf("got %#v, want a timeout", err)
	}
}

func TestLinksDoNotLeaveTheTargetsRoot(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(outside, []byte("127.0.0.66 secret\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, link := range map[string]string{
		"absolute": outside,
		"dots":     strings.Repeat("../", 20) + outside,
	} {
		t.Run(name, func(t *testing.T) {
			root := rootWith(t, "", "")
			if err := errors.Join(os.Remove(root+"/etc/hosts"), os.Symlink(link, root+"/etc/hosts")); err != nil {
				t.Fatal(err)
			}
			r := Resolver{targets.Site{Root: root}}
			ctx, cancel := context.WithCancel(context.Background())
			cancel() // no name server is to be asked
			if got, _ := r.LookupNetIP(ctx, "ip", "secret"); len(got) != 0 {
				t.Errorf("read a file outside of the root: %v", got)
			}
		})
	}
	t.Run("inside", func(t *testing.T) {
		root := rootWith(t, "", "")
		if err := errors.Join(os.Rename(root+"/etc/hosts", root+"/etc/real"), os.Symlink("/etc/real", root+"/etc/hosts"),
			os.WriteFile(root+"/etc/real", []byte("127.0.0.4 mine\n"), 0o644)); err != nil {
			t.Fatal(err)
		}
		r := Resolver{targets.Site{Root: root}}
		if got, err := r.LookupNetIP(testContext(t), "ip", "mine"); err != nil || got[0].String() != "127.0.0.4" {
			t.Errorf("got %v, %v", got, err)
		}
	})
	t.Run("device", func(t *testing.T) {
		root := rootWith(t, "", "")
		if err := errors.Join(os.Remove(root+"/etc/hosts"), unix.Mkfifo(root+"/etc/hosts", 0o644)); err != nil {
			t.Fatal(err)
		}
		if _, err := (&Resolver{targets.Site{Root: root}}).LookupNetIP(testContext(t), "ip", "x"); err == nil {
			t.Error("a fifo was read")
		}
	})
}

func TestDialerTriesAllAddressesOfAName(t *testing.T) {
	ns := newNamespace(t)
	to := ns.echo(t, "127.0.0.1:0")
	root := rootWith(t, "::1 web\n127.0.0.2 web\n127.0.0.1 web\n", "")
	d := Dialer{targets.Site{NetNS: ns.path, Root: root}}
	c, err := d.DialContext(testContext(t), "tcp", fmt.Sprintf("web:%d", to.Port()))
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c)
	if _, err := d.DialContext(testContext(t), "tcp6", fmt.Sprintf("web:%d", to.Port())); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("tcp6: got %v, want refused", err)
	}
	if _, err := d.DialContext(testContext(t), "tcp", "web"); err == nil {
		t.Error("an address without a port was dialled")
	}
}

func BenchmarkDial(b *testing.B) {
	ns := newNamespace(b)
	to := ns.echo(b, "127.0.0.1:0").String()
	b.ReportAllocs()
	for b.Loop() {
		c, err := Dial(b.Context(), ns.path, "tcp", to)
		if err != nil {
			b.Fatal(err)
		}
		_ = c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
}

package lab

import (
	"net"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/squall-chaos/squall/targets"
)

func replicas(n int) *int { return &n }

func TestHostsReachEachOtherByName(t *testing.T) {
	api := serverHost()
	api.Replicas = replicas(2)
	w := start(t, &Section{Hosts: map[string]Host{"gateway": serverHost(), "api": api}})
	for _, url := range []string{
		"http://gateway", "http://gateway?to=api-1", "http://gateway?to=api-2", "http://api-1?to=gateway",
		"http://gateway?to=[fd53:7175:616c:6c::2]", "http://gateway?to=10.83.0.2",
	} {
		got, err := get(t, w, url)
		want := "gateway"
		switch {
		case strings.Contains(url, "to=api-2"):
			want = "api-2"
		case strings.Contains(url, "to=api-1"), strings.Contains(url, "to=["), strings.Contains(url, "to=10."):
			want = "api-1"
		}
		if err != nil || got != want {
			t.Errorf("%s answers %q, %v; want %q", url, got, err, want)
		}
	}
}

func TestDialFromOutsideAndFromAHost(t *testing.T) {
	w := start(t, &Section{Hosts: map[string]Host{"a": serverHost(), "b": serverHost()}})
	for _, network := range []string{"tcp4", "tcp6", "udp4", "udp6"} {
		for from, d := range map[string]targets.Dialer{"outside": w, "b": one(t, w, "b")} {
			conn, err := d.DialContext(t.Context(), network, "a:80")
			if err != nil {
				t.Errorf("%s from %s: %v", network, from, err)
				continue
			}
			if strings.HasPrefix(network, "udp") {
				echo(t, conn, network+" from "+from)
			}
			_ = conn.Close()
		}
	}
	conn, err := one(t, w, "b").DialContext(t.Context(), "tcp", "localhost:80")
	if err != nil {
		t.Errorf("a host does not reach itself: %v", err)
	} else {
		_ = conn.Close()
	}
	if _, err := w.DialContext(t.Context(), "tcp", "a:81"); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("a closed port: %v, want a refusal", err)
	}
	if _, err := w.DialContext(t.Context(), "tcp", "nobody:80"); err == nil || !strings.Contains(err.Error(), "no such host") {
		t.Errorf("an unknown name: %v", err)
	}
}

func echo(t *testing.T, conn net.Conn, what string) {
	t.Helper()
	buf := make([]byte, 10)
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Error(what, err)
	} else if n, err := conn.Read(buf); err != nil || string(buf[:n]) != "a" {
		t.Errorf("%s: %q, %v", what, buf[:n], err)
	}
}

func TestSiteIsTheProcessAsThisMachineSeesIt(t *testing.T) {
	w := start(t, &Section{Hosts: map[string]Host{"a": serverHost()}})
	a := one(t, w, "a")
	site, err := a.Site(t.Context())
	must(t, err)
	cmd, err := os.ReadFile(strings.Replace(site.Root, "/root", "/cmdline", 1))
	must(t, err)
	if !strings.Contains(string(cmd), "test-serve") {
		t.Errorf("pid %d is %q", site.PID, cmd)
	}
	ns, err := os.Readlink(site.NetNS)
	must(t, err)
	if own, _ := os.Readlink("/proc/self/ns/net"); ns == own {
		t.Error("the host shares this machine's network")
	}
	if !strings.HasPrefix(site.Cgroup, "/") {
		t.Errorf("cgroup %q", site.Cgroup)
	}
}

func TestIPv6IsUsableAtOnce(t *testing.T) {
	w := start(t, &Section{Hosts: map[string]Host{"a": {Run: command("test-sleep")}}})
	site, err := one(t, w, "a").Site(t.Context())
	must(t, err)
	table, err := os.ReadFile(strings.Replace(site.NetNS, "/ns/net", "/net/if_inet6", 1))
	must(t, err)
	found := false
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line) // address, index, prefix, scope, flags, device
		if len(f) != 6 || !strings.HasPrefix(f[0], "fd53") {
			continue
		}
		found = true
		flags, err := strconv.ParseUint(f[4], 16, 8)
		must(t, err)
		if flags&unix.IFA_F_TENTATIVE != 0 {
			t.Errorf("the address is still being checked for duplicates: %s", line)
		}
	}
	if !found {
		t.Errorf("the host has no IPv6 address:\n%s", table)
	}
}

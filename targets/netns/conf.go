package netns

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// conf is what counts of a resolv.conf(5).
type conf struct {
	servers  []netip.AddrPort
	search   []string
	ndots    int
	attempts int
	timeout  time.Duration // for one server in one attempt
	stream   bool          // ask over TCP only
}

// parseConf reads text with the defaults and bounds of resolv.conf(5).
func parseConf(text string) conf {
	c := conf{ndots: 1, attempts: 2, timeout: 5 * time.Second}
	for line := range strings.Lines(text) {
		if i := strings.IndexAny(line, ";#"); i >= 0 {
			line = line[:i]
		}
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "nameserver":
			if a, err := netip.ParseAddr(fields[1]); err == nil && len(c.servers) < 3 {
				c.servers = append(c.servers, netip.AddrPortFrom(a, 53))
			}
		case "domain":
			c.search = fields[1:2]
		case "search":
			c.search = fields[1:]
		case "options":
			c.options(fields[1:])
		}
	}
	if len(c.servers) == 0 {
		c.servers = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53")}
	}
	return c
}

func (c *conf) options(words []string) {
	for _, w := range words {
		name, value, _ := strings.Cut(w, ":")
		n, err := strconv.Atoi(value)
		switch {
		case name == "use-vc":
			c.stream = true
		case err != nil || n < 0:
		case name == "ndots":
			c.ndots = min(n, 15)
		case name == "timeout":
			c.timeout = time.Duration(min(max(n, 1), 30)) * time.Second
		case name == "attempts":
			c.attempts = min(max(n, 1), 5)
		}
	}
}

// candidates are the full names that name may stand for, in the order in which
// they are tried.
func (c conf) candidates(name string) []string {
	if strings.HasSuffix(name, ".") {
		return []string{name}
	}
	var names []string
	for _, s := range c.search {
		if s = strings.Trim(s, "."); s != "" {
			names = append(names, name+"."+s+".")
		}
	}
	if strings.Count(name, ".") >= c.ndots {
		return append([]string{name + "."}, names...)
	}
	return append(names, name+".")
}

package lab

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
)

// procfs reads /proc, which may be the lab's own or, where the kernel refused
// that, the machine's. Pids are those of the lab's PID namespace throughout.
type procfs struct {
	self   string // this process as /proc calls it
	depth  int    // how many PID namespaces lie between that of /proc and the lab's
	pidns  string
	follow bool // pids differ between /proc and the lab

	looking sync.Mutex // held by who looks
	mu      sync.Mutex
	next    *census // that has not begun; nil if nobody waits for one
}

// member is a process of a host.
type member struct {
	pid int    // in the lab
	dir string // in /proc
}

func newProcfs() (*procfs, error) {
	self, err := os.Readlink("/proc/self")
	if err != nil {
		return nil, fmt.Errorf("read /proc: %w", err)
	}
	p := &procfs{self: self, follow: self != "1"}
	p.depth = len(nspid(self)) - 1
	p.pidns, err = os.Readlink("/proc/self/ns/pid")
	return p, err
}

// nspid are the pids of a process from the namespace of /proc inwards.
func nspid(name string) []string {
	b, _ := os.ReadFile("/proc/" + name + "/status")
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "NSpid:"); ok {
			return strings.Fields(v)
		}
	}
	return nil
}

// census is one look at all processes. Whoever asks before it begins shares it,
// so that fifty hosts that are paused together cost a few looks and not hundreds.
type census struct {
	done    chan struct{}
	members map[string][]member // by network namespace
}

// members are the living processes whose network namespace is ns, but for the
// init itself. Zombies have none. What it returns was seen after the call.
func (p *procfs) members(ns string) []member {
	p.mu.Lock()
	c := p.next
	mine := c == nil
	if mine {
		c = &census{done: make(chan struct{})}
		p.next = c
	}
	p.mu.Unlock()
	if mine {
		p.looking.Lock()
		p.mu.Lock()
		p.next = nil
		p.mu.Unlock()
		c.members = p.look()
		p.looking.Unlock()
		close(c.done)
	}
	<-c.done
	return c.members[ns]
}

func (p *procfs) look() map[string][]member {
	d, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	names, _ := d.Readdirnames(-1)
	_ = d.Close()
	all := map[string][]member{}
	for _, name := range names {
		if name[0] < '0' || name[0] > '9' || name == p.self {
			continue
		}
		ns, err := os.Readlink("/proc/" + name + "/ns/net")
		if err != nil {
			continue
		}
		if m, ok := p.member(name); ok {
			all[ns] = append(all[ns], m)
		}
	}
	return all
}

func (p *procfs) member(name string) (member, bool) {
	m := member{dir: "/proc/" + name}
	if !p.follow {
		pid, err := strconv.Atoi(name)
		m.pid = pid
		return m, err == nil
	}
	if link, err := os.Readlink(m.dir + "/ns/pid"); err != nil || link != p.pidns {
		return m, false
	}
	ids := nspid(name)
	if len(ids) <= p.depth {
		return m, false
	}
	pid, err := strconv.Atoi(ids[p.depth])
	m.pid = pid
	return m, err == nil
}

// stat is what /proc/PID/stat tells (proc_pid_stat(5)).
type stat struct {
	state byte   // R, S, D, T…; 0 when there is no such process
	ppid  string // as /proc calls it
	ticks uint64 // start, clock ticks since boot
}

func readStat(file string) stat {
	b, err := os.ReadFile(file)
	if err != nil {
		return stat{}
	}
	text := string(b)
	f := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(f) < 20 {
		return stat{}
	}
	ticks, _ := strconv.ParseUint(f[19], 10, 64)
	return stat{state: f[0][0], ppid: f[1], ticks: ticks}
}

// still reports whether no thread of m can run a single instruction of its own
// before it is continued. A thread in state D is inside the kernel and meets its
// stop signal before it leaves it.
func (m member) still() bool {
	d, err := os.Open(m.dir + "/task")
	if err != nil {
		return true // gone
	}
	tasks, _ := d.Readdirnames(-1)
	_ = d.Close()
	for _, t := range tasks {
		switch readStat(m.dir + "/task/" + t + "/stat").state {
		case 'T', 't', 'D', 'Z', 'X', 0:
		default:
			return false
		}
	}
	return true
}

// stopped reports whether m is stopped by a signal.
func (m member) stopped() bool { return readStat(m.dir+"/stat").state == 'T' }

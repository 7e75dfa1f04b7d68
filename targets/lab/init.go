package lab

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// InitMain is a lab's init: the program calls it with the arguments that follow
// InitCommand and exits with what it returns. It runs until the process that
// started it is gone.
func InitMain(args []string) int {
	if len(args) != 1 || os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, InitCommand+" is started by Squall itself, as the first process of a lab")
		return 2
	}
	lifetime := os.NewFile(fdLifetime, "lifetime")
	in := bufio.NewReader(lifetime)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return 1
	}
	var g greeting
	var p blueprint
	if err = json.Unmarshal(line, &p); err == nil {
		err = run(p)
	}
	if err != nil {
		g.Error = err.Error()
	}
	_ = json.NewEncoder(lifetime).Encode(g)
	_, _ = io.Copy(io.Discard, in)
	return 0
}

// run brings the lab up and leaves it running.
func run(p blueprint) error {
	procs, err := isolateMounts(p)
	if err != nil {
		return err
	}
	n, err := newNetwork()
	if err != nil {
		return err
	}
	table := newReaper()
	hosts := make([]*host, len(p.Hosts))
	for i, plan := range p.Hosts {
		hosts[i] = &host{plan: plan, addr: n.addrs(i), procs: procs, reaper: table, status: "created"}
	}
	if err := writeTable(p.Dir, hosts); err != nil {
		return err
	}
	var g errgroup.Group
	g.SetLimit(8)
	for i, h := range hosts {
		g.Go(func() error {
			if err := h.attach(n, i); err != nil {
				return fmt.Errorf("host %s: network: %w", h.plan.Name, err)
			}
			if err := h.openLog(p.Dir); err != nil {
				return fmt.Errorf("host %s: %w", h.plan.Name, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	// Only now, so that no host finds another one's network missing.
	for _, h := range hosts {
		if err := h.start(); err != nil {
			return fmt.Errorf("host %s: %w", h.plan.Name, err)
		}
	}
	return serve(hosts)
}

// isolateMounts keeps mounts from the machine, gives the lab a /proc of its own
// processes, and puts the table of its hosts over /etc/hosts.
func isolateMounts(p blueprint) (*procfs, error) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return nil, fmt.Errorf("make mounts private: %w", refusal(err))
	}
	// Where parts of /proc are covered, as in most containers, the kernel
	// refuses a fresh one to ordinary users; the machine's own then serves.
	_ = unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	file := filepath.Join(p.Dir, tableName)
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		return nil, err
	}
	if err := unix.Mount(file, "/etc/hosts", "", unix.MS_BIND, ""); err != nil && !errors.Is(err, unix.ENOENT) {
		return nil, fmt.Errorf("put the lab's names over /etc/hosts: %w", err)
	}
	return newProcfs()
}

// tableName is the file in the lab's directory that hosts see as /etc/hosts.
const tableName = "hosts"

// writeTable fills the file in place: it is mounted already.
func writeTable(dir string, hosts []*host) error {
	var b strings.Builder
	b.WriteString("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n")
	for _, h := range hosts {
		fmt.Fprintf(&b, "%s %s\n", h.addr.v4, h.plan.Name)
		if h.addr.v6.IsValid() {
			fmt.Fprintf(&b, "%s %s\n", h.addr.v6, h.plan.Name)
		}
	}
	return os.WriteFile(filepath.Join(dir, tableName), []byte(b.String()), 0o644)
}

// serve answers at the control socket from now on.
func serve(hosts []*host) error {
	f := os.NewFile(fdControl, controlName)
	defer func() { _ = f.Close() }()
	l, err := net.FileListener(f)
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	s := &server{hosts: map[string]*host{}}
	for _, h := range hosts {
		s.hosts[h.plan.Name] = h
		s.sorted = append(s.sorted, h)
	}
	go s.accept(l.(*net.UnixListener))
	return nil
}

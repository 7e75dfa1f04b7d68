package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/squall-chaos/squall/targets"
)

// server answers at the control socket, one goroutine a client.
type server struct {
	hosts  map[string]*host
	sorted []*host
}

func (s *server) accept(l *net.UnixListener) {
	for {
		conn, err := l.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			go s.client(conn)
		}
	}
}

// client serves one request. The client's hanging up ends what it waits for.
func (s *server) client(conn *net.UnixConn) {
	defer func() { _ = conn.Close() }()
	in := bufio.NewReader(io.LimitReader(conn, 64<<10))
	line, err := in.ReadBytes('\n')
	if err != nil {
		return
	}
	if !sameUser(conn) { // only now: a peer that still writes would not read the answer
		answer(conn, reply{Error: "only the user who started the lab may control it"}, nil)
		return
	}
	var q request
	if err := json.Unmarshal(line, &q); err != nil {
		answer(conn, reply{Error: "the request is not understood: " + err.Error()}, nil)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, conn)
		cancel()
	}()
	r, f, err := s.do(ctx, q)
	if err != nil {
		r.Error, r.Gone = err.Error(), errors.Is(err, targets.ErrGone)
	}
	answer(conn, r, f)
	if f != nil {
		_ = f.Close()
	}
}

// sameUser reports whether the peer is the user that this process runs as. In a
// user namespace both are 0, and everybody else is the overflow user.
func sameUser(conn *net.UnixConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	same := false
	err = raw.Control(func(fd uintptr) {
		c, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		same = err == nil && int(c.Uid) == os.Geteuid()
	})
	return err == nil && same
}

func answer(conn *net.UnixConn, r reply, f *os.File) {
	b, err := json.Marshal(r)
	if err != nil {
		return
	}
	var oob []byte
	if f != nil {
		raw, err := f.SyscallConn()
		if err != nil {
			return
		}
		_ = raw.Control(func(fd uintptr) { oob = unix.UnixRights(int(fd)) })
	}
	b = append(b, '\n')
	n, _, err := conn.WriteMsgUnix(b, oob, nil)
	if err == nil && n < len(b) {
		_, _ = conn.Write(b[n:])
	}
}

func (s *server) do(ctx context.Context, q request) (reply, *os.File, error) {
	if q.Op == opList {
		var r reply
		for _, h := range s.sorted {
			st, _ := h.state(false)
			r.Hosts = append(r.Hosts, st)
		}
		return r, nil, nil
	}
	h := s.hosts[q.Host]
	if q.Op == opSocket && q.Host == "" {
		f, err := newSocket(q.Network)
		return reply{}, f, err
	}
	if h == nil {
		return reply{}, nil, fmt.Errorf("there is no host %q in this lab: %w", q.Host, targets.ErrGone)
	}
	if q.Op == opSocket {
		f, err := h.socket(q.Network)
		return reply{}, f, err
	}
	if err := h.act(ctx, q); err != nil {
		return reply{}, nil, err
	}
	st, pidfd := h.state(q.Op == opState)
	return reply{Hosts: []hostState{st}}, pidfd, nil
}

// act does what q asks of the host's life.
func (h *host) act(ctx context.Context, q request) error {
	switch q.Op {
	case opState:
		return nil
	case opSignal:
		return h.signal(q.Signal)
	case opKill:
		return h.kill(ctx, q.Signal)
	case opStop:
		return h.stop(ctx, q.Grace)
	case opStart:
		return h.start()
	case opPause:
		return h.pause(ctx)
	case opUnpause:
		return h.unpause(ctx)
	case opRestart:
		return h.restart(ctx, q.Grace)
	}
	return fmt.Errorf("this lab does not know %q: it was started by another version of Squall", q.Op)
}

// socket makes a socket in the host's network.
func (h *host) socket(network string) (f *os.File, err error) {
	err = inNamespaces(func() error { return setns(h.net, unix.CLONE_NEWNET) }, func() error {
		f, err = newSocket(network)
		return err
	})
	return f, err
}

// newSocket makes a socket in the calling thread's network.
func newSocket(network string) (*os.File, error) {
	kinds := map[string][2]int{
		"tcp4": {unix.AF_INET, unix.SOCK_STREAM}, "tcp6": {unix.AF_INET6, unix.SOCK_STREAM},
		"udp4": {unix.AF_INET, unix.SOCK_DGRAM}, "udp6": {unix.AF_INET6, unix.SOCK_DGRAM},
	}
	k, ok := kinds[network]
	if !ok {
		return nil, fmt.Errorf("there is no network %q", network)
	}
	fd, err := unix.Socket(k[0], k[1]|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	return os.NewFile(uintptr(fd), network), nil
}

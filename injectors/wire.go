package injectors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/sourcegraph/jsonrpc2"
	"golang.org/x/sys/unix"
)

// The methods of the agent. All but open, inject and revert are answered on the
// socket in the run's directory too.
const (
	methodOpen    = "open"    // Holder → []Undone: what was left of an agent before
	methodPing    = "ping"    // nothing → nothing
	methodInject  = "inject"  // []Change → []Outcome
	methodObserve = "observe" // []string → map[string]Loss
	methodRevert  = "revert"  // []string → []Undone
	methodClose   = "close"   // why → []Undone: undo everything, take no more
	methodClosed  = "closed"  // notification to the controller: why somebody else said close
)

const codeClaimed = 1001 // ErrClaimed, in the words of JSON-RPC

// leased answers the controller. Requests are worked on side by side, but changes are
// admitted in the order in which they come: a revert that was sent after an inject
// must find what it is to undo.
type leased struct{ *agent }

func (a leased) Handle(ctx context.Context, conn *jsonrpc2.Conn, req *jsonrpc2.Request) {
	answer := func() (any, error) { return a.answer(req) }
	if req.Method == methodInject {
		hs, err := a.admitted(req)
		answer = func() (any, error) {
			if err != nil {
				return nil, err
			}
			return a.inject(hs)
		}
	}
	go jsonrpc2.HandlerWithError(func(context.Context, *jsonrpc2.Conn, *jsonrpc2.Request) (any, error) {
		result, err := answer()
		if errors.Is(err, ErrClaimed) {
			return nil, &jsonrpc2.Error{Code: codeClaimed, Message: err.Error()}
		}
		return result, err
	}).Handle(ctx, conn, req)
}

func (a *agent) admitted(req *jsonrpc2.Request) ([]*holding, error) {
	var changes []Change
	if err := params(req, &changes); err != nil {
		return nil, err
	}
	return a.admit(changes)
}

func (a *agent) answer(req *jsonrpc2.Request) (any, error) {
	switch req.Method {
	case methodPing:
		return struct{}{}, nil
	case methodOpen:
		var h Holder
		if err := params(req, &h); err != nil {
			return nil, err
		}
		return a.open(h)
	case methodObserve, methodRevert:
		var ids []string
		if err := params(req, &ids); err != nil {
			return nil, err
		}
		if req.Method == methodObserve {
			return a.observe(ids), nil
		}
		return a.undo(context.Background(), a.find(ids)), nil
	case methodClose:
		var why string
		if err := params(req, &why); err != nil {
			return nil, err
		}
		return a.close(why), nil
	}
	return nil, &jsonrpc2.Error{Code: jsonrpc2.CodeMethodNotFound, Message: "no method " + req.Method}
}

func params(req *jsonrpc2.Request, v any) error {
	if req.Params == nil {
		return &jsonrpc2.Error{Code: jsonrpc2.CodeInvalidParams, Message: req.Method + ": parameters are missing"}
	}
	if err := json.Unmarshal(*req.Params, v); err != nil {
		return &jsonrpc2.Error{Code: jsonrpc2.CodeInvalidParams, Message: err.Error()}
	}
	return nil
}

// open tells the agent for whom it works and returns what it found undone from
// before.
func (a *agent) open(h Holder) ([]Undone, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	h.PID, h.UID, h.Since, h.Dir = os.Getpid(), os.Getuid(), time.Now().UTC(), a.dir
	if err := a.journal.write(record{Holder: &h}); err != nil {
		return nil, err
	}
	a.holder = h
	a.world.env = []string{"SQUALL_RUN=" + h.Run}
	undone := a.undone
	a.undone = nil
	return undone, nil
}

const controlName = "agent.sock"

// socketPath reaches a socket in a directory whose path may be longer than the
// 108 bytes that unix(7) has for it. The returned function ends its validity.
func socketPath(dir, name string) (string, func(), error) {
	d, err := os.Open(dir)
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), name), func() { d.Close() }, nil
}

func listenControl(dir string) (net.Listener, error) {
	if err := os.Remove(filepath.Join(dir, controlName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	path, done, err := socketPath(dir, controlName)
	if err != nil {
		return nil, err
	}
	defer done()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("agent: socket in %s: %w", dir, err)
	}
	l.SetUnlinkOnClose(false) // by its path it could not be found again
	return &controlListener{l, filepath.Join(dir, controlName)}, nil
}

type controlListener struct {
	*net.UnixListener
	path string
}

func (l *controlListener) Close() error {
	return errors.Join(l.UnixListener.Close(), os.Remove(l.path))
}

// serveControl answers other processes of the same user or of root.
func (a *agent) serveControl(ctx context.Context, l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		if uid, ok := peerUID(c); !ok || (uid != 0 && uid != os.Getuid()) {
			c.Close()
			continue
		}
		jsonrpc2.NewConn(ctx, jsonrpc2.NewPlainObjectStream(c), jsonrpc2.AsyncHandler(jsonrpc2.HandlerWithError(a.controlled)))
	}
}

func (a *agent) controlled(_ context.Context, _ *jsonrpc2.Conn, req *jsonrpc2.Request) (any, error) {
	switch req.Method {
	case methodPing:
		return a.answer(req)
	case methodClose:
		var why string
		if err := params(req, &why); err != nil {
			return nil, err
		}
		a.mu.Lock()
		lease := a.lease
		a.mu.Unlock()
		_ = lease.Notify(context.Background(), methodClosed, why)
		return a.close(why), nil
	}
	return nil, &jsonrpc2.Error{Code: jsonrpc2.CodeMethodNotFound, Message: "not on this socket: " + req.Method}
}

func peer(c net.Conn) (*unix.Ucred, bool) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return nil, false
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return nil, false
	}
	var cred *unix.Ucred
	cerr := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	return cred, cerr == nil && err == nil
}

func peerUID(c net.Conn) (int, bool) {
	cred, ok := peer(c)
	if !ok {
		return 0, false
	}
	return int(cred.Uid), true
}

package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/squall-chaos/squall/targets"
)

// client talks to the init of the lab in dir. It holds nothing open between
// calls and may be used concurrently.
type client struct {
	dir string

	mu    sync.Mutex
	names map[string][]string // addresses by host, once they were asked for; a lab never changes them
}

func (c *client) ref(s hostState) targets.Ref {
	return targets.Ref{Driver: DriverName, ID: c.dir + "#" + s.Name, Epoch: s.Epoch}
}

// call asks for what carries no file.
func (c *client) call(ctx context.Context, q request) (reply, error) {
	r, f, err := c.callFile(ctx, q)
	if f != nil {
		_ = f.Close()
	}
	return r, err
}

// callFile asks and returns the file that came with the reply; nil if none did.
func (c *client) callFile(ctx context.Context, q request) (reply, *os.File, error) {
	conn, err := c.connect(ctx)
	if err != nil {
		return reply{}, nil, err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()

	r, f, err := exchange(conn, q)
	switch {
	case err != nil && ctx.Err() != nil:
		return r, nil, fmt.Errorf("lab: %s %s: %w", q.Op, q.Host, ctx.Err())
	case err != nil:
		return r, nil, fmt.Errorf("lab: %s %s: its init hung up (%v): %w", q.Op, q.Host, err, targets.ErrGone)
	case r.Gone:
		err = fmt.Errorf("lab: %s: %w", r.Error, targets.ErrGone)
	case r.Error != "":
		err = fmt.Errorf("lab: %s %s: %s", q.Op, q.Host, r.Error)
	}
	if err != nil && f != nil {
		_ = f.Close()
		f = nil
	}
	return r, f, err
}

// connect reaches the socket through an open directory, because the path of a
// socket must not be longer than 107 bytes (unix(7)).
func (c *client) connect(ctx context.Context) (*net.UnixConn, error) {
	dir, err := os.OpenFile(c.dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, c.unreachable(err)
	}
	defer func() { _ = dir.Close() }()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", short(dir))
	if err != nil {
		return nil, c.unreachable(err)
	}
	return conn.(*net.UnixConn), nil
}

func (c *client) unreachable(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("no lab is running in %s: %w", c.dir, targets.ErrGone)
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("the lab in %s is another user's: %w", c.dir, err)
	}
	return fmt.Errorf("the lab in %s does not answer: %w", c.dir, err)
}

// short is a path of the control socket that always fits.
func short(dir *os.File) string {
	return filepath.Join("/proc/self/fd", strconv.Itoa(int(dir.Fd())), controlName)
}

// exchange writes q and reads one line and at most one file.
func exchange(conn *net.UnixConn, q request) (reply, *os.File, error) {
	var r reply
	line, err := json.Marshal(q)
	if err != nil {
		return r, nil, err
	}
	if _, err := conn.Write(append(line, '\n')); err != nil {
		return r, nil, err
	}
	var (
		text []byte
		file *os.File
		buf  = make([]byte, 16<<10)
		oob  = make([]byte, unix.CmsgSpace(4))
	)
	for len(text) == 0 || text[len(text)-1] != '\n' {
		n, oobn, _, _, err := conn.ReadMsgUnix(buf, oob)
		if oobn > 0 && file == nil {
			file = received(oob[:oobn])
		}
		if err == nil && n == 0 {
			err = errors.New("end of file")
		}
		if err != nil {
			if file != nil {
				_ = file.Close()
			}
			return r, nil, err
		}
		text = append(text, buf[:n]...)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		if file != nil {
			_ = file.Close()
		}
		return r, nil, err
	}
	return r, file, nil
}

// received takes the file out of a control message. The runtime asks the kernel
// for close-on-exec when it reads.
func received(oob []byte) *os.File {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(msgs) == 0 {
		return nil
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil || len(fds) == 0 {
		return nil
	}
	for _, fd := range fds[1:] {
		_ = unix.Close(fd)
	}
	return os.NewFile(uintptr(fds[0]), "lab")
}

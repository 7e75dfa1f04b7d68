package injectors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/sourcegraph/jsonrpc2"
	"golang.org/x/sys/unix"
)

// Recover undoes everything that the journal in dir says may still be in force.
// If a live agent holds it, the agent is told to undo it, and its run ends as
// aborted; an agent that does not answer is killed first. A directory without a
// journal has nothing to undo. It blocks until all is undone or given up.
func Recover(ctx context.Context, dir string, d Drivers, l *slog.Logger) ([]Undone, error) {
	if _, err := os.Stat(filepath.Join(dir, JournalName)); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for tries := 0; ; tries++ {
		undone, err := recoverDead(dir, d, l)
		if !errors.Is(err, errHeld) {
			return undone, err
		}
		undone, err = closeAgent(ctx, dir)
		if !errors.Is(err, errSilent) {
			return undone, err
		}
		if tries == 100 || !sleep(ctx, 50*time.Millisecond) {
			return nil, fmt.Errorf("%s: %w, and it cannot be reached", dir, errHeld)
		}
	}
}

func recoverDead(dir string, d Drivers, l *slog.Logger) ([]Undone, error) {
	journal, past, err := openLog(dir)
	if err != nil {
		return nil, err
	}
	defer journal.close()
	a := &agent{world: &world{drivers: d, log: l}, journal: journal, dir: dir, log: l}
	a.injects, a.stop = context.WithCancel(context.Background())
	defer a.stop()
	a.inherit(past)
	return append(a.undone, a.undoAll(context.Background())...), nil
}

// errSilent says that an agent is starting, ending, or had to be killed.
var errSilent = errors.New("the agent did not answer")

// closeAgent tells a live agent to undo everything.
func closeAgent(ctx context.Context, dir string) ([]Undone, error) {
	path, done, err := socketPath(dir, controlName)
	if err != nil {
		return nil, err
	}
	defer done()
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED) {
		return nil, errSilent // it is ending or starting; the lock tells
	}
	if err != nil {
		return nil, fmt.Errorf("agent in %s: %w", dir, err)
	}
	conn := jsonrpc2.NewConn(ctx, jsonrpc2.NewPlainObjectStream(c), nobody{})
	defer conn.Close()
	ping, cancel := context.WithTimeout(ctx, heartbeatLost)
	defer cancel()
	if err := conn.Call(ping, methodPing, struct{}{}, nil); err != nil {
		return nil, killPeer(c)
	}
	var undone []Undone
	err = conn.Call(ctx, methodClose, "squall recover was called", &undone)
	return undone, err
}

// killPeer kills the process that listens at the other end of c.
func killPeer(c net.Conn) error {
	cred, ok := peer(c)
	if !ok {
		return errors.New("the agent does not answer and cannot be found")
	}
	if int(cred.Uid) != os.Getuid() {
		return fmt.Errorf("the agent, process %d of user %d, does not answer: kill it, then run squall recover as that user", cred.Pid, cred.Uid)
	}
	if err := unix.Kill(int(cred.Pid), unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill the agent, process %d: %w", cred.Pid, err)
	}
	return errSilent
}

// nobody answers nothing.
type nobody struct{}

func (nobody) Handle(context.Context, *jsonrpc2.Conn, *jsonrpc2.Request) {}

// MarshalJSON is the entry for people who read JSON: without the change's data.
func (e Entry) MarshalJSON() ([]byte, error) {
	type plain Entry
	e.Change.Data = nil
	return json.Marshal(plain(e))
}

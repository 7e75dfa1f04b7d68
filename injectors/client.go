package injectors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sourcegraph/jsonrpc2"
)

// AgentOptions is how an agent is started.
type AgentOptions struct {
	Dir        string    // the run's directory; absolute
	Run        string    // the run's name
	Experiment string    // its title
	Deadline   time.Time // when everything is undone, whatever the run does; zero: never
}

// heartbeat is how often an agent must answer, and how long it may take. An agent
// that is stopped still holds its changes, and no kernel ends them: it is killed,
// and another one undoes them.
const (
	heartbeat     = 500 * time.Millisecond
	heartbeatLost = 2 * time.Second
)

// Agent is the controller's end of an agent process. Its methods may be called
// concurrently. They block until the agent has answered, ctx is done, or the
// agent is gone, which is an error wrapping ErrAgentGone.
type Agent struct {
	conn   *jsonrpc2.Conn
	cmd    *exec.Cmd
	gone   chan struct{} // closed when the process has ended
	closed chan string   // why somebody else had everything undone
}

// ErrAgentGone says that the agent's process has ended before it answered.
var ErrAgentGone = errors.New("the agent is gone")

// remoteError is how the agent's own errors come over the wire.
type remoteError struct {
	text string
	is   error
}

func (e remoteError) Error() string { return e.text }
func (e remoteError) Unwrap() error { return e.is }

// StartAgent starts this very program as an agent beside it and waits until it
// answers. Undone is what it found left in the directory, of an agent before it,
// and has undone. The agent outlives this process as long as it takes to undo what
// it holds.
func StartAgent(ctx context.Context, o AgentOptions) (a *Agent, undone []Undone, err error) {
	logs, err := os.OpenFile(filepath.Join(o.Dir, "agent.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("agent: %w", err)
	}
	defer logs.Close()
	// The path survives the program's own replacement on disk.
	cmd := &exec.Cmd{Path: "/proc/self/exe", Args: []string{os.Args[0], AgentCommand, o.Dir}, Stderr: logs, Dir: o.Dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("agent: %w", err)
	}
	a = &Agent{cmd: cmd, gone: make(chan struct{}), closed: make(chan string, 1)}
	a.conn = jsonrpc2.NewConn(context.WithoutCancel(ctx), jsonrpc2.NewPlainObjectStream(lease{out, in}), jsonrpc2.HandlerWithError(a.told))
	go func() {
		<-a.conn.DisconnectNotify() // Wait closes the pipes, so all must have been read
		_ = cmd.Wait()
		close(a.gone)
	}()
	h := Holder{Run: o.Run, Experiment: o.Experiment, Deadline: o.Deadline}
	if err := a.call(ctx, methodOpen, h, &undone); err != nil {
		a.Kill()
		return nil, nil, fmt.Errorf("agent: did not start, see agent.log in %s: %w", o.Dir, err)
	}
	go a.watch()
	return a, undone, nil
}

type lease struct {
	io.Reader
	io.WriteCloser
}

// told takes what the agent says without being asked.
func (a *Agent) told(_ context.Context, _ *jsonrpc2.Conn, req *jsonrpc2.Request) (any, error) {
	var why string
	if req.Method == methodClosed && params(req, &why) == nil {
		select {
		case a.closed <- why:
		default:
		}
	}
	return nil, nil
}

// watch kills an agent that does not answer any more.
func (a *Agent) watch() {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-a.gone:
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), heartbeatLost)
		answered := make(chan error, 1)
		go func() { answered <- a.call(ctx, methodPing, nil, nil) }() // writing may block, too
		select {
		case err := <-answered:
			if err != nil && ctx.Err() != nil {
				a.Kill()
			}
		case <-ctx.Done():
			a.Kill()
		}
		cancel()
	}
}

// Gone is closed when the agent's process has ended.
func (a *Agent) Gone() <-chan struct{} { return a.gone }

// Closed yields the reason once when somebody else had the agent undo everything.
func (a *Agent) Closed() <-chan string { return a.closed }

// PID is the agent's process.
func (a *Agent) PID() int { return a.cmd.Process.Pid }

// Kill ends the agent's process at once, undoing nothing.
func (a *Agent) Kill() { _ = a.cmd.Process.Kill() }

func (a *Agent) call(ctx context.Context, method string, in, out any) error {
	if in == nil {
		in = struct{}{}
	}
	err := a.conn.Call(ctx, method, in, out)
	var e *jsonrpc2.Error
	switch {
	case err == nil || ctx.Err() != nil:
		return err
	case errors.As(err, &e) && e.Code == codeClaimed:
		return remoteError{e.Message, ErrClaimed}
	case errors.As(err, &e):
		return remoteError{e.Message, nil}
	}
	return fmt.Errorf("%w: %w", ErrAgentGone, err)
}

// Inject writes the changes into the journal, makes them together and measures
// whether they bite. An error means that nothing was touched, unless it wraps
// ErrAgentGone; it wraps ErrClaimed when somebody else holds what was to be
// disturbed. How each change went is its outcome's matter.
func (a *Agent) Inject(ctx context.Context, changes []Change) (out []Outcome, err error) {
	err = a.call(ctx, methodInject, changes, &out)
	return out, err
}

// Observe returns those of the named changes that are no longer in force, with
// the reason.
func (a *Agent) Observe(ctx context.Context, ids []string) (lost map[string]Loss, err error) {
	err = a.call(ctx, methodObserve, ids, &lost)
	return lost, err
}

// Revert undoes the named changes together and looks for what is left of them.
// Changes that are not held any more are passed over.
func (a *Agent) Revert(ctx context.Context, ids []string) (out []Undone, err error) {
	err = a.call(ctx, methodRevert, ids, &out)
	return out, err
}

// Close has everything undone that is still held, ends the agent and waits for it.
func (a *Agent) Close(ctx context.Context) (out []Undone, err error) {
	err = a.call(ctx, methodClose, "the run is over", &out)
	a.conn.Close()
	select {
	case <-a.gone:
	case <-ctx.Done():
		return out, errors.Join(err, ctx.Err())
	}
	return out, err
}

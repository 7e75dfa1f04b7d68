package injectors

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"github.com/squall-chaos/squall/experiments/secrets"
	"github.com/squall-chaos/squall/experiments/units"
	"github.com/squall-chaos/squall/targets"
)

// command runs commands of the user's own: one that does, one that undoes, and
// one whose exit code 0 says that what was done is in force.
type command struct {
	subject
	Do      []string               `json:"do"`
	Undo    []string               `json:"undo"`
	Check   []string               `json:"check"`
	Dir     string                 `json:"dir"`
	Timeout units.Duration         `json:"timeout"`
	Secrets map[string]secrets.Ref `json:"secrets,omitempty"` // values are resolved when a command starts
	Env     []string               `json:"env,omitempty"`

	foreign bool // what do would bring about was in force before it: not ours to undo
}

func init() { registerChange(func() change { return new(command) }) }

func (*command) kind() string { return "command" }

func (c *command) resource() string {
	sum := sha256.Sum256([]byte(strings.Join(c.Do, "\x00") + "\x00" + c.Dir))
	return fmt.Sprintf("command/%x/%s", sum[:8], c.Ref)
}

func (c *command) describe() (do, undo string) {
	return "run " + strings.Join(c.Do, " "), "run " + strings.Join(c.Undo, " ")
}

func (c *command) apply(ctx context.Context, w *world) error {
	if r, err := c.run(ctx, w, c.Check); err == nil && r.code == 0 {
		c.foreign = true
		return fmt.Errorf("exec: %q already says that the fault is in force: somebody else did it, or the check cannot fail", c.Check[0])
	}
	r, err := c.run(ctx, w, c.Do)
	if err != nil {
		return fmt.Errorf("exec: do: %w", err)
	}
	if r.code != 0 {
		return fmt.Errorf("exec: do: %q ended with code %d: %s", c.Do[0], r.code, r.tail)
	}
	return nil
}

func (c *command) evidence(ctx context.Context, w *world) (Evidence, error) {
	e := Evidence{Target: c.Name, Asked: "check exits with 0"}
	r, err := c.run(ctx, w, c.Check)
	if err != nil {
		return e, fmt.Errorf("exec: check: %w", err)
	}
	e.Proven, e.Measured = r.code == 0, fmt.Sprintf("exit code %d", r.code)
	if r.tail != "" {
		e.Measured += ": " + r.tail
	}
	return e, nil
}

func (c *command) lost(ctx context.Context, w *world) (Loss, error) {
	r, err := c.run(ctx, w, c.Check)
	if err != nil || r.code == 0 {
		return Loss{}, err
	}
	return Loss{Why: fmt.Sprintf("the check ended with code %d: %s", r.code, r.tail)}, nil
}

func (c *command) revert(ctx context.Context, w *world) (targets.Ref, error) {
	if c.foreign {
		return targets.Ref{}, nil
	}
	r, err := c.run(ctx, w, c.Undo)
	if err != nil {
		return targets.Ref{}, fmt.Errorf("exec: undo: %w", err)
	}
	if r.code != 0 {
		return targets.Ref{}, fmt.Errorf("exec: undo: %q ended with code %d: %s%w", c.Undo[0], r.code, r.tail, errFinal)
	}
	return targets.Ref{}, nil
}

func (c *command) residue(ctx context.Context, w *world) ([]string, error) {
	if c.foreign {
		return nil, nil
	}
	r, err := c.run(ctx, w, c.Check)
	if err != nil {
		return nil, fmt.Errorf("exec: check after undo: %w", err)
	}
	if r.code != 0 {
		return nil, nil
	}
	return []string{fmt.Sprintf("%q still says that the fault is in force after %q", strings.Join(c.Check, " "), strings.Join(c.Undo, " "))}, nil
}

// outcome is how a command ended.
type outcome struct {
	code int
	tail string // last line of what it wrote
}

// run runs argv in a process group of its own. The command dies with the agent:
// one that was cut off is undone, not left to go on.
func (c *command) run(ctx context.Context, w *world, argv []string) (outcome, error) {
	values := map[string]string{}
	for name, ref := range c.Secrets {
		v, err := secrets.Resolve(ref)
		if err != nil {
			return outcome{}, fmt.Errorf("secret %s: %w", name, err)
		}
		values[name] = v
	}
	expanded := make([]string, len(argv))
	for i, a := range argv {
		v, err := secrets.Expand(a, values)
		if err != nil {
			return outcome{}, err
		}
		expanded[i] = v
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout.D())
	defer cancel()
	cmd := exec.CommandContext(ctx, expanded[0], expanded[1:]...)
	cmd.Dir = c.Dir
	cmd.Env = append(append(os.Environ(), w.env...), c.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = biteTime / 10
	var out ending
	cmd.Stdout, cmd.Stderr = &out, &out
	// The death signal is bound to the thread that starts the command.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := cmd.Run()
	r := outcome{code: cmd.ProcessState.ExitCode(), tail: secrets.NewRedactor(values).String(lastLine(out))}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return r, fmt.Errorf("%q did not end within %s", argv[0], c.Timeout)
	case errors.As(err, &exit), errors.Is(err, exec.ErrWaitDelay):
		return r, nil
	case err != nil:
		return r, err
	}
	return r, nil
}

// ending keeps the end of what is written to it.
type ending []byte

func (e *ending) Write(b []byte) (int, error) {
	const most = 16 << 10
	*e = append(*e, b...)
	if extra := len(*e) - most; extra > 0 {
		*e = append((*e)[:0], (*e)[extra:]...)
	}
	return len(b), nil
}

func lastLine(b []byte) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	line := lines[len(lines)-1]
	if len(line) > 200 {
		line = line[:200] + "…"
	}
	return line
}

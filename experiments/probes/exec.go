package probes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/squall-chaos/squall/experiments/units"
)

func init() {
	register(Kind{
		Name: "exec",
		Doc:  "runs a command and looks at its exit code, its output or a number in it",
		New:  func() Probe { return &Exec{Timeout: units.Duration(defaultTimeout)} },
	})
}

// Exec runs a command of this machine: argv, without a shell. The command gets
// our environment, no input, and a process group of its own, so that a Ctrl-C in
// the terminal does not reach it; when the reading ends, the whole group is
// killed, and when we die, the command is (on Linux).
type Exec struct {
	Command []string          `yaml:"command" jsonschema:"required,minItems=1"` // argv; a name without a slash is looked up in PATH; required
	Env     map[string]string `yaml:"env,omitempty"`                            // added to our own environment
	Timeout units.Duration    `yaml:"timeout,omitempty"`                        // then it is killed and the reading has failed; default 2s
	Dir     string            `yaml:"dir,omitempty"`                            // where it runs; default: the experiment file's directory
	Value   string            `yaml:"value,omitempty"`                          // a number to read: the word output for all of it, a JSONPath, or a regular expression with a group

	expect ExecExpect
	path   string
	dir    string
	env    []string
	text   *textMatcher
	value  *reader
}

// ExecExpect is what is expected of the command. All that is set must be met.
type ExecExpect struct {
	Exit    int         `yaml:"exit,omitempty"`    // default 0
	Output  *TextMatch  `yaml:"output,omitempty"`  // of standard output, of which the first MiB is looked at
	Latency MaxDuration `yaml:"latency,omitempty"` // how long it runs
}

// Expect returns the expectations.
func (e *Exec) Expect() any { return &e.expect }

// Limit is the timeout and the time it takes to kill.
func (e *Exec) Limit() time.Duration { return e.Timeout.D() + killDelay }

// killDelay is how long we wait for pipes that a killed command has left open
// in processes that escaped its group.
const killDelay = 500 * time.Millisecond

// Validate says what is wrong with the probe.
func (e *Exec) Validate() error {
	errs := []error{timeoutOf(e.Timeout)}
	if len(e.Command) == 0 || e.Command[0] == "" {
		errs = append(errs, errors.New("command: it is empty: write for example [redis-cli, ping]"))
	}
	if e.expect.Exit < 0 || e.expect.Exit > 255 {
		errs = append(errs, errors.New("expect.exit: an exit code is between 0 and 255"))
	}
	for _, name := range slices.Sorted(maps.Keys(e.Env)) {
		if name == "" || strings.Contains(name, "=") {
			errs = append(errs, fmt.Errorf("env: %q is not a name of a variable", name))
		}
	}
	if o := e.expect.Output; o != nil {
		errs = append(errs, o.validate("output"))
	}
	_, err := newReader(e.Value)
	return errors.Join(append(errs, err)...)
}

// Bind looks the command up.
func (e *Exec) Bind(env Env) error {
	e.dir = within(env.Dir, e.Dir)
	name := e.Command[0]
	if strings.Contains(name, "/") {
		name = within(e.dir, name)
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return fmt.Errorf("command: %w", err)
	}
	e.path = path
	e.env = os.Environ()
	for _, name := range slices.Sorted(maps.Keys(e.Env)) {
		e.env = append(e.env, name+"="+e.Env[name])
	}
	if o := e.expect.Output; o != nil {
		text, err := o.ready()
		if err != nil {
			return err
		}
		e.text = &text
	}
	e.value, err = newReader(e.Value)
	return err
}

// Read runs the command once. A command that cannot be started, or whose output
// is not the number it should be, is an error.
func (e *Exec) Read(ctx context.Context) (Reading, error) {
	a, bounded, cancel := begin(ctx, e.Timeout.D())
	defer cancel()
	out := &head{most: mostBody}
	cmd := &exec.Cmd{
		Path: e.path, Args: e.Command, Dir: e.dir, Env: e.env,
		Stdout: out, SysProcAttr: ownGroup(), WaitDelay: killDelay,
	}
	if err := cmd.Start(); err != nil {
		return Reading{}, fmt.Errorf("%s cannot be started: %w", e.Command[0], errors.Unwrap(err))
	}
	killed := supervise(bounded, cmd.Process.Pid)
	err := cmd.Wait()
	latency := time.Since(a.start)
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return Reading{}, ctx.Err()
	case killed:
		return a.failed(context.DeadlineExceeded)
	case err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay):
		return Reading{}, fmt.Errorf("%s: %w", e.Command[0], err)
	}
	return e.judge(cmd.ProcessState, out.Bytes(), latency)
}

func (e *Exec) judge(state *os.ProcessState, out []byte, latency time.Duration) (Reading, error) {
	r := Reading{Latency: latency, Detail: e.mismatch(state, out, latency)}
	r.OK = r.Detail == ""
	if e.value == nil {
		return r, nil
	}
	v, err := e.value.read(out)
	if err != nil && r.OK {
		return Reading{}, err
	}
	r.Value, r.HasValue = v, err == nil
	return r, nil
}

func (e *Exec) mismatch(state *os.ProcessState, out []byte, latency time.Duration) string {
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return "killed by " + ws.Signal().String()
	}
	if code := state.ExitCode(); code != e.expect.Exit {
		return fmt.Sprintf("exit %d, wanted %d", code, e.expect.Exit)
	}
	if e.text != nil {
		if d := e.text.mismatch("output", string(out)); d != "" {
			return d
		}
	}
	return e.expect.Latency.exceeded(latency)
}

// head keeps the beginning of what is written to it.
type head struct {
	bytes.Buffer
	most int
}

func (h *head) Write(p []byte) (int, error) {
	h.Buffer.Write(p[:min(len(p), max(h.most-h.Len(), 0))])
	return len(p), nil
}

package lab

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/squall-chaos/squall/targets"
)

// tailLines is how much of an output an error repeats.
const tailLines = 20

// build runs the commands one after another on this machine, as this user, with
// the environment of this process.
func build(ctx context.Context, commands Commands, o targets.StartOptions) error {
	for _, argv := range commands {
		argv, err := expandAll(o, argv)
		if err != nil {
			return fmt.Errorf("lab build: %w", err)
		}
		say(o, "building: %s", strings.Join(argv, " "))
		if err := buildOne(ctx, argv, o); err != nil {
			return err
		}
	}
	return nil
}

func buildOne(ctx context.Context, argv []string, o targets.StartOptions) error {
	out := &output{each: o.Output}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = o.FileDir
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	// The signal comes when the thread ends that started the command, so this
	// goroutine keeps its own until then (PR_SET_PDEATHSIG(2const)).
	runtime.LockOSThread()
	err := cmd.Run()
	runtime.UnlockOSThread()
	out.flush()
	if err != nil {
		return fmt.Errorf("lab build: %s: %w%s", strings.Join(argv, " "), err, quote(out.tail))
	}
	return nil
}

// output hands complete lines on and keeps the last ones.
type output struct {
	mu   sync.Mutex
	each func(string)
	part strings.Builder
	tail []string
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := bufio.NewReader(strings.NewReader(string(b)))
	for {
		line, err := r.ReadString('\n')
		o.part.WriteString(line)
		if err == io.EOF {
			return len(b), nil
		}
		o.line()
	}
}

func (o *output) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.part.Len() > 0 {
		o.line()
	}
}

func (o *output) line() {
	line := strings.TrimRight(o.part.String(), "\r\n")
	o.part.Reset()
	o.tail = append(o.tail, line)
	if len(o.tail) > tailLines {
		o.tail = o.tail[1:]
	}
	if o.each != nil {
		o.each(line)
	}
}

// quote sets lines off for the end of an error message.
func quote(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return "; the last lines of its output:\n    " + strings.Join(lines, "\n    ")
}

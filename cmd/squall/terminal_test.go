package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/squall-chaos/squall/experiments/runner"
	"github.com/squall-chaos/squall/reports"
)

// replayEnv makes TestReplay show its storm on its own terminal, that many times
// faster than it was. To look at the live view by eye:
//
//	go test -c ./cmd/squall && SQUALL_TEST_REPLAY=1 ./squall.test -test.run '^TestReplay$'
const (
	replayEnv = "SQUALL_TEST_REPLAY"
	panicEnv  = "SQUALL_TEST_PANIC"  // with replayEnv: Ctrl-C panics
	closedEnv = "SQUALL_TEST_CLOSED" // with replayEnv: file 3 is closed when the view is
)

// TestReplay tells the storm as it happens to the view that fits standard output.
// The tests below start it on a terminal of theirs.
func TestReplay(t *testing.T) {
	speed, err := strconv.ParseFloat(os.Getenv(replayEnv), 64)
	if err != nil {
		speed = 1000
	}
	signal.Ignore(syscall.SIGHUP) // as run does: it is a wish to stop
	interrupted := make(chan struct{}, 100)
	answers := make(chan bool, 1)
	o := viewOptions{
		Color:     os.Getenv("NO_COLOR") == "",
		Interrupt: func() { interrupted <- struct{}{} },
		Confirm:   func(_ string, yes bool) { answers <- yes },
	}
	if os.Getenv(panicEnv) != "" {
		o.Interrupt = func() { panic("as asked") }
	}
	v := newView(os.Stdout, os.Stdin, o, os.Getenv)
	defer v.Close()
	replay(v, speed, interrupted, answers)
	v.Close()
	if os.Getenv(closedEnv) != "" {
		os.NewFile(3, "closed").Close()
	}
}

func replay(v view, speed float64, interrupted chan struct{}, answers chan bool) {
	started := time.Now()
	at := func() float64 { return time.Since(started).Seconds() * speed }
	wait := func(t float64) bool {
		select {
		case <-interrupted:
			return false
		case <-time.After(time.Duration((t - at()) / speed * float64(time.Second))):
			return true
		}
	}
	tell := func(e runner.Event) {
		e.At = started.Add(time.Duration(e.T * float64(time.Second))) // the screen's clock shows the storm's seconds
		v.Handle(e)
	}
	for _, e := range storm() {
		if !wait(e.T) {
			tell(runner.Event{Kind: runner.Stopping, T: at(), Text: "Ctrl-C: undoing 2 faults"})
			<-interrupted
			tell(runner.Event{Kind: runner.Stopping, T: at(), Text: "Ctrl-C again: api-1 is being continued first, which is not skipped"})
			tell(runner.Event{Kind: runner.ConfirmAsked, T: at(), Step: "9", Text: "Did you see that?"})
			tell(runner.Event{Kind: runner.Noted, T: at(), Text: fmt.Sprint("answer ", <-answers)})
			tell(runner.Event{Kind: runner.RunEnded, T: at(), Verdict: reports.Aborted})
			return
		}
		tell(e)
	}
}

// terminal is a pseudo-terminal with a replay running on it.
type terminal struct {
	t      *testing.T
	master *os.File
	tty    *os.File
	before *unix.Termios
	cmd    *exec.Cmd
	ended  chan error
	closed *os.File // ends when the view is closed

	mu     sync.Mutex
	output bytes.Buffer
}

func startOnTerminal(t *testing.T, read bool, env ...string) *terminal {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	master := os.NewFile(uintptr(fd), "/dev/ptmx")
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
		t.Fatal(err)
	}
	before, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	p := &terminal{t: t, master: master, tty: tty, before: before, ended: make(chan error, 1)}
	p.cmd = exec.Command(os.Args[0], "-test.run=^TestReplay$")
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = tty, tty, tty
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	p.cmd.Env = append([]string{"TERM=xterm-256color", "HOME=" + t.TempDir(), "GORACE=" + os.Getenv("GORACE")}, env...)
	closed, closing, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.closed, p.cmd.ExtraFiles = closed, []*os.File{closing}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = closing.Close()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.master.Close()
		_ = p.tty.Close()
		_ = closed.Close()
	})
	go func() { p.ended <- p.cmd.Wait() }()
	if read {
		go p.read()
	}
	return p
}

func (p *terminal) read() {
	b := make([]byte, 4096)
	for {
		n, err := p.master.Read(b)
		p.mu.Lock()
		p.output.Write(b[:n])
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (p *terminal) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

func (p *terminal) await(what string) {
	p.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if strings.Contains(p.text(), what) {
			return
		}
	}
	p.t.Fatalf("no %q in %q", what, p.text())
}

func (p *terminal) press(keys string) {
	p.t.Helper()
	if _, err := p.master.WriteString(keys); err != nil {
		p.t.Fatal(err)
	}
}

// end waits for the replay and checks that the terminal is as it was.
func (p *terminal) end() error {
	p.t.Helper()
	select {
	case err := <-p.ended:
		p.asBefore()
		return err
	case <-time.After(30 * time.Second):
		p.t.Fatalf("the replay does not end; it showed %q", p.text())
		return nil
	}
}

func (p *terminal) asBefore() {
	p.t.Helper()
	after, err := unix.IoctlGetTermios(int(p.tty.Fd()), unix.TCGETS)
	if err != nil {
		p.t.Fatal(err)
	}
	if *after != *p.before {
		p.t.Errorf("the terminal is not as it was:\nbefore %+v\nafter  %+v", *p.before, *after)
	}
}

func TestTerminalIsGivenBackAndNotAskedAnything(t *testing.T) {
	p := startOnTerminal(t, true, replayEnv+"=40")
	if err := p.end(); err != nil {
		t.Errorf("the replay: %v\n%s", err, p.text())
	}
	p.await("✗ DEVIATED")
	p.await("\x1b[?25h")
	out := p.text()
	if i, j := strings.LastIndex(out, "\x1b[?25l"), strings.LastIndex(out, "\x1b[?25h"); j < i {
		t.Error("the cursor is left hidden")
	}
	for _, query := range []string{"\x1b]11;?", "\x1b]10;?", "\x1b[6n"} {
		if strings.Contains(out, query) {
			t.Errorf("the terminal was asked with %q; one that does not answer would be waited for", query)
		}
	}
}

func TestKeysAreReadFromTheTerminal(t *testing.T) {
	p := startOnTerminal(t, true, replayEnv+"=1")
	p.await("baseline for 10s")
	p.press("\x1a") // Ctrl-Z must not stop the process
	p.press("\x03")
	p.await("undoing 2 faults")
	p.press("\x03")
	p.await("Did you see that?")
	p.press("y")
	p.await("answer true")
	if err := p.end(); err != nil {
		t.Errorf("the replay: %v\n%s", err, p.text())
	}
}

func TestPanicLeavesTheTerminalAsItWasAndTheRunGoesOn(t *testing.T) {
	p := startOnTerminal(t, true, replayEnv+"=10", panicEnv+"=1")
	p.await("baseline for 10s")
	p.press("\x03")
	p.await("✗ DEVIATED; checkout p99") // told in plain lines
	if err := p.end(); err != nil {
		t.Errorf("the replay: %v\n%s", err, p.text())
	}
}

func TestRunOutlivesItsTerminal(t *testing.T) {
	p := startOnTerminal(t, true, replayEnv+"=20")
	p.await("baseline for 10s")
	_ = p.master.Close() // what closing a window does
	select {
	case err := <-p.ended:
		if err != nil {
			t.Errorf("the replay: %v\n%s", err, p.text())
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the replay does not end")
	}
}

func TestRunDoesNotWaitForATerminalThatTakesNothing(t *testing.T) {
	p := startOnTerminal(t, false, replayEnv+"=20", closedEnv+"=1") // nobody reads: its buffer fills up
	if err := p.closed.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.closed.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("the view is not closed: %v", err)
	}
	p.asBefore()
	go p.read() // now the process can say that it ends
	if err := p.end(); err != nil {
		t.Errorf("the replay: %v\n%s", err, p.text())
	}
}

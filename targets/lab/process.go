package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The init finds what it was started with under these descriptors.
const (
	fdControl  = 3 // the listening control socket
	fdLifetime = 4 // a stream to the starting process: blueprint in, greeting out; its end is the lab's end
)

// envInside marks the environment of an init, so that a program that forgets to
// call InitMain does not start itself again and again.
const envInside = "SQUALL_LAB_INIT"

// launchTimeout bounds the start of all hosts' commands, without readiness.
const launchTimeout = 30 * time.Second

// process is a lab's init as the starting process holds it.
type process struct {
	cmd      *exec.Cmd
	lifetime *os.File
	ended    chan struct{} // closed when it and all its processes are gone
}

// launch starts an init for p and returns when it has started all hosts.
func launch(ctx context.Context, p blueprint) (*process, error) {
	if os.Getenv(envInside) != "" {
		return nil, errors.New("lab: this program does not call lab.InitMain when its first argument is " + InitCommand)
	}
	control, err := listen(ctx, p.Dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = control.Close() }()
	log, err := os.OpenFile(filepath.Join(p.Dir, "init.log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	defer func() { _ = log.Close() }()
	l, err := spawn([]string{InitCommand, p.Dir}, control, log)
	if err != nil {
		_ = os.Remove(filepath.Join(p.Dir, controlName))
		return nil, err
	}
	if err := l.greet(ctx, p); err != nil {
		_ = l.kill()
		_ = os.Remove(filepath.Join(p.Dir, controlName))
		said, _ := os.ReadFile(log.Name())
		if s := strings.TrimSpace(string(said)); s != "" {
			err = fmt.Errorf("%w%s", err, quote(strings.Split(s, "\n")))
		}
		return nil, err
	}
	return l, nil
}

// listen makes the control socket in dir. A socket that nobody answers at is
// replaced.
func listen(ctx context.Context, dir string) (*os.File, error) {
	if conn, err := (&client{dir: dir}).connect(ctx); err == nil {
		_ = conn.Close()
		return nil, fmt.Errorf("lab: another lab runs in %s: choose another directory", dir)
	}
	path := filepath.Join(dir, controlName)
	_ = os.Remove(path)
	d, err := os.OpenFile(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	defer func() { _ = d.Close() }()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("lab: control socket: %w", err)
	}
	f := os.NewFile(uintptr(fd), path)
	err = unix.Bind(fd, &unix.SockaddrUnix{Name: short(d)})
	if err == nil {
		err = os.Chmod(path, 0o600)
	}
	if err == nil {
		err = unix.Listen(fd, 1024)
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lab: control socket %s: %w", path, err)
	}
	return f, nil
}

// spawn runs this program again with args as PID 1 of new namespaces.
func spawn(args []string, control, log *os.File) (*process, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "lifetime"), os.NewFile(uintptr(pair[1]), "lifetime")
	defer func() { _ = theirs.Close() }()
	exe, err := os.Executable()
	if err != nil {
		_ = ours.Close()
		return nil, fmt.Errorf("lab: this program's own file: %w", err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = []string{envInside + "=1"} // its hosts can read it, so nothing of the user's
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{control, theirs} // fdControl, fdLifetime
	cmd.SysProcAttr = isolation()
	l := &process{cmd: cmd, lifetime: ours, ended: make(chan struct{})}
	if err := l.start(); err != nil {
		_ = ours.Close()
		return nil, fmt.Errorf("lab: %w", refusal(err))
	}
	return l, nil
}

// start starts the init on a thread that lives as long as the init does: the
// parent-death signal comes when the starting thread ends, not the process
// (PR_SET_PDEATHSIG(2const)).
func (l *process) start() error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := l.cmd.Start()
		started <- err
		if err == nil {
			// PID 1 is gone only after all others of its namespace
			// are (pid_namespaces(7)).
			_ = l.cmd.Wait()
			close(l.ended)
		}
	}()
	return <-started
}

// isolation is what separates a lab from the machine. Without the right to make
// namespaces it needs one of users first, in which this user is root.
func isolation() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
		Setsid:     true, // Ctrl-C in the terminal is not meant for it
	}
	if !mayMakeNamespaces() {
		a.Cloneflags |= unix.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return a
}

// mayMakeNamespaces reports whether this process has CAP_SYS_ADMIN.
func mayMakeNamespaces() bool {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return false
	}
	return data[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0
}

// greet sends the blueprint and waits for the greeting.
func (l *process) greet(ctx context.Context, p blueprint) error {
	ctx, cancel := context.WithTimeout(ctx, launchTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = l.lifetime.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := json.NewEncoder(l.lifetime).Encode(p); err != nil {
		return fmt.Errorf("lab: its init did not take the blueprint: %w", err)
	}
	line, err := bufio.NewReader(l.lifetime).ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("lab: its init ended or did not answer: %w", err)
	}
	var g greeting
	if err := json.Unmarshal(line, &g); err != nil {
		return fmt.Errorf("lab: its init answers nonsense: %w", err)
	}
	if g.Error != "" {
		return fmt.Errorf("lab: %s", g.Error)
	}
	return nil
}

// kill ends the lab and waits until all its processes are gone.
func (l *process) kill() error {
	err := l.cmd.Process.Kill()
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("lab: end its init: %w", err)
	}
	<-l.ended
	_ = l.lifetime.Close()
	return nil
}

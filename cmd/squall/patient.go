package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/squall-chaos/squall/injectors"
	"github.com/squall-chaos/squall/targets"
	"github.com/squall-chaos/squall/targets/docker"
	"github.com/squall-chaos/squall/targets/lab"
	"github.com/squall-chaos/squall/targets/process"
)

// idleCommand is the hidden command of targets that doctor makes for itself.
const idleCommand = "idle"

func newIdle() *cobra.Command {
	return &cobra.Command{
		Use: idleCommand, Short: "Do nothing (started by squall doctor)", Hidden: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { select {} },
	}
}

func one(t targets.Target) []targets.Target { return []targets.Target{t} }

// patient makes targets of one driver that doctor may disturb.
type patient struct {
	driver  targets.Driver
	admit   func(ctx context.Context) (end func() error, err error)
	subject func(ctx context.Context) (targets.Target, error) // one that runs
	drivers func() injectors.Drivers
}

func patients() []*patient { return []*patient{labPatient(), processPatient(), dockerPatient()} }

func labPatient() *patient {
	var world targets.World
	p := &patient{driver: lab.New(), drivers: func() injectors.Drivers { return injectors.Drivers{lab.DriverName: world} }}
	p.admit = func(ctx context.Context) (func() error, error) {
		if err := lab.Available(); err != nil {
			return nil, err
		}
		dir, err := os.MkdirTemp("", "squall-doctor-lab-")
		if err != nil {
			return nil, err
		}
		exe, err := os.Executable()
		if err != nil {
			return nil, err
		}
		s := &lab.Section{Hosts: map[string]lab.Host{"idle": {Run: []string{exe, idleCommand}, Restart: "always"}}}
		if world, err = lab.New().Declare(s); err != nil {
			return nil, err
		}
		if err := world.Start(ctx, targets.StartOptions{Dir: dir, FileDir: dir}); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		return func() error { return errors.Join(world.Close(), os.RemoveAll(dir)) }, nil
	}
	p.subject = func(ctx context.Context) (targets.Target, error) {
		all := lab.Selector("*")
		return awaitOne(ctx, world, &all)
	}
	return p
}

func processPatient() *patient {
	d := process.New()
	p := &patient{driver: d, drivers: func() injectors.Drivers { return injectors.Drivers{d.Name(): d} }}
	marker := "squall-doctor-" + strconv.Itoa(os.Getpid())
	p.admit = func(context.Context) (func() error, error) {
		return func() error { return endProcesses(marker) }, nil
	}
	p.subject = func(ctx context.Context) (targets.Target, error) {
		c := &exec.Cmd{Path: "/proc/self/exe", Args: []string{marker, idleCommand}, SysProcAttr: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}}
		if err := c.Start(); err != nil {
			return nil, err
		}
		go c.Wait() // so that it is gone when it was killed
		return awaitOne(ctx, d, &process.Selector{PID: c.Process.Pid})
	}
	return p
}

// endProcesses ends what is left of doctor's processes, and of those that took
// their place.
func endProcesses(marker string) error {
	d := process.New()
	left, err := d.Find(context.Background(), &process.Selector{Name: marker})
	for _, t := range left {
		err = errors.Join(err, t.(targets.Lifecycle).Kill(context.Background(), syscall.SIGKILL))
	}
	return err
}

// awaitOne waits for the one target that sel names.
func awaitOne(ctx context.Context, d targets.Driver, sel targets.Selector) (targets.Target, error) {
	for {
		found, err := d.Find(ctx, sel)
		if err != nil {
			return nil, err
		}
		if len(found) == 1 {
			return found[0], nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: %d targets match %s", d.Name(), len(found), sel)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func dockerPatient() *patient {
	d := docker.New(docker.Options{})
	p := &patient{driver: d, drivers: func() injectors.Drivers { return injectors.Drivers{d.Name(): d} }}
	p.admit = func(ctx context.Context) (func() error, error) {
		another, end, err := d.(docker.Trial).Trial(ctx)
		p.subject = another
		return end, err
	}
	return p
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/squall-chaos/squall/injectors"
	"github.com/squall-chaos/squall/reports"
)

func newDoctor() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Try every fault with every driver on this machine, harmlessly",
		Long: `Doctor makes targets of its own (a process, a lab host, a container) and tries
every fault on them as a run would: inject, prove, undo, look for residue. What
cannot work here is named with what to do about it.

The exit code is 3 if something is missing, and 5 if something could not be
undone.`,
		Example: "  squall doctor",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return doctor(c.Context(), c.OutOrStdout()) },
	}
}

// doctorTime bounds the whole examination.
const doctorTime = 3 * time.Minute

func doctor(ctx context.Context, w io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, doctorTime)
	defer cancel()
	trying, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP) // and not cleaning up
	defer stop()
	dir, err := os.MkdirTemp("", "squall-doctor-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	agent, _, err := injectors.StartAgent(ctx, injectors.AgentOptions{Dir: dir, Run: "doctor", Experiment: "doctor", Deadline: time.Now().Add(doctorTime)})
	if err != nil {
		return exit{reports.Inconclusive.ExitCode(), err}
	}
	d := &examination{agent: agent, w: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	for _, p := range patients() {
		d.examine(trying, p)
	}
	d.examineExec(trying, dir)
	undone, err := agent.Close(context.WithoutCancel(ctx))
	d.residue = d.residue || slices.ContainsFunc(undone, func(u injectors.Undone) bool { return !u.Clean() })
	d.w.Flush()
	switch {
	case d.residue || err != nil:
		return exit{reports.Unrecovered.ExitCode(), errors.Join(errors.New("something could not be undone: see above"), err)}
	case trying.Err() != nil:
		return exit{reports.Aborted.ExitCode(), errors.New("stopped before everything was tried")}
	case d.missing > 0:
		return exit{reports.Inconclusive.ExitCode(), fmt.Errorf("%d of %d do not work here: see above", d.missing, d.tried)}
	}
	fmt.Fprintf(w, "\nAll %d work here.\n", d.tried)
	return nil
}

// examination is one call of doctor.
type examination struct {
	agent   *injectors.Agent
	w       *tabwriter.Writer
	tried   int
	missing int
	residue bool
}

func (d *examination) say(driver, fault string, err error) {
	d.tried++
	if err == nil {
		fmt.Fprintf(d.w, "%s\t%s\tworks\n", driver, fault)
		return
	}
	d.missing++
	fmt.Fprintf(d.w, "%s\t%s\t%s\n", driver, fault, inert(err.Error()))
}

// examine tries every fault that p's driver can have.
func (d *examination) examine(ctx context.Context, p *patient) {
	end, err := p.admit(ctx)
	if err != nil {
		d.say(p.driver.Name(), "–", err)
		return
	}
	defer func() {
		if err := end(); err != nil {
			d.residue = true
			fmt.Fprintf(d.w, "%s\t–\t%s\n", p.driver.Name(), inert(err.Error()))
		}
	}()
	for _, k := range injectors.Kinds() {
		if k.NoOn {
			continue
		}
		t, err := p.subject(ctx)
		if err != nil {
			d.say(p.driver.Name(), k.Name, err)
			return
		}
		if _, ok := t.(interface{ Remove(context.Context) error }); k.Name == "remove" && !ok {
			continue
		}
		spec := k.New()
		if s, ok := spec.(*injectors.Signal); ok {
			s.Signal = "KILL" // the first process of a container ignores others
		}
		req := injectors.Request{ID: p.driver.Name() + "-" + k.Name, Fault: k.Name, Spec: spec, Targets: one(t), Drivers: p.drivers()}
		if k.For != injectors.ForForbidden {
			req.For = time.Second
		}
		d.say(p.driver.Name(), k.Name, d.try(ctx, req))
	}
}

// try injects, proves and undoes.
func (d *examination) try(ctx context.Context, r injectors.Request) error {
	changes, err := injectors.Plan(ctx, r)
	if err != nil {
		return err
	}
	out, err := d.agent.Inject(context.WithoutCancel(ctx), changes) // what has begun is undone before its target ends
	if err != nil {
		return err
	}
	undone, err := d.agent.Revert(context.WithoutCancel(ctx), []string{changes[0].ID})
	if err != nil {
		return err
	}
	for _, u := range undone {
		if !u.Clean() {
			d.residue = true
			return fmt.Errorf("NOT undone: %s %v", u.Err, u.Residue)
		}
	}
	switch o := out[0]; {
	case o.Err != "":
		return errors.New(o.Err)
	case !o.Evidence.Proven:
		return fmt.Errorf("no effect: asked %s, measured %s", o.Evidence.Asked, o.Evidence.Measured)
	}
	return nil
}

func (d *examination) examineExec(ctx context.Context, dir string) {
	mark := dir + "/mark"
	spec := &injectors.Exec{Do: []string{"mkdir", mark}, Undo: []string{"rmdir", mark}, Check: []string{"test", "-d", mark}}
	spec.Timeout = 10 * 1e9
	d.say("–", "exec", d.try(ctx, injectors.Request{ID: "exec", Fault: "exec", Spec: spec, For: time.Second, Dir: dir}))
}

package runner

import (
	"os"
	"os/user"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/squall-chaos/squall/experiments/secrets"
	"github.com/squall-chaos/squall/experiments/verifier"
	"github.com/squall-chaos/squall/reports"
	"github.com/squall-chaos/squall/targets"
)

// result puts together what the run showed. All goroutines of the run have ended.
func (r *run) result() *reports.Result {
	r.verify()
	r.cope()
	rec := &r.record
	res := &reports.Result{
		Version: reports.Version, Run: r.name, Title: r.e.Title, File: r.e.File, Document: r.e.Document,
		Tags: r.e.Tags, Seed: r.Seed, Variables: r.e.Variables, NoInject: r.NoInject, Squall: r.Version,
		Host: thisHost(), Started: r.started.UTC(), Duration: time.Since(r.started).Seconds(),
		Directory: r.dir, Replay: r.Replay, Phases: rec.phases, Targets: r.chosen(),
		Faults: []reports.Fault{}, Checks: rec.checks, Guards: rec.guards, Residue: rec.residue, Notes: rec.notes,
	}
	for _, f := range rec.faults {
		res.Faults = append(res.Faults, *f)
	}
	for _, w := range r.watched {
		p := w.series.Summary()
		p.Name, p.Kind, p.Rate, p.From = w.Name, w.Kind, w.Rate, w.From
		res.Probes = append(res.Probes, p)
	}
	res.Verdict, res.Reasons = verifier.Verdict(verifier.Outcome{
		Checks: rec.checks, Faults: res.Faults, Guards: rec.guards, Residue: rec.residue,
		Aborted: rec.aborted, Problems: rec.problems, NoInject: r.NoInject,
	})
	return secrets.Deep(r.redact, res)
}

func (r *run) chosen() []reports.Target {
	out := []reports.Target{}
	for _, t := range r.e.Targets {
		g, ok := r.groups[t.Name]
		if !ok {
			continue
		}
		out = append(out, reports.Target{
			Name: t.Name, Driver: t.Driver, Selector: t.Selector.String(), Pick: t.Pick.String(),
			Candidates: names(g.Candidates), Chosen: names(g.Chosen),
		})
	}
	return out
}

func names(list []targets.Target) []string {
	out := []string{}
	for _, t := range list {
		out = append(out, t.Name())
	}
	slices.Sort(out)
	return out
}

// thisHost is the machine as a report names it.
func thisHost() reports.Host {
	h := reports.Host{OS: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU()}
	h.Name, _ = os.Hostname()
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		h.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	if me, err := user.Current(); err == nil {
		h.User = me.Username
	}
	return h
}

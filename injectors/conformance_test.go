package injectors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/squall-chaos/squall/experiments/units"
	"github.com/squall-chaos/squall/targets"
	"github.com/squall-chaos/squall/targets/docker"
	"github.com/squall-chaos/squall/targets/lab"
	"github.com/squall-chaos/squall/targets/process"
)

// The test program plays the parts of the processes that it needs.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case lab.InitCommand:
			os.Exit(lab.InitMain(os.Args[2:]))
		case "idle":
			signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
			select {}
		case "stubborn":
			signal.Ignore(syscall.SIGTERM)
			select {}
		}
	}
	os.Exit(m.Run())
}

// stage is a driver with targets to disturb.
type stage struct {
	drivers Drivers
	subject func(t *testing.T, kind string) body
}

func processStage(*testing.T) stage {
	d := process.New()
	return stage{Drivers{d.Name(): d}, func(t *testing.T, kind string) body {
		mark := fmt.Sprintf("squall-subject-%d-%s", os.Getpid(), filepath.Base(t.TempDir()))
		c := &exec.Cmd{Path: "/proc/self/exe", Args: []string{mark, kind}, SysProcAttr: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		go c.Wait()
		t.Cleanup(func() { endAll(t, d, &process.Selector{Name: mark}) })
		return only(t, d, &process.Selector{PID: c.Process.Pid})
	}}
}

// endAll kills what sel names and waits until it is gone.
func endAll(t *testing.T, d targets.Driver, sel targets.Selector) {
	t.Helper()
	left, err := d.Find(context.Background(), sel)
	if err != nil {
		t.Error(err)
	}
	for _, l := range left {
		if err := l.(body).Kill(context.Background(), syscall.SIGKILL); err != nil && !errors.Is(err, targets.ErrGone) {
			t.Error(err)
		}
	}
}

func only(t *testing.T, d targets.Driver, sel targets.Selector) body {
	t.Helper()
	var found []targets.Target
	ok, err := await(t.Context(), biteTime, func(ctx context.Context) (bool, error) {
		var err error
		found, err = d.Find(ctx, sel)
		return len(found) == 1, err
	})
	if !ok || err != nil {
		t.Fatalf("%s: found %d: %v", sel, len(found), err)
	}
	return found[0].(body)
}

func labStage(t *testing.T) stage {
	if err := lab.Available(); err != nil {
		missing(t, err.Error())
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}

	drivers := Drivers{}
	return stage{drivers, func(t *testing.T, kind string) body {
		w, err := lab.New().Declare(&lab.Section{Hosts: map[string]lab.Host{"subject": {Run: []string{exe, kind}, Restart: "always"}}})
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := w.Start(t.Context(), targets.StartOptions{Dir: dir, FileDir: dir}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		})
		drivers[w.Name()] = w
		all := lab.Selector("*")
		return only(t, w, &all)
	}}
}

func dockerStage(t *testing.T) stage {
	d := docker.New(docker.Options{})
	another, end, err := d.(docker.Trial).Trial(t.Context())
	if err != nil {
		missing(t, err.Error())
	}
	t.Cleanup(func() {
		if err := end(); err != nil {
			t.Error(err)
		}
	})
	return stage{Drivers{d.Name(): d}, func(t *testing.T, _ string) body {
		s, err := another(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s.(body)
	}}
}

// conforming are the faults that every change of a target's life comes from.
var conforming = []struct {
	fault string
	spec  Spec
	held  bool // it is undone by us
	only  string
}{
	{"kill", &Kill{Signal: "KILL"}, true, ""},
	{"stop", &Stop{Grace: 0}, true, ""},
	{"pause", &Pause{}, true, ""},
	{"restart", &Restart{Grace: 0}, false, ""},
	{"remove", &Remove{}, true, "docker"},
	{"signal", &Signal{Signal: "HUP"}, false, "process"},
	{"signal", &Signal{Signal: "HUP"}, false, "lab"},
}

func TestChangesConform(t *testing.T) {
	for name, make := range map[string]func(*testing.T) stage{"process": processStage, "lab": labStage, "docker": dockerStage} {
		t.Run(name, func(t *testing.T) {
			s := make(t)
			for _, c := range conforming {
				if c.only != "" && c.only != name {
					continue
				}
				t.Run(c.fault, func(t *testing.T) { conform(t, s, c.fault, c.spec, c.held) })
			}
		})
	}
}

// look is the state of b but for whether it happens to be on a processor.
func look(t *testing.T, b body) targets.State {
	t.Helper()
	s, err := b.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Detail = ""
	return s
}

func conform(t *testing.T, s stage, fault string, spec Spec, held bool) {
	w := &world{drivers: s.drivers, log: slog.New(slog.DiscardHandler)}
	plan := func(t *testing.T, b body) change {
		t.Helper()
		r := Request{ID: "1", Fault: fault, Spec: spec, Targets: []targets.Target{b}, Drivers: s.drivers}
		if held {
			r.For = time.Second
		}
		before := look(t, b)
		cs, err := Plan(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if after := look(t, b); before != after {
			t.Fatalf("planning changed %+v to %+v", before, after)
		}
		v, err := cs[0].decode() // as the agent and recover have it
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	undone := func(t *testing.T, v change, name string) {
		t.Helper()
		for n := range 2 {
			if _, err := v.revert(t.Context(), w); err != nil {
				t.Fatalf("%s: revert %d: %v", name, n+1, err)
			}
			if left, err := v.residue(t.Context(), w); err != nil || len(left) > 0 {
				t.Fatalf("%s: residue %v, %v", name, left, err)
			}
		}
	}

	t.Run("apply bites and revert leaves nothing", func(t *testing.T) {
		v := plan(t, s.subject(t, "idle"))
		if err := v.apply(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		e, err := v.evidence(t.Context(), w)
		if err != nil || !e.Proven || e.Measured == "" {
			t.Fatalf("evidence %+v, %v", e, err)
		}
		if l, err := v.lost(t.Context(), w); err != nil || l.Why != "" {
			t.Errorf("lost %+v, %v", l, err)
		}
		undone(t, v, "applied")
	})
	t.Run("revert without apply changes nothing", func(t *testing.T) {
		b := s.subject(t, "idle")
		v := plan(t, b)
		before := look(t, b)
		undone(t, v, "planned")
		if after := look(t, b); before != after {
			t.Errorf("%+v became %+v", before, after)
		}
	})
	t.Run("revert after an apply that was cut off", func(t *testing.T) {
		v := plan(t, s.subject(t, "stubborn"))
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if d, ok := v.(*down); ok && d.Manner == byStop {
			d.Grace = units.Duration(time.Minute)
		}
		_ = v.apply(ctx, w)
		undone(t, v, "cut off")
	})
	t.Run("revert after an apply that was cut off in the middle", func(t *testing.T) {
		for _, after := range []time.Duration{0, 300 * time.Microsecond, 3 * time.Millisecond} {
			b := s.subject(t, "idle")
			v := plan(t, b)
			ctx, cancel := context.WithTimeout(t.Context(), after)
			_ = v.apply(ctx, w)
			cancel()
			now, err := v.revert(t.Context(), w)
			if err != nil {
				t.Fatal(err)
			}
			if now == (targets.Ref{}) {
				now = b.Ref()
			}
			// What was still on its way must not come afterwards.
			for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); time.Sleep(time.Millisecond) {
				if state, _, err := w.lookAt(t.Context(), now); err != nil || state.Status != targets.Running && held {
					t.Fatalf("cut off after %s: %+v, %v", after, state, err)
				}
			}
			undone(t, v, "cut off")
		}
	})
	t.Run("revert when the target is gone", func(t *testing.T) {
		b := s.subject(t, "idle")
		v := plan(t, b)
		if err := v.apply(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		if now, err := w.current(t.Context(), b.Ref()); err == nil {
			if err := now.Kill(t.Context(), syscall.SIGKILL); err != nil && !errors.Is(err, targets.ErrGone) {
				t.Fatal(err)
			}
		}
		undone(t, v, "gone")
	})
	t.Run("planned on a target that is paused is refused", func(t *testing.T) {
		b := s.subject(t, "idle")
		if err := b.Pause(t.Context()); err != nil {
			t.Fatal(err)
		}
		r := Request{ID: "1", Fault: fault, Spec: spec, Targets: []targets.Target{b}, Drivers: s.drivers, For: time.Second}
		if _, err := Plan(t.Context(), r); !errors.Is(err, ErrNotRunning) {
			t.Errorf("planned: %v", err)
		}
		if err := b.Unpause(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestPlanSaysWhatRemovingWillLose(t *testing.T) {
	s := dockerStage(t)
	b := s.subject(t, "idle")
	if err := b.Restart(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	r := Request{
		ID: "1", Fault: "remove", Spec: &Remove{}, Targets: []targets.Target{only(t, s.drivers["docker"], &docker.Selector{ID: b.Ref().ID})},
		Drivers: Drivers{"docker": forgetful{s.drivers["docker"]}}, For: time.Second, Preview: true,
	}
	cs, err := Plan(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if len(cs[0].Notes) != 1 || cs[0].Notes[0] != "it forgets" || cs[0].Data != nil {
		t.Errorf("planned %+v", cs[0])
	}
}

// forgetful is a driver that always has something to say of its blueprints.
type forgetful struct{ targets.Driver }

func (f forgetful) Capture(ctx context.Context, t targets.Target, remove bool) (targets.Blueprint, error) {
	return f.Driver.(targets.Restorer).Capture(ctx, t, remove)
}

func (f forgetful) Restore(ctx context.Context, r targets.Ref, b targets.Blueprint) (targets.Ref, error) {
	return f.Driver.(targets.Restorer).Restore(ctx, r, b)
}

func (forgetful) Notes(targets.Blueprint) []string { return []string{"it forgets"} }

package lab

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/squall-chaos/squall/experiments/units"
	"github.com/squall-chaos/squall/targets"
)

func command(words ...string) []string { return append([]string{os.Args[0]}, words...) }

func TestKillHoldsTheHostDownUntilRestored(t *testing.T) {
	h := serverHost()
	h.Restart = restartAlways
	w := start(t, &Section{Hosts: map[string]Host{"a": h}})
	a := one(t, w, "a")
	pid := state(t, a).PID
	must(t, a.Kill(t.Context(), syscall.SIGKILL))
	if c := procState(pid); c != 0 {
		t.Errorf("pid %d is in state %c after Kill returned", pid, c)
	}
	must(t, a.Kill(t.Context(), syscall.SIGKILL)) // again is no error
	time.Sleep(3 * backoffFirst)                  // as long as the policy would take, and longer
	s := state(t, a)
	if s.Status != targets.Exited || s.ExitCode != 137 || s.PID != 0 || s.Restarts != 0 {
		t.Errorf("killed: %+v, want exited with 137 and no restarts", s)
	}
	if len(find(t, w, "a")) != 0 {
		t.Error("Find returns a host that does not run")
	}
	if _, err := a.Site(t.Context()); !isGone(err) {
		t.Errorf("Site of a host that does not run: %v, want ErrGone", err)
	}
	restored(t, w, a)
}

// restored brings a back as another process would: knowing only the reference.
func restored(t *testing.T, w *World, a *Target) {
	t.Helper()
	b, err := w.Capture(t.Context(), a, false)
	must(t, err)
	ref, err := New().Restore(t.Context(), a.Ref(), b)
	must(t, err)
	again, err := New().Restore(t.Context(), a.Ref(), b)
	must(t, err)
	if ref == a.Ref() || ref != again {
		t.Errorf("restored to %v, then %v, from %v", ref, again, a.Ref())
	}
	if _, err := New().Open(t.Context(), a.Ref()); !isGone(err) {
		t.Errorf("the old incarnation opens: %v, want ErrGone", err)
	}
	opened, err := New().Open(t.Context(), ref)
	must(t, err)
	if s := state(t, opened.(*Target)); s.Status != targets.Running || procState(s.PID) == 0 {
		t.Errorf("restored: %+v", s)
	}
	eventually(t, "the host answers again", func() bool { _, err := get(t, w, "http://a"); return err == nil })
}

func TestSignalLetsThePolicyReact(t *testing.T) {
	always, never := serverHost(), serverHost()
	always.Restart = restartAlways
	w := start(t, &Section{Hosts: map[string]Host{"always": always, "never": never}})
	a, n := one(t, w, "always"), one(t, w, "never")
	before := state(t, a)
	must(t, a.Signal(t.Context(), syscall.SIGKILL))
	must(t, n.Signal(t.Context(), syscall.SIGTERM))
	eventually(t, "restarted", func() bool { s := state(t, a); return s.Status == targets.Running && s.Restarts == 1 })
	if after := state(t, a); after.PID == before.PID || !after.StartedAt.After(before.StartedAt) {
		t.Errorf("before %+v, after %+v", before, after)
	}
	eventually(t, "ended", func() bool { return state(t, n).Status == targets.Exited })
	if s := state(t, n); s.ExitCode != 128+15 {
		t.Errorf("exit code %d, want 143", s.ExitCode)
	}
	if err := n.Signal(t.Context(), syscall.SIGKILL); !isGone(err) {
		t.Errorf("signal to nobody: %v, want ErrGone", err)
	}
}

func TestRestartPolicies(t *testing.T) {
	begun := time.Now()
	w := start(t, &Section{Hosts: map[string]Host{
		"no":       {Run: command("test-crash", "3")},
		"failed":   {Run: command("test-crash", "3"), Restart: restartOnFailure},
		"finished": {Run: command("test-crash", "0"), Restart: restartOnFailure},
		"always":   {Run: command("test-crash", "0"), Restart: restartAlways},
	}})
	host := func(name string) *Target { return &Target{client: w.client, host: name} }
	for _, name := range []string{"failed", "always"} {
		eventually(t, name+" is restarted four times", func() bool { return state(t, host(name)).Restarts >= 4 })
	}
	if took := time.Since(begun); took < 15*backoffFirst {
		t.Errorf("four restarts within %v: the delays do not double", took)
	}
	for name, code := range map[string]int{"no": 3, "finished": 0} {
		s := state(t, host(name))
		if s.Status != targets.Exited || s.ExitCode != code || s.Restarts != 0 {
			t.Errorf("%s: %+v, want exited with %d", name, s, code)
		}
	}
	// Held down while it waits for its restart, it stays down.
	eventually(t, "waits", func() bool { return state(t, host("failed")).Status == targets.Restarting })
	must(t, host("failed").Stop(t.Context(), time.Second))
	if s := state(t, host("failed")); s.Status != targets.Exited {
		t.Errorf("stopped while restarting: %+v", s)
	}
}

func TestStopAsksThenKills(t *testing.T) {
	w := start(t, &Section{Hosts: map[string]Host{
		"polite": serverHost(),
		"int":    {Run: command("test-serve", ":80"), StopSignal: "INT"},
		"deaf":   {Run: command("test-deaf"), Ready: &Ready{Log: "deaf"}},
	}})
	for name, code := range map[string]int{"polite": 143, "int": 2, "deaf": 137} {
		h := one(t, w, name)
		pid, grace := state(t, h).PID, 5*time.Second
		if name == "deaf" {
			grace = 100 * time.Millisecond
		}
		begun := time.Now()
		must(t, h.Stop(t.Context(), grace))
		if took := time.Since(begun); name == "deaf" && took < grace {
			t.Errorf("deaf was killed after %v, before its grace", took)
		}
		s := state(t, h)
		if procState(pid) != 0 || s.Status != targets.Exited || (s.ExitCode != code && name != "int") {
			t.Errorf("%s: %+v, /proc state %q, want exited with %d", name, s, procState(pid), code)
		}
		must(t, h.Restart(t.Context(), time.Second))
		if s := state(t, h); s.Status != targets.Running {
			t.Errorf("%s after Restart: %+v", name, s)
		}
	}
}

func TestKillWithASignalThatIsIgnoredEndsWithItsContext(t *testing.T) {
	w := start(t, &Section{Hosts: map[string]Host{"deaf": {Run: command("test-deaf"), Ready: &Ready{Log: "deaf"}}}})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	d := one(t, w, "deaf")
	if err := d.Kill(ctx, syscall.SIGTERM); err == nil || ctx.Err() == nil {
		t.Errorf("Kill returns %v while the host runs", err)
	}
	if s := state(t, d); s.Status != targets.Running {
		t.Errorf("%+v", s)
	}
}

func TestPauseStopsEveryProcess(t *testing.T) {
	w := start(t, &Section{Hosts: map[string]Host{
		"server": serverHost(),
		"daemon": {Run: command("test-daemon", "test-daemon", "test-sleep")},
		"forker": {Run: command("test-fork")},
		"pair":   pairHost(),
	}})
	eventually(t, "the daemon left its parents", func() bool {
		d := one(t, w, "daemon")
		return strings.HasPrefix(cmdline(state(t, d).PID), os.Args[0]+"\x00test-sleep\x00")
	})
	for _, name := range []string{"server", "daemon", "forker", "pair"} {
		h := one(t, w, name)
		s := state(t, h)
		for range 5 {
			must(t, h.Pause(t.Context()))
			must(t, h.Pause(t.Context()))
			if c := procState(s.PID); c != 'T' && !(name == "forker" && c == 'D') {
				t.Errorf("%s: pid %d is in state %c, want T", name, s.PID, c)
			}
			for pid, c := range inSameNetwork(s.PID) {
				if !strings.ContainsRune("TDZX", rune(c)) {
					t.Errorf("%s: pid %d of the host is in state %c", name, pid, c)
				}
			}
			if got := state(t, h); name != "forker" && (got.Status != targets.Paused || got.PID != s.PID) {
				t.Errorf("%s: %+v, want paused", name, got)
			}
			must(t, h.Unpause(t.Context()))
			must(t, h.Unpause(t.Context()))
			if got := state(t, h); got.Status != targets.Running || procState(s.PID) == 'T' {
				t.Errorf("%s: %+v, want running", name, got)
			}
		}
		must(t, h.Pause(t.Context()))
		must(t, h.Kill(t.Context(), syscall.SIGKILL))
		if left := inSameNetwork(s.PID); len(left) != 0 || procState(s.PID) != 0 {
			t.Errorf("%s: killed, and left are %v", name, left)
		}
	}
}

func TestCrashTakesTheHostsOtherProcessesWithIt(t *testing.T) {
	w := start(t, &Section{Hosts: map[string]Host{"a": pairHost()}})
	a := one(t, w, "a")
	site, err := a.Site(t.Context())
	must(t, err)
	ns, err := os.Readlink(site.NetNS)
	must(t, err)
	if n := len(inNetwork(ns)); n != 2 {
		t.Fatalf("%d processes, want 2", n)
	}
	must(t, a.Signal(t.Context(), syscall.SIGKILL))
	eventually(t, "all are gone", func() bool { return len(inNetwork(ns)) == 0 })
}

// pairHost runs two processes.
func pairHost() Host {
	return Host{
		Run:   []string{"/bin/sh", "-c", os.Args[0] + " test-sleep & exec " + os.Args[0] + " test-serve :80"},
		Ready: &Ready{TCP: ":80"},
	}
}

func TestNetworkSurvivesARestart(t *testing.T) {
	w := start(t, &Section{Hosts: map[string]Host{"a": serverHost()}})
	a := one(t, w, "a")
	var namespaces []string
	for range 2 {
		site, err := a.Site(t.Context())
		must(t, err)
		ns, err := os.Readlink(site.NetNS)
		must(t, err)
		namespaces = append(namespaces, ns)
		must(t, a.Restart(t.Context(), time.Second))
	}
	if namespaces[0] != namespaces[1] {
		t.Errorf("the network namespace changed: %v", namespaces)
	}
}

func TestFiftyHosts(t *testing.T) {
	h := serverHost()
	h.Replicas = replicas(50)
	h.Ready.Timeout = units.Duration(time.Minute)
	w := start(t, &Section{Hosts: map[string]Host{"a": h}})
	hosts := find(t, w, "a-*")
	if len(hosts) != 50 {
		t.Fatalf("%d hosts", len(hosts))
	}
	all := func(what string, f func(*Target) error) {
		var wg sync.WaitGroup
		begun := time.Now()
		for _, h := range hosts {
			wg.Go(func() {
				if err := f(h); err != nil {
					t.Errorf("%s %s: %v", what, h.Name(), err)
				}
			})
		}
		wg.Wait()
		t.Logf("%s 50 hosts: %v", what, time.Since(begun))
	}
	states := func(want targets.Status) {
		for _, h := range hosts {
			if s := state(t, h); s.Status != want {
				t.Errorf("%s: %+v, want %s", h.Name(), s, want)
			}
		}
	}
	all("pause", func(h *Target) error { return h.Pause(t.Context()) })
	states(targets.Paused)
	all("unpause", func(h *Target) error { return h.Unpause(t.Context()) })
	states(targets.Running)
	all("kill", func(h *Target) error { return h.Kill(t.Context(), syscall.SIGKILL) })
	states(targets.Exited)
	all("start", func(h *Target) error { return h.Start(t.Context()) })
	states(targets.Running)
}

func cmdline(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return string(b)
}

// inSameNetwork are the states of all processes in the network of pid.
func inSameNetwork(pid int) map[int]byte {
	ns, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return nil
	}
	return inNetwork(ns)
}

func inNetwork(ns string) map[int]byte {
	found := map[int]byte{}
	d, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range d {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if link, err := os.Readlink("/proc/" + e.Name() + "/ns/net"); err == nil && link == ns {
			if c := procState(pid); c != 0 {
				found[pid] = c
			}
		}
	}
	return found
}

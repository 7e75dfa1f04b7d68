package probes

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestExec(t *testing.T) {
	t.Setenv("INHERITED", "yes")
	for _, c := range []struct{ name, fields, expect, want string }{
		{"true", "command: ['true']", "", ""},
		{"false", "command: ['false']", "", "exit 1, wanted 0"},
		{"exit", "command: [sh, -c, exit 7]", "exit: 7", ""},
		{"other exit", "command: [sh, -c, exit 7]", "exit: 3", "exit 7, wanted 3"},
		{"signal", "command: [sh, -c, kill -9 $$]", "", "killed by killed"},
		{"no shell", "command: [echo, '$HOME', '*']", "output: {equals: '$HOME *'}", ""},
		{"output", "command: [echo, hello]", "output: {contains: [hell, o], matches: '^h', not_contains: x}", ""},
		{"wrong output", "command: [echo, hello]", "output: {contains: world}", `output does not contain "world"`},
		{"errors are no output", "command: [sh, -c, echo hello >&2]", "output: {contains: hello}", `output does not contain "hello"`},
		{"environment", "{command: [sh, -c, 'echo $INHERITED $ADDED'], env: {ADDED: also}}", "output: {equals: yes also}", ""},
		{"no input", "command: [cat]", "output: {equals: ''}", ""},
		{"timeout", "{command: [sleep, '60'], timeout: 100ms}", "", "timeout after 100ms"},
		{"latency", "command: [sleep, '0.05']", "latency: 10ms", "slower than 10ms"},
		{"endless", "{command: [sh, -c, 'while :; do echo xxxxxxxxxxxxxxxx; done'], timeout: 200ms}", "", "timeout after 200ms"},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantDetail(t, bound(t, "exec", c.fields, c.expect, Env{Dir: t.TempDir()}), c.want)
		})
	}
}

func TestExecRunsWhereTheFileIs(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(dir, "sub", "where.sh")
	if err := os.WriteFile(script, []byte("#!/bin/sh\npwd -P\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	wantDetail(t, bound(t, "exec", "command: [./sub/where.sh]", "output: {equals: "+real+"}", Env{Dir: dir}), "")
	wantDetail(t, bound(t, "exec", "{command: [./where.sh], dir: sub}", "output: {equals: "+real+"/sub}", Env{Dir: dir}), "")
}

func TestExecValue(t *testing.T) {
	for _, c := range []struct {
		out, value string
		want       float64
		err        string
	}{
		{" 42.5\n", "output", 42.5, ""},
		{"-1e3", "output", -1000, ""},
		{"lag=7 ms", "lag=([0-9]+)", 7, ""},
		{`{"lag": 3}`, "$.lag", 3, ""},
		{"", "output", 0, "not a number"},
		{"soon", "output", 0, "not a number"},
		{"NaN", "output", 0, "not a number"},
		{"inf", "output", 0, "not a number"},
		{"1 2", "output", 0, "not a number"},
		{"1,5", "output", 0, "not a number"},
		{"lag=x", "lag=([0-9]+)", 0, "not found"},
		{"lag=x", "lag=(.)", 0, "not a number"},
	} {
		p := bound(t, "exec", "{command: [printf, '%s', "+strconv.Quote(c.out)+"], value: "+strconv.Quote(c.value)+"}", "", Env{})
		r, err := p.Read(t.Context())
		if c.err != "" {
			wantError(t, err, c.err)
			continue
		}
		if err != nil || !r.OK || !r.HasValue || r.Value != c.want {
			t.Errorf("%q by %q: got %+v, %v; want %g", c.out, c.value, r, err, c.want)
		}
	}
	failed := bound(t, "exec", "{command: ['false'], value: output}", "", Env{})
	if r := wantDetail(t, failed, "exit 1, wanted 0"); r.HasValue {
		t.Errorf("got a value of nothing: %+v", r)
	}
}

func TestExecThatCannotStartIsNotMeasured(t *testing.T) {
	dir := t.TempDir()
	gone := filepath.Join(dir, "gone")
	if err := os.WriteFile(gone, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	p := bound(t, "exec", "command: [./gone]", "", Env{Dir: dir})
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	_, err := p.Read(t.Context())
	wantError(t, err, "cannot be started")
	wantError(t, decode(t, "exec", "command: [no-such-command-here]", "").Bind(Env{}), "command")
}

// pids reads the numbers that a command wrote to a file.
func pids(t *testing.T, file string, want int) []int {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		b, _ := os.ReadFile(file)
		if fields := strings.Fields(string(b)); len(fields) >= want {
			var ns []int
			for _, f := range fields {
				n, err := strconv.Atoi(f)
				if err != nil {
					t.Fatal(err)
				}
				ns = append(ns, n)
			}
			return ns
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d processes did not start: %q", want, b)
		}
	}
}

// wantDead waits until a process is gone or a zombie.
func wantDead(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		if time.Now().After(deadline) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatalf("process %d lives on: %s", pid, stat)
		}
	}
}

func TestExecKillsGrandchildren(t *testing.T) {
	for name, c := range map[string]struct{ script, want string }{
		"at the timeout":      {`sleep 60 & echo $! >>pids; sh -c 'sleep 60 & echo $! >>pids; wait' & wait`, "timeout after 300ms"},
		"left in background":  {`sleep 60 & echo $! >>pids; sleep 60 >/dev/null 2>&1 & echo $! >>pids`, ""},
		"holding the outputs": {`(trap "" TERM HUP INT; sleep 60) & echo $! >>pids; echo $$ >>pids; exit 0`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			p := bound(t, "exec", "{command: [sh, -c, "+strconv.Quote(c.script)+"], timeout: 300ms}", "", Env{Dir: dir})
			start := time.Now()
			wantDetail(t, p, c.want)
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %s", took)
			}
			for _, pid := range pids(t, filepath.Join(dir, "pids"), 2) {
				wantDead(t, pid)
			}
		})
	}
}

func TestExecIsCutOffWithoutAReading(t *testing.T) {
	dir := t.TempDir()
	p := bound(t, "exec", `{command: [sh, -c, "echo $$ >pids; exec sleep 60"], timeout: 1m}`, "", Env{Dir: dir})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { pids(t, filepath.Join(dir, "pids"), 1); cancel() }()
	if r, err := p.Read(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %+v, %v", r, err)
	}
	wantDead(t, pids(t, filepath.Join(dir, "pids"), 1)[0])
}

func TestExecHasItsOwnGroup(t *testing.T) {
	p := bound(t, "exec", `{command: [sh, -c, "ps -o pgid= -p $$ 2>/dev/null || cut -d' ' -f5 /proc/$$/stat"], value: output}`, "", Env{})
	r := read(t, p)
	if int(r.Value) == syscall.Getpgrp() || r.Value == 0 {
		t.Errorf("group %g, ours is %d", r.Value, syscall.Getpgrp())
	}
}

// Package process holds no code: it is an example system with its experiments.
// Its tests run both.
package process

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// The first three tests show, without any of Squall, that what the experiments
// claim is so: their verdicts then rest on a system that is known.

func TestWorkerComesBack(t *testing.T) {
	s := up(t)
	before := s.workers(t)
	if err := syscall.Kill(before[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := s.get(t.Context(), "/", "It is"); err != nil {
		t.Error(err)
	}
	eventually(t, 5*time.Second, "nginx has two workers again", func() error {
		if now := s.workers(t); len(now) != 2 || now[0] == before[0] {
			return fmt.Errorf("%v were %v", now, before)
		}
		return nil
	})
}

func TestPausedWorkerIsNotMissed(t *testing.T) {
	s := up(t)
	worker := s.workers(t)[0]
	if err := syscall.Kill(worker, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(worker, syscall.SIGCONT) }()
	failed := 0
	for range 200 {
		if s.get(t.Context(), "/", "It is") != nil {
			failed++
		}
	}
	if failed > 2 {
		t.Errorf("%d of 200 requests failed", failed)
	}
}

func TestApologyWhileTheClockIsAway(t *testing.T) {
	s := up(t)
	for _, pid := range processes(t) {
		if s.isClock(pid) {
			_ = syscall.Kill(pid, syscall.SIGTERM)
		}
	}
	eventually(t, 5*time.Second, "nginx apologises", func() error {
		return s.get(t.Context(), "/", "The clock is away")
	})
	if s.get(t.Context(), "/time", "") == nil {
		t.Error("/time answers without a clock")
	}
	s.startClock(t)
	eventually(t, 5*time.Second, "the clock is back", func() error {
		return s.get(t.Context(), "/time", "It is")
	})
}

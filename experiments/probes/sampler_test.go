package probes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/squall-chaos/squall/experiments/units"
)

// fake is a probe made of a function.
type fake struct {
	Probe
	read  func(context.Context) (Reading, error)
	limit time.Duration
}

func (f fake) Read(ctx context.Context) (Reading, error) { return f.read(ctx) }
func (f fake) Limit() time.Duration                      { return f.limit }

func good(context.Context) (Reading, error) { return Reading{OK: true}, nil }

func perSecond(n float64) units.Rate { return units.Rate{N: n, Per: time.Second} }

// sample runs s for d and returns what it emitted.
func sample(t *testing.T, s *Sampler, d time.Duration) []Sample {
	t.Helper()
	var got []Sample
	s.Emit = func(x Sample) { got = append(got, x) }
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := s.Run(ctx); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestSamplerKeepsTheRateOverAStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		stall := func(ctx context.Context) (Reading, error) {
			// A server that stands still from second 2 to second 3.
			if since := time.Since(start); since >= 2*time.Second && since < 3*time.Second {
				time.Sleep(3*time.Second - since)
			}
			return Reading{OK: true}, nil
		}
		s := &Sampler{Probe: fake{read: stall, limit: 2 * time.Second}, Rate: perSecond(100), Drain: time.Second}
		got := sample(t, s, 5*time.Second-time.Millisecond)
		late := 0
		for _, x := range got {
			if x.Latency > 0 {
				late++
			}
			if want := max(0, 3*time.Second-x.At); x.At >= 2*time.Second && x.At < 3*time.Second && x.Latency != want {
				t.Errorf("due at %s: latency %s, want %s", x.At, x.Latency, want)
			}
		}
		if len(got) != 500 || late != 100 {
			t.Errorf("%d readings, %d late; want 500 and 100", len(got), late)
		}
	})
}

func TestSamplerSchedulesFromTheEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		epoch := time.Now()
		time.Sleep(1234 * time.Millisecond)
		s := &Sampler{Probe: fake{read: good}, Rate: perSecond(10), Epoch: epoch}
		got := sample(t, s, time.Second)
		if len(got) == 0 {
			t.Fatal("no samples")
		}
		for i, x := range got {
			if want := 1300*time.Millisecond + time.Duration(i)*100*time.Millisecond; x.At != want {
				t.Errorf("sample %d was due at %s, want %s", i, x.At, want)
			}
		}
	})
}

func TestSamplerBoundsWhatIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var flying, most atomic.Int64
		hang := func(ctx context.Context) (Reading, error) {
			n := flying.Add(1)
			defer flying.Add(-1)
			most.Store(max(most.Load(), n))
			select {
			case <-time.After(time.Minute): // longer than it promised
				return Reading{OK: true}, nil
			case <-ctx.Done():
				return Reading{}, ctx.Err()
			}
		}
		s := &Sampler{Probe: fake{read: hang, limit: time.Second}, Rate: perSecond(50)}
		got := sample(t, s, 10*time.Second-time.Millisecond)
		if want := int64(50 + spareInFlight); most.Load() != want {
			t.Errorf("%d in flight, want %d", most.Load(), want)
		}
		for _, x := range got {
			if !x.Unmeasured || !strings.Contains(x.Detail, "in flight") {
				t.Fatalf("got %+v, want unmeasured", x)
			}
		}
		if want := 500 - 50 - spareInFlight; len(got) != want {
			t.Errorf("%d unmeasured, want %d", len(got), want)
		}
	})
}

func TestSamplerDropsWhatItCutsOff(t *testing.T) {
	for _, c := range []struct {
		drain time.Duration
		want  int
	}{{0, 7}, {200 * time.Millisecond, 9}, {time.Second, 10}} {
		t.Run(c.drain.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				slow := func(ctx context.Context) (Reading, error) {
					select {
					case <-time.After(300 * time.Millisecond):
						return Reading{OK: true}, nil
					case <-ctx.Done():
						return Reading{Detail: "cut off"}, nil // a probe that takes it for a failure
					}
				}
				s := &Sampler{Probe: fake{read: slow}, Rate: perSecond(10), Drain: c.drain}
				got := sample(t, s, time.Second-time.Millisecond)
				if len(got) != c.want {
					t.Errorf("%d samples, want %d", len(got), c.want)
				}
				for _, x := range got {
					if !x.OK {
						t.Errorf("got %+v", x)
					}
				}
				if want := time.Duration(c.want) * 100 * time.Millisecond; s.Settled() != want {
					t.Errorf("settled until %s, want %s", s.Settled(), want)
				}
			})
		})
	}
}

func TestSamplerSettlesOnlyBehindTheSlowest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		read := func(ctx context.Context) (Reading, error) {
			if n.Add(1) == 3 { // due at 200ms
				time.Sleep(time.Second)
			}
			return Reading{OK: true}, nil
		}
		s := &Sampler{Probe: fake{read: read}, Rate: perSecond(10), Emit: func(Sample) {}}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = s.Run(ctx) })
		time.Sleep(950 * time.Millisecond)
		if got := s.Settled(); got != 200*time.Millisecond {
			t.Errorf("settled until %s while that of 200ms is in flight", got)
		}
		time.Sleep(300 * time.Millisecond)
		if got := s.Settled(); got != 1300*time.Millisecond {
			t.Errorf("settled until %s after it came in, want 1.3s", got)
		}
		cancel()
		wg.Wait()
	})
}

func TestSamplerSaysThatItCouldNotMeasure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := func(context.Context) (Reading, error) { return Reading{OK: true}, errors.New("no such command") }
		got := sample(t, &Sampler{Probe: fake{read: broken}, Rate: perSecond(10)}, time.Second-time.Millisecond)
		if len(got) != 10 {
			t.Fatalf("%d samples", len(got))
		}
		for _, x := range got {
			if x.OK || !x.Unmeasured || x.Detail != "no such command" {
				t.Errorf("got %+v", x)
			}
		}
	})
}

func TestSamplerDoesNotCatchUpWithAStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reads, late, early int
		s := &Sampler{Rate: perSecond(100), Probe: fake{read: func(context.Context) (Reading, error) {
			reads++
			return Reading{OK: true}, nil
		}}}
		s.Emit = func(x Sample) {
			switch {
			case x.Unmeasured && x.At < 400*time.Millisecond:
				late++
			case !x.Unmeasured && x.At >= 400*time.Millisecond:
				early++
			}
		}
		s.begin()
		time.Sleep(500 * time.Millisecond) // as if the machine had been suspended
		var workers sync.WaitGroup
		jobs := make(chan job)
		for i := range 50 {
			s.hand(t.Context(), &workers, jobs, job{int64(i), time.Duration(i) * 10 * time.Millisecond})
			synctest.Wait()
		}
		close(jobs)
		workers.Wait()
		if reads != 10 || late != 40 || early != 10 {
			t.Errorf("%d reads, %d unmeasured, %d measured; want 10, 40 and 10", reads, late, early)
		}
	})
}

func TestSamplerNeedsItsFields(t *testing.T) {
	for _, s := range []*Sampler{
		{},
		{Probe: fake{read: good}, Rate: perSecond(1)},
		{Probe: fake{read: good}, Emit: func(Sample) {}},
		{Rate: perSecond(1), Emit: func(Sample) {}},
	} {
		if err := s.Run(t.Context()); err == nil {
			t.Errorf("%+v ran", s)
		}
	}
}

func BenchmarkSampler(b *testing.B) {
	for _, rate := range []float64{100, 1000} {
		b.Run(fmt.Sprintf("%g_per_second", rate), func(b *testing.B) {
			for b.Loop() {
				benchSampler(b, rate, 2*time.Second)
			}
		})
	}
}

// benchSampler reports how late readings start and what share of a core it
// takes to start and emit them; and, as what the machine allows at that moment,
// how late a bare sleep to the same schedule wakes up.
func benchSampler(b *testing.B, rate float64, d time.Duration) {
	lags := make([]time.Duration, 0, int(rate*d.Seconds()))
	s := &Sampler{Probe: fake{read: good, limit: time.Second}, Rate: perSecond(rate), Drain: time.Second}
	s.Emit = func(x Sample) { lags = append(lags, x.Latency) }
	ctx, cancel := context.WithTimeout(b.Context(), d)
	defer cancel()
	bare := make(chan time.Duration)
	go func() { bare <- bareLag(ctx, rate) }()
	before := cpuTime(b)
	if err := s.Run(ctx); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64((<-bare).Microseconds()), "bare-sleep-p99-µs")
	b.ReportMetric((cpuTime(b)-before).Seconds()/d.Seconds(), "cores")
	slices.Sort(lags)
	b.ReportMetric(float64(lags[len(lags)/2].Microseconds()), "lag-p50-µs")
	b.ReportMetric(float64(lags[len(lags)*99/100].Microseconds()), "lag-p99-µs")
	b.ReportMetric(float64(len(lags))/d.Seconds(), "readings/s")
}

// bareLag is the 99th percentile of how late sleeps to the schedule end.
func bareLag(ctx context.Context, rate float64) time.Duration {
	var lags []time.Duration
	for due := time.Now(); ctx.Err() == nil; due = due.Add(time.Duration(float64(time.Second) / rate)) {
		time.Sleep(time.Until(due))
		lags = append(lags, time.Since(due))
	}
	slices.Sort(lags)
	return lags[len(lags)*99/100]
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

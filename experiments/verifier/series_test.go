package verifier

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/squall-chaos/squall/experiments/units"
)

func TestSeriesOrdersWhatComesLate(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	s := NewSeries(units.Rate{N: 1000, Per: time.Second})
	var want []time.Duration
	for i := range 20_000 {
		at := time.Duration(i)*time.Millisecond - time.Duration(r.IntN(3000))*time.Millisecond
		at = max(at, 0)
		want = append(want, at)
		s.Append(sampled{At: at, OK: true})
	}
	slices.Sort(want)
	for _, span := range [][2]time.Duration{{0, 20 * time.Second}, {time.Second, 2 * time.Second}, {5 * time.Second, 5 * time.Second}, {19 * time.Second, time.Hour}, {time.Hour, 2 * time.Hour}} {
		var got, expected []time.Duration
		s.Window(span[0], span[1]).each(func(x record) bool { got = append(got, x.at); return true })
		for _, at := range want {
			if at >= span[0] && at < span[1] {
				expected = append(expected, at)
			}
		}
		if !slices.Equal(got, expected) {
			t.Errorf("%v: %d samples, want %d in order", span, len(got), len(expected))
		}
	}
	if s.Len() != len(want) {
		t.Errorf("%d samples, want %d", s.Len(), len(want))
	}
}

func TestSeriesKeepsReadersApartFromTheWriter(t *testing.T) {
	s := NewSeries(units.Rate{N: 1000, Per: time.Second})
	c := claim(t, "p99", "<= 1s")
	var wg sync.WaitGroup
	done := make(chan struct{})
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					Judge(c, s.All(), nil)
					s.Summary()
				}
			}
		})
	}
	fill(s, 0, 5*time.Second, func(i int, x *sampled) { x.OK, x.Detail = i%2 == 0, fmt.Sprint(i%5) })
	close(done)
	wg.Wait()
	if got := s.Summary(); got.Readings != 5000 || got.Failed != 2500 {
		t.Errorf("got %d readings, %d failed", got.Readings, got.Failed)
	}
}

func TestSeriesBoundsDetails(t *testing.T) {
	s := NewSeries(every20())
	for i := range 5000 {
		s.Append(sampled{At: time.Duration(i), Detail: fmt.Sprintf("port %d", i)})
	}
	if len(s.details) > mostDetails+2 {
		t.Errorf("%d details are kept", len(s.details))
	}
	if p := s.Summary(); p.Failures[otherDetail] != 5000-mostDetails || len(p.Failures) != mostFailures {
		t.Errorf("got %v", p.Failures)
	}
}

func TestZeroWindowIsEmpty(t *testing.T) {
	if j := Judge(claim(t, "success", ">= 1%"), Window{}, nil); j.Status != "unknown" || j.Reason != "there are no readings" {
		t.Errorf("got %+v", j)
	}
}

func TestPoints(t *testing.T) {
	s := series(4*time.Second, func(i int, x *sampled) {
		x.Latency = time.Duration(i%20+1) * time.Millisecond
		x.Value, x.HasValue = float64(i/20), true
		switch {
		case i == 0:
			x.OK = false
		case i == 1:
			*x = sampled{At: x.At, Unmeasured: true, Detail: "no"}
		case i >= 40 && i < 60:
			x.At += time.Hour // nothing in second 2
		}
	})
	ps := s.Window(0, 4*time.Second).Points(time.Second)
	if len(ps) != 4 {
		t.Fatalf("%d points", len(ps))
	}
	if p := ps[0]; p.T != 0 || p.OK != 18 || p.Failed != 1 || p.Unmeasured != 1 || p.P99 != 0.02 || *p.Value != 0 {
		t.Errorf("got %+v", p)
	}
	if p := ps[1]; p.T != 1 || p.OK != 20 || p.P50 != 0.01 || *p.Value != 1 {
		t.Errorf("got %+v", p)
	}
	if p := ps[2]; p.T != 2 || p.OK+p.Failed+p.Unmeasured != 0 || p.Value != nil {
		t.Errorf("got %+v", p)
	}
	if p := s.Window(3*time.Second, 4*time.Second).Points(100 * time.Millisecond); len(p) != 10 || p[0].T != 3 || p[9].T != 3.9 {
		t.Errorf("got %+v", p)
	}
}

func TestSummary(t *testing.T) {
	s := series(50*time.Second, func(i int, x *sampled) {
		x.Latency = time.Duration(i+1) * time.Millisecond
		switch i % 100 {
		case 0:
			x.OK, x.Detail = false, "timeout after 2s"
		case 1, 2:
			x.OK, x.Detail = false, "connection refused"
		case 3:
			*x = sampled{At: x.At, Unmeasured: true, Detail: "the target is gone"}
		}
	})
	p := s.Summary()
	if p.Readings != 990 || p.Failed != 30 || p.Unmeasured != 10 || len(p.Points) != 50 || p.Rate != every20() {
		t.Errorf("got %+v", p)
	}
	if p.Failures["connection refused"] != 20 || p.Failures["timeout after 2s"] != 10 || p.Failures["the target is gone"] != 10 {
		t.Errorf("got %v", p.Failures)
	}
	if p.Latency["max"] != 1 || p.Latency["p50"] < 0.49 || p.Latency["p50"] > 0.51 || p.Latency["p99.9"] < 0.998 {
		t.Errorf("got %v", p.Latency)
	}
}

func TestRecordIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(record{}); size != 32 {
		t.Errorf("a sample takes %d bytes", size)
	}
}

// BenchmarkSeriesMemory reports what 10 minutes of 1,000 readings a second take.
func BenchmarkSeriesMemory(b *testing.B) {
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		s := NewSeries(units.Rate{N: 1000, Per: time.Second})
		fill(s, 0, 10*time.Minute, func(i int, x *sampled) {
			if i%50 == 0 {
				x.OK, x.Detail = false, fmt.Sprint("status ", 500+i%7)
			}
		})
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MiB-kept")
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(s.Len()), "B/sample")
	}
}

// BenchmarkJudge judges the longest run that the goals name, at its end.
func BenchmarkJudge(b *testing.B) {
	s := NewSeries(units.Rate{N: 1000, Per: time.Second})
	r := rand.New(rand.NewPCG(1, 2))
	fill(s, 0, 10*time.Minute, func(_ int, x *sampled) { x.Latency = time.Duration(r.IntN(1e8)) })
	for _, m := range []string{"success", "p99"} {
		c := Claim{Metric: m, Op: AtMost, Bound: Bound{Value: 1}}
		b.Run(m, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Judge(c, s.All(), nil)
			}
		})
	}
}

package verifier

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/squall-chaos/squall/experiments/units"
	"github.com/squall-chaos/squall/reports"
)

func latencies(ms func(i int) int) func(int, *sampled) {
	return func(i int, x *sampled) { x.Latency = time.Duration(ms(i)) * time.Millisecond }
}

func values(v func(i int) float64) func(int, *sampled) {
	return func(i int, x *sampled) { x.Value, x.HasValue = v(i), true }
}

func rising(i int) int { return i + 1 }

func TestJudge(t *testing.T) {
	const all = 10 * time.Second // 200 readings at 20/s
	for _, c := range []struct {
		name, metric, bound string
		change              func(int, *sampled)
		status, got         string
	}{
		{"all good", "success", ">= 100%", nil, "held", "100%"},
		{"one of 200 failed", "success", ">= 99.5%", between(0, 1), "held", "99.5%"},
		{"one too many", "success", ">= 99.6%", between(0, 1), "broken", "99.5%"},
		{"strictly", "success", "> 99.5%", between(0, 1), "broken", "99.5%"},
		{"nothing works", "success", ">= 1%", between(0, all), "broken", "0%"},
		{"as it should not", "success", "<= 50%", between(0, all), "held", "0%"},
		{"p50", "p50", "<= 100ms", latencies(rising), "held", "100ms"},
		{"p90", "p90", "<= 179ms", latencies(rising), "broken", "180ms"},
		{"p95", "p95", "<= 190ms", latencies(rising), "held", "190ms"},
		{"p99", "p99", "<= 198ms", latencies(rising), "held", "198ms"},
		{"p99 broken", "p99", "< 198ms", latencies(rising), "broken", "198ms"},
		{"max", "max", "<= 200ms", latencies(rising), "held", "200ms"},
		{"max broken", "max", "<= 199ms", latencies(rising), "broken", "200ms"},
		{"slow enough", "p50", ">= 100ms", latencies(rising), "held", "100ms"},
		{"rate", "rate", ">= 20/s", nil, "held", "20/s"},
		{"rate of good ones", "rate", ">= 20/s", between(0, time.Second), "broken", "18/s"},
		{"no outage", "outage", "<= 1s", nil, "held", "0s"},
		{"outage", "outage", "<= 2s", between(time.Second, 3*time.Second), "held", "2s"},
		{"outage broken", "outage", "<= 1.9s", between(time.Second, 3*time.Second), "broken", "2s"},
		{"outage to the end", "outage", "<= 1s", between(8*time.Second, all), "broken", "2s"},
		{"failures", "failures", "<= 20", between(0, time.Second), "held", "20"},
		{"failures broken", "failures", "<= 19", between(0, time.Second), "broken", "20"},
		{"value", "value", ">= 200", values(func(i int) float64 { return float64(i + 1) }), "held", "200"},
		{"value mean", "value.mean", "== 100.5", values(func(i int) float64 { return float64(i + 1) }), "held", "100.5"},
		{"value min", "value.min", ">= 2", values(func(i int) float64 { return float64(i + 1) }), "broken", "1"},
		{"value max", "value.max", "<= 199", values(func(i int) float64 { return float64(i + 1) }), "broken", "200"},
		{"over spans", "success", ">= 50% over 2s", between(4*time.Second, 5*time.Second), "held", "50%"},
		{"over spans broken", "success", ">= 60% over 2s", between(4*time.Second, 5*time.Second), "broken", "50%"},
		{"over it all", "success", ">= 90% over 10s", between(4*time.Second, 5*time.Second), "held", "90%"},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := Judge(claim(t, c.metric, c.bound), series(all, c.change).Window(0, all), nil)
			if j.Status != c.status || j.Got != c.got || j.Reason != "" {
				t.Errorf("got %+v; want %s, %s", j, c.status, c.got)
			}
		})
	}
}

// TestNeverAFalseGreen lists ways in which nothing is wrong because nothing is
// known.
func TestNeverAFalseGreen(t *testing.T) {
	const all = 10 * time.Second
	unmeasured := func(which func(i int) bool) func(int, *sampled) {
		return func(i int, x *sampled) {
			if which(i) {
				*x = sampled{At: x.At, Unmeasured: true, Detail: "no such command", OK: true}
			}
		}
	}
	sparse := func(n int) func(int, *sampled) {
		return func(i int, x *sampled) {
			if i >= n {
				x.At += time.Hour
			}
		}
	}
	for _, c := range []struct {
		name, metric, bound string
		change              func(int, *sampled)
		reason              string
	}{
		{"no readings", "success", ">= 1%", sparse(0), "no readings"},
		{"no failures among none", "failures", "== 0", sparse(0), "no readings"},
		{"no outage among none", "outage", "<= 3s", sparse(0), "no readings"},
		{"too few", "success", ">= 1%", sparse(9), "only 9 of the 200"},
		{"half of the time is missing", "success", ">= 50%", sparse(100), "only 100 of the 200"},
		{"the end is missing", "outage", "<= 3s", sparse(150), "only 150 of the 200"},
		{"the end is missing: latency", "p99", "<= 1s", sparse(150), "only 150 of the 200"},
		{"the end is missing: failures", "failures", "<= 3", sparse(150), "only 150 of the 200"},
		{"could not measure", "success", ">= 1%", unmeasured(func(int) bool { return true }), "200 could not be measured: no such command"},
		{"could mostly measure", "success", ">= 1%", unmeasured(func(i int) bool { return i%5 == 0 }), "only 160 of the 200"},
		{"p999 of 200", "p999", "<= 1s", nil, "200 good readings, but this claim needs 1000"},
		{"everything refused at once", "p99", "<= 1s", between(0, all), "0 good readings"},
		{"no numbers", "value.mean", "<= 10", nil, "0 numbers"},
		{"not a number", "value.mean", "<= 10", values(func(int) float64 { return math.NaN() }), "0 numbers"},
		{"infinite", "value.min", "<= 10", values(func(int) float64 { return math.Inf(-1) }), "0 numbers"},
		{"one is not a number", "value.mean", "<= 10", values(func(i int) float64 {
			if i == 7 {
				return math.NaN()
			}
			return 1
		}), "1 readings were not a number"},
		{"one has none", "value.mean", "<= 10", func(i int, x *sampled) { x.HasValue = i != 7 }, "1 good readings had no number"},
		{"the last has none", "value", "<= 10", func(i int, x *sampled) { x.HasValue, x.OK = i != 199, i != 199 }, "the last reading had no number"},
		{"many failed without one", "value.mean", "<= 10", func(i int, x *sampled) { x.HasValue, x.OK = i > 50, i > 50 }, "of 200 readings had a number"},
		{"too coarse for the outage", "outage", "<= 60ms", nil, "too coarse"},
		{"a gap as long as the outage", "outage", "<= 1s", unmeasured(func(i int) bool { return i >= 50 && i < 65 }), "too coarse"},
		{"shorter than the span", "success", ">= 1% over 20s", nil, "shorter than 20s"},
		{"no baseline", "p99", "<= 2x baseline", nil, "no baseline"},
		{"a metric nobody knows", "p98", "<= 1", nil, "nothing that a window can be judged by"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl, err := ParseClaim(c.metric, c.bound)
			if err != nil {
				cl = Claim{Metric: c.metric, Op: AtMost, Bound: Bound{Value: 1}}
			}
			j := Judge(cl, series(all, c.change).Window(0, all), nil)
			if j.Status != reports.CheckUnknown || !strings.Contains(j.Reason, c.reason) {
				t.Errorf("got %+v; want unknown with %q", j, c.reason)
			}
		})
	}
	if j := Judge(Claim{}, series(all, nil).All(), nil); j.Status != reports.CheckUnknown {
		t.Errorf("the zero claim: %+v", j)
	}
	if j := Judge(Claim{Metric: "success", Bound: Bound{Value: 1}}, series(all, nil).Window(0, all), nil); j.Held() {
		t.Errorf("a claim without a comparison: %+v", j)
	}
}

func TestJudgeBesideTheBaseline(t *testing.T) {
	const all = 10 * time.Second
	during := series(all, latencies(func(int) int { return 150 })).Window(0, all)
	for _, c := range []struct {
		name, bound string
		baseline    Window
		status      string
		reason      string
	}{
		{"held", "<= 2x baseline", series(all, latencies(func(int) int { return 100 })).Window(0, all), "held", ""},
		{"broken", "<= 1.4x baseline", series(all, latencies(func(int) int { return 100 })).Window(0, all), "broken", ""},
		{"zero", "<= 2x baseline", series(all, latencies(func(int) int { return 0 })).Window(0, all), "unknown", "the baseline is 0"},
		{"too few", "<= 2x baseline", series(2*time.Second, nil).Window(0, 2*time.Second), "unknown", "in the baseline: 40 good readings"},
		{"none", "<= 2x baseline", series(0, nil).Window(0, all), "unknown", "in the baseline: only 0"},
		{"holes", "<= 2x baseline", series(8*time.Second, nil).Window(0, all), "unknown", "in the baseline: only 160"},
	} {
		j := Judge(claim(t, "p99", c.bound), during, &c.baseline)
		if j.Status != c.status || !strings.Contains(j.Reason, c.reason) {
			t.Errorf("%s: got %+v; want %s, %q", c.name, j, c.status, c.reason)
		}
	}
	minus := series(all, values(func(int) float64 { return -1 })).Window(0, all)
	if j := Judge(claim(t, "value.mean", "<= 2x baseline"), minus, &minus); j.Status != "unknown" {
		t.Errorf("of a negative baseline: %+v", j)
	}
}

func TestTimeoutsShowInPercentilesAndRefusalsDoNotFlatter(t *testing.T) {
	const all = 10 * time.Second
	mixed := func(failed time.Duration) Window {
		return series(all, func(i int, x *sampled) {
			x.Latency = time.Duration(i%100+1) * time.Millisecond
			if i%2 == 0 {
				x.OK, x.Latency = false, failed
			}
		}).Window(0, all)
	}
	c := Claim{Metric: "p90", Op: AtMost, Bound: Bound{Value: 0.08, Unit: Seconds}}
	if j := Judge(c, mixed(100*time.Microsecond), nil); j.Got != "90ms" {
		t.Errorf("half of it refused at once: p90 %s, want that of the good ones, 90ms", j.Got)
	}
	if j := Judge(c, mixed(2*time.Second), nil); j.Got != "2s" {
		t.Errorf("half of it timed out: p90 %s, want 2s", j.Got)
	}
}

func TestWhatIsCertainIsBrokenThoughReadingsAreMissing(t *testing.T) {
	const all = 10 * time.Second
	s := series(5*time.Second, between(time.Second, 4*time.Second)) // nothing came in after second 5
	for _, c := range []struct{ metric, bound, want string }{
		{"failures", "<= 59", "broken"},
		{"failures", "<= 60", "unknown"},
		{"outage", "<= 2.9s", "broken"},
		{"outage", "<= 3s", "unknown"},
		{"max", "<= 9ms", "broken"},
		{"max", "<= 10ms", "unknown"},
		{"success", ">= 71%", "broken"}, // 40 good of 200, and 100 missing
		{"success", ">= 70%", "unknown"},
		{"p50", "<= 9ms", "unknown"},
	} {
		if j := Judge(claim(t, c.metric, c.bound), s.Window(0, all), nil); j.Status != c.want {
			t.Errorf("%s %s: got %+v, want %s", c.metric, c.bound, j, c.want)
		}
	}
}

func TestAnOutageIsNotMadeOfWhatIsMissing(t *testing.T) {
	s := series(10*time.Second, func(i int, x *sampled) {
		x.OK = i != 20
		x.Unmeasured = i > 20 && i < 40
	})
	if j := Judge(claim(t, "outage", "<= 900ms"), s.Window(0, 10*time.Second), nil); j.Status != reports.CheckUnknown {
		t.Errorf("one failure and a second without readings: got %+v, want unknown", j)
	}
}

func TestCheckCarriesTheJudgement(t *testing.T) {
	c := claim(t, "success", ">= 99%")
	j := Judge(c, series(10*time.Second, nil).Window(0, 10*time.Second), nil)
	want := reports.Check{Probe: "p", Phase: "during", Metric: "success", Wanted: ">= 99%", Got: "100%", Value: 100, Samples: 200, Status: "held"}
	if got := j.Check("p", "during", c); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestGotNeverLooksLikeWhatWasWanted(t *testing.T) {
	s := NewSeries(units.Rate{N: 1000, Per: time.Second})
	fill(s, 0, 200*time.Second, func(i int, x *sampled) { x.OK = i != 0 })
	if j := Judge(claim(t, "success", ">= 100%"), s.Window(0, 200*time.Second), nil); j.Got != "99.999%" || !j.Broken() {
		t.Errorf("got %+v", j)
	}
}

// random fills a window with anything that a probe might yield.
func random(r *rand.Rand) Window {
	s := NewSeries(units.Rate{N: float64(1 + r.IntN(50)), Per: time.Second})
	bad, missing, gone := r.Float64(), r.Float64()*r.Float64(), r.Float64()*r.Float64()*r.Float64()
	span := time.Duration(1+r.IntN(20)) * time.Second
	fill(s, 0, span, func(_ int, x *sampled) {
		x.OK = r.Float64() > bad
		x.Latency = time.Duration(r.ExpFloat64() * float64(100*time.Millisecond))
		x.Value, x.HasValue = r.NormFloat64(), r.IntN(10) > 0
		x.Unmeasured = r.Float64() < missing
		if r.Float64() < gone {
			x.At += time.Hour
		}
	})
	return s.Window(0, span)
}

// TestJudgeIsMonotone loosens bounds: what held goes on to hold, and what was
// not known does not become known.
func TestJudgeIsMonotone(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		w := random(r)
		for _, name := range Metrics() {
			if name == "success" || name == "outage" {
				continue // how many readings they need depends on the bound
			}
			m, _ := metricOf(name)
			tight := Claim{Metric: name, Op: AtMost, Bound: Bound{Value: math.Abs(r.NormFloat64()), Unit: m.unit}}
			loose := tight
			loose.Bound.Value *= 1 + r.Float64()
			a, b := Judge(tight, w, nil), Judge(loose, w, nil)
			if a.Held() && !b.Held() {
				t.Fatalf("%s held and %s did not: %+v", tight, loose, b)
			}
			if a.Status == reports.CheckUnknown && b.Status != reports.CheckUnknown {
				t.Fatalf("%s is unknown and %s is %s", tight, loose, b.Status)
			}
		}
	}
}

// TestMoreFailuresNeverHelp turns a good reading bad: what was not held does not
// become held.
func TestMoreFailuresNeverHelp(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		seed, flip := r.Uint64(), r.IntN(200)
		share := r.Float64()
		make := func(flipped bool) Window {
			r := rand.New(rand.NewPCG(seed, 1))
			return series(10*time.Second, func(i int, x *sampled) {
				x.OK = r.Float64() > share && (!flipped || i != flip)
			}).Window(0, 10*time.Second)
		}
		for _, c := range []Claim{
			claim(t, "success", ">= 50%"), claim(t, "failures", "<= 60"), claim(t, "outage", "<= 500ms"), claim(t, "rate", ">= 8/s"),
		} {
			before, after := Judge(c, make(false), nil), Judge(c, make(true), nil)
			if !before.Held() && after.Held() {
				t.Fatalf("%s: %+v, and after one failure more %+v", c, before, after)
			}
		}
	}
}

func TestJudgementsHoldNoNaN(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 200 {
		w := random(r)
		for _, name := range Metrics() {
			m, _ := metricOf(name)
			for _, op := range m.ops {
				j := Judge(Claim{Metric: name, Op: op, Bound: Bound{Value: r.Float64() * 100, Unit: m.unit}}, w, nil)
				if math.IsNaN(j.Value) || math.IsInf(j.Value, 0) {
					t.Fatalf("%s: %+v", name, j)
				}
				if (j.Status == reports.CheckUnknown) != (j.Reason != "") {
					t.Fatalf("%s: %+v", name, j)
				}
			}
		}
	}
}

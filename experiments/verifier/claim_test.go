package verifier

import (
	"strings"
	"testing"
	"time"

	"github.com/squall-chaos/squall/experiments/units"
)

func claim(t testing.TB, metric, bound string) Claim {
	t.Helper()
	c, err := ParseClaim(metric, bound)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestParseClaim(t *testing.T) {
	for _, c := range []struct {
		metric, bound string
		want          Claim
	}{
		{"p99", "<= 250ms", Claim{"p99", AtMost, Bound{0.25, false, Seconds}, 0}},
		{"p99", "<= 2x baseline", Claim{"p99", AtMost, Bound{2, true, Seconds}, 0}},
		{"p50", "< 1.5 x baseline", Claim{"p50", Below, Bound{1.5, true, Seconds}, 0}},
		{"p50", "<= baseline", Claim{"p50", AtMost, Bound{1, true, Seconds}, 0}},
		{"success", ">= 20% over 5s", Claim{"success", AtLeast, Bound{20, false, Percent}, 5 * time.Second}},
		{"success", ">=99.9%", Claim{"success", AtLeast, Bound{99.9, false, Percent}, 0}},
		{"outage", "<= 3s", Claim{"outage", AtMost, Bound{3, false, Seconds}, 0}},
		{"rate", ">= 90/m", Claim{"rate", AtLeast, Bound{1.5, false, PerSecond}, 0}},
		{"failures", "<= 3", Claim{"failures", AtMost, Bound{3, false, Number}, 0}},
		{"failures", "== 0", Claim{"failures", Equal, Bound{0, false, Number}, 0}},
		{"value.mean", ">= 10", Claim{"value.mean", AtLeast, Bound{10, false, Number}, 0}},
		{"value", "> -1.5e3", Claim{"value", Above, Bound{-1500, false, Number}, 0}},
	} {
		got, err := ParseClaim(c.metric, c.bound)
		if err != nil || got != c.want {
			t.Errorf("%s %s: got %+v, %v; want %+v", c.metric, c.bound, got, err, c.want)
		}
		if again, err := ParseClaim(got.Metric, got.Wanted()); err != nil || again != got {
			t.Errorf("%q does not read back: %+v, %v", got, again, err)
		}
	}
}

func TestParseClaimRefuses(t *testing.T) {
	for _, c := range []struct{ metric, bound, want string }{
		{"p98", "<= 1s", "use one of success, p50"},
		{"recovery", "<= 1s", "unknown metric"},
		{"p99", "250ms", `no comparison: write for example "<= 250ms"`},
		{"p99", "<= 250", "no unit"},
		{"p99", "<= 99%", "not a duration"},
		{"p99", "== 1s", "makes no sense"},
		{"success", ">= 99", "no unit"},
		{"success", ">= 0.99", "no unit"},
		{"success", ">= 101%", "more than everything"},
		{"success", ">= 99ms", "not a percentage"},
		{"success", "99%", `for example ">= 99.9%"`},
		{"value", ">= 10ms", "not a plain number"},
		{"value", ">= NaN", "not a plain number"},
		{"value", ">= inf", "not a plain number"},
		{"value", ">= 10%", "not a plain number"},
		{"rate", ">= 5", "no unit"},
		{"failures", "<= 1.5", "whole number"},
		{"failures", ">= 1", "makes no sense"},
		{"failures", "<= 2x baseline", "multiple of the baseline"},
		{"outage", "<= 2x baseline", "multiple of the baseline"},
		{"outage", "<= 0s", "failures"},
		{"outage", ">= 3s", "makes no sense"},
		{"p99", "<= 0x baseline", "no multiple"},
		{"p99", "<= -2x baseline", "not a duration"},
		{"p99", "<= 1s over 5", "no unit"},
		{"p99", "<= 1s over 0s", "more than zero"},
		{"p99", "<=", "not a duration"},
		{"p99", "", "no comparison"},
	} {
		got, err := ParseClaim(c.metric, c.bound)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %q: got %+v, %v; want an error with %q", c.metric, c.bound, got, err, c.want)
		}
	}
}

func TestParseRecovery(t *testing.T) {
	c, err := ParseRecovery("<= 10s")
	if err != nil || c.Bound.Value != 10 || c.String() != "recovery <= 10s" {
		t.Errorf("got %+v, %v", c, err)
	}
	for _, bad := range []string{"10s", ">= 10s", "< 10s", "<= 10", "<= 2x baseline", "<= 10s over 1s", "<= 0s"} {
		if c, err := ParseRecovery(bad); err == nil {
			t.Errorf("%q: got %+v", bad, c)
		}
	}
}

func TestMinSamples(t *testing.T) {
	for _, c := range []struct {
		metric, bound string
		want          int
	}{
		{"success", ">= 20%", 10},
		{"success", ">= 90%", 10},
		{"success", ">= 95%", 20},
		{"success", ">= 97.5%", 40},
		{"success", ">= 99%", 100},
		{"success", ">= 99.9%", 100},
		{"success", ">= 100%", 100},
		{"success", "<= 50%", 10},
		{"success", ">= 0.9x baseline", 10},
		{"p50", "<= 1s", 10},
		{"p90", "<= 1s", 10},
		{"p95", "<= 1s", 20},
		{"p99", "<= 1s", 100},
		{"p999", "<= 1s", 1000},
		{"max", "<= 1s", 10},
		{"value.mean", ">= 1", 3},
	} {
		if got := claim(t, c.metric, c.bound).MinSamples(); got != c.want {
			t.Errorf("%s %s: %d, want %d", c.metric, c.bound, got, c.want)
		}
	}
}

func TestSteadyWindowIsLongEnoughToJudge(t *testing.T) {
	for _, rate := range []float64{1, 3, 20, 1000} {
		for _, m := range []struct{ metric, bound string }{
			{"success", ">= 99.9%"}, {"p99", "<= 1s"}, {"outage", "<= 3s"}, {"success", ">= 90% over 7s"}, {"rate", ">= 0.5/s"},
		} {
			c := claim(t, m.metric, m.bound)
			r := units.Rate{N: rate, Per: time.Second}
			if c.Judgeable(r) != nil {
				continue
			}
			need := SteadyWindow([]Claim{c}, r)
			if need < time.Second {
				t.Errorf("%s at %s: %s", c, r, need)
			}
			s := NewSeries(r)
			fill(s, 0, need+time.Second, func(i int, x *sampled) {
				x.Unmeasured = i%12 == 5 && m.metric != "outage" // as many missing as is put up with
			})
			start := 137 * time.Millisecond
			if j := Judge(c, s.Window(start, start+need), nil); j.Status == "unknown" {
				t.Errorf("%s at %s over %s: %+v", c, r, need, j)
			}
		}
	}
}

func TestJudgeable(t *testing.T) {
	for _, c := range []struct {
		metric, bound string
		rate          float64
		want          bool
	}{
		{"success", ">= 20% over 5s", 2, true},
		{"success", ">= 20% over 5s", 1, false},
		{"success", ">= 99% over 5s", 19, false},
		{"outage", "<= 1s", 2, true},
		{"outage", "<= 1s", 1, false},
		{"p999", "<= 1s", 0.1, true},
	} {
		err := claim(t, c.metric, c.bound).Judgeable(units.Rate{N: c.rate, Per: time.Second})
		if (err == nil) != c.want {
			t.Errorf("%s %s at %g/s: %v", c.metric, c.bound, c.rate, err)
		}
	}
	slow := units.Rate{N: 1, Per: time.Second}
	if got := claim(t, "success", ">= 20%").TrailingAt(slow); got < 10*time.Second {
		t.Errorf("a guard at 1/s looks at %s, which is never enough", got)
	}
}

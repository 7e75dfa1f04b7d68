package verifier

import (
	"testing"
	"time"
)

const s1 = time.Second

// subject is steady with 95 % success and a p90 of 100 ms; it needs 22
// readings or so.
func subject95(t *testing.T, s *Series) Subject {
	t.Helper()
	return Subject{Probe: "checkout", Series: s, Claims: []Claim{claim(t, "success", ">= 95%"), claim(t, "p90", "<= 100ms")}}
}

func TestSteady(t *testing.T) {
	good := subject95(t, series(10*s1, nil))
	bad := subject95(t, series(10*s1, between(0, s1)))
	checks, steady := Steady([]Subject{good}, Baseline, 0, 10*s1)
	if !steady || len(checks) != 2 || checks[0].Phase != "baseline" || checks[0].Probe != "checkout" {
		t.Errorf("got %t, %+v", steady, checks)
	}
	if _, steady := Steady([]Subject{good, bad}, Baseline, 0, 10*s1); steady {
		t.Error("steady with one that is not")
	}
	if _, steady := Steady([]Subject{good}, Baseline, 0, s1/2); steady {
		t.Error("steady on too few readings")
	}
	if _, steady := Steady(nil, Baseline, 0, 10*s1); steady {
		t.Error("steady without a claim")
	}
	relative := Subject{Series: good.Series, Claims: []Claim{claim(t, "p50", "<= 2x baseline")}}
	if checks, steady := Steady([]Subject{relative}, Baseline, 0, 10*s1); !steady {
		t.Errorf("a relative claim at the gate: %+v", checks)
	}
}

func TestSteadyNow(t *testing.T) {
	s := subject95(t, series(20*s1, between(5*s1, 10*s1)))
	need := s.Need()
	for _, c := range []struct {
		since, settled time.Duration
		want           bool
	}{
		{0, need - 1, false},
		{0, need, true},
		{0, 6 * s1, false},
		{0, 10*s1 + need/2, false},
		{0, 10*s1 + need, true},
		{10*s1 + 1, 10*s1 + need, false},
		{0, 25 * s1, false}, // nothing came in
	} {
		if got := SteadyNow([]Subject{s}, c.since, c.settled); got != c.want {
			t.Errorf("since %s at %s: %t", c.since, c.settled, got)
		}
	}
}

func TestRecovered(t *testing.T) {
	slow := func(from, to time.Duration) func(int, *sampled) {
		return func(_ int, x *sampled) {
			if x.At >= from && x.At < to {
				x.Latency = s1
			}
		}
	}
	both := func(_ int, x *sampled) {
		between(5*s1, 6*s1)(0, x)
		between(8*s1, 9*s1)(0, x)
	}
	for _, c := range []struct {
		name     string
		change   func(int, *sampled)
		from, to time.Duration
		status   string
		at       time.Duration
	}{
		{"never unsteady", nil, 3 * s1, 20 * s1, "held", 3 * s1},
		{"after failures", between(5*s1, 8*s1), 4 * s1, 20 * s1, "held", 8 * s1},
		{"in the middle of them", between(5*s1, 8*s1), 6 * s1, 20 * s1, "held", 8 * s1},
		{"after slowness", slow(5*s1, 8*s1), 4 * s1, 20 * s1, "held", 8 * s1},
		{"not before the last trouble", both, 4 * s1, 15 * s1, "held", 9 * s1},
		{"within what is tolerated", between(5*s1, 5*s1+50*time.Millisecond), 4 * s1, 20 * s1, "held", 4 * s1},
		{"never", between(5*s1, 20*s1), 5 * s1, 20 * s1, "broken", 0},
		{"again unsteady at the end", between(19*s1, 20*s1), 5 * s1, 20 * s1, "broken", 0},
		{"too late to tell", between(5*s1, 19900*time.Millisecond), 5 * s1, 20 * s1, "broken", 0},
		{"too little time", nil, 19500 * time.Millisecond, 20 * s1, "unknown", 0},
		{"nothing measured", func(_ int, x *sampled) { x.Unmeasured = x.At >= 5*s1 }, 5 * s1, 20 * s1, "unknown", 0},
		{"nothing came in", nil, 20 * s1, 40 * s1, "unknown", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Recovered(subject95(t, series(20*s1, c.change)), c.from, c.to)
			if r.Status != c.status || r.At != c.at || (r.Status != "held") != (r.Reason != "") {
				t.Errorf("got %+v, want %s at %s", r, c.status, c.at)
			}
		})
	}
	if r := Recovered(Subject{Series: series(20*s1, nil)}, 0, 20*s1); r.Status != "unknown" {
		t.Errorf("without a claim: %+v", r)
	}
}

// TestRecoveredIsSteadyFromThereOn checks the definition on flapping probes.
func TestRecoveredIsSteadyFromThereOn(t *testing.T) {
	for n := 2; n < 40; n++ {
		s := subject95(t, series(60*s1, func(i int, x *sampled) {
			if x.At < 30*s1 && (i/n)%3 == 0 {
				x.OK = false
			}
		}))
		r := Recovered(s, 0, 60*s1)
		if r.Status != "held" || !s.steady(r.At, 60*s1) || !s.steady(r.At, r.At+s.Need()) {
			t.Errorf("flapping by %d: %+v", n, r)
		}
		if r.At > 30*s1 {
			t.Errorf("flapping by %d: at %s although all is good from 30s on", n, r.At)
		}
	}
}

func TestJudgeRecovery(t *testing.T) {
	c, err := ParseRecovery("<= 5s")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name   string
		change func(int, *sampled)
		to     time.Duration
		status string
		got    string
	}{
		{"at once", nil, 30 * s1, "held", "0s"},
		{"in time", between(10*s1, 15*s1), 30 * s1, "held", "5s"},
		{"late", between(10*s1, 16*s1), 30 * s1, "broken", "6s"},
		{"never", between(10*s1, 30*s1), 30 * s1, "broken", "not within 20s"},
		{"not watched long enough", between(10*s1, 30*s1), 14 * s1, "unknown", nothing},
		{"not measured", func(_ int, x *sampled) { x.Unmeasured = true }, 30 * s1, "unknown", nothing},
	} {
		t.Run(x.name, func(t *testing.T) {
			j := JudgeRecovery(c, subject95(t, series(30*s1, x.change)), 10*s1, x.to)
			if j.Status != x.status || j.Got != x.got || (j.Status == "unknown") != (j.Reason != "") {
				t.Errorf("got %+v, want %s, %s", j, x.status, x.got)
			}
		})
	}
	if j := JudgeRecovery(claim(t, "p99", "<= 5s"), subject95(t, series(30*s1, nil)), 0, 30*s1); j.Status != "unknown" {
		t.Errorf("not a recovery claim: %+v", j)
	}
}

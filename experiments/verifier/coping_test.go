package verifier

import (
	"testing"
	"time"
)

func TestCope(t *testing.T) {
	span := FaultSpan{Start: 10 * s1, End: 20 * s1, Until: 40 * s1}
	hurt := subject95(t, series(40*s1, between(12*s1, 15*s1)))
	hurt.Probe = "writes"
	calm := subject95(t, series(40*s1, nil))
	c := Cope([]Subject{calm, hurt}, span)
	if c.Detected == nil || *c.Detected != 2 || c.DetectedBy != "writes" {
		t.Errorf("detected %v by %q", c.Detected, c.DetectedBy)
	}
	if len(c.Damaged) != 1 || c.Damaged[0].Probe != "writes" || c.Damaged[0].Failed != 60 || c.Damaged[0].Of != 200 || c.Damaged[0].Outage != 3 {
		t.Errorf("damaged %+v", c.Damaged)
	}
	if c.Recovered == nil || *c.Recovered != 5 || !c.RecoveredUnder {
		t.Errorf("recovered %v, under %t", c.Recovered, c.RecoveredUnder)
	}
	if c.Continued != 0.85 {
		t.Errorf("continued %g, want 0.85", c.Continued)
	}
}

func TestCopeAfterTheFault(t *testing.T) {
	span := FaultSpan{Start: 10 * s1, End: 20 * s1, Until: 40 * s1}
	c := Cope([]Subject{subject95(t, series(40*s1, between(10*s1, 23*s1)))}, span)
	if c.Recovered == nil || *c.Recovered != 13 || c.RecoveredUnder || c.Continued != 0 || *c.Detected != 0 {
		t.Errorf("got %+v, recovered %v", c, c.Recovered)
	}
	if d := c.Damaged[0]; d.Failed != 260 || d.Of != 260 || d.Outage != 13 {
		t.Errorf("damaged %+v", d)
	}
}

func TestCopeWithoutRecovery(t *testing.T) {
	span := FaultSpan{Start: 10 * s1, End: 20 * s1, Until: 40 * s1}
	c := Cope([]Subject{subject95(t, series(40*s1, between(12*s1, 40*s1)))}, span)
	if c.Recovered != nil || c.RecoveredUnder || c.Damaged[0].Outage != 28 {
		t.Errorf("got %+v", c)
	}
	c = Cope(nil, span)
	if c.Recovered != nil || c.Detected != nil || c.Continued != 0 {
		t.Errorf("nobody watched: %+v", c)
	}
}

func TestCopeUnnoticed(t *testing.T) {
	c := Cope([]Subject{subject95(t, series(40*s1, nil))}, FaultSpan{Start: 10 * s1, End: 20 * s1, Until: 40 * s1})
	if c.Detected != nil || c.DetectedBy != "" || len(c.Damaged) != 0 || c.Continued != 1 || *c.Recovered != 0 || !c.RecoveredUnder {
		t.Errorf("got %+v", c)
	}
}

func TestCopeNoticesSlowness(t *testing.T) {
	s := subject95(t, series(40*s1, func(i int, x *sampled) {
		switch {
		case i == 7: // an outlier before the fault
			x.Latency = 300 * time.Millisecond
		case x.At >= 10*s1 && x.At < 12*s1:
			x.Latency = 250 * time.Millisecond // more than is claimed, but not unheard of
		case x.At >= 12*s1 && x.At < 20*s1:
			x.Latency = 400 * time.Millisecond
		}
	}))
	base := s.Series.Window(0, 10*s1)
	s.Baseline = &base
	c := Cope([]Subject{s}, FaultSpan{Start: 10 * s1, End: 20 * s1, Until: 40 * s1})
	if c.Detected == nil || *c.Detected != 2 || len(c.Damaged) != 0 || *c.Recovered != 10 || c.RecoveredUnder {
		t.Errorf("got %+v, detected %v, recovered %v", c, *c.Detected, *c.Recovered)
	}
}

package probes

import (
	"context"
	"errors"
	"time"

	"github.com/squall-chaos/squall/experiments/units"
)

// Sample is one reading of a Sampler with its place in the schedule.
type Sample struct {
	At         time.Duration // when the reading was due, since the Sampler's epoch
	Latency    time.Duration // from when it was due to its end; 0 if unmeasured
	Value      float64       // a number that was read; only if HasValue
	HasValue   bool
	OK         bool   // the expectations were met
	Unmeasured bool   // there is no reading; Detail says why
	Detail     string // as in Reading
}

// Sampler makes readings at a constant rate, whatever becomes of the earlier
// ones.
type Sampler struct {
	Probe Probe         // already bound
	Rate  units.Rate    // readings are due at Epoch + k/Rate; required
	Epoch time.Time     // what offsets count from; the zero time means the start of Run
	Limit time.Duration // the longest a reading takes, which bounds how many are in flight; 0 asks the probe (Bounded), else 10 s
	Drain time.Duration // how long readings in flight may still end after Run's context is done; later ones are dropped
	Emit  func(Sample)  // called for each sample, one call at a time, in the order in which readings end; required
}

// Run samples until ctx is done and all that was in flight is emitted or
// dropped.
func (s *Sampler) Run(ctx context.Context) error { return errors.New("not yet") }

// Settled returns the offset before which every sample that was due has been
// emitted.
func (s *Sampler) Settled() time.Duration { return 0 }

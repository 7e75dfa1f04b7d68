package probes

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
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

const (
	// mostInFlight bounds how many readings of one sampler are in flight.
	mostInFlight = 10_000
	// spareInFlight is how many more there may be than a steady schedule needs.
	spareInFlight = 8
	// defaultLimit stands in for probes that are not Bounded.
	defaultLimit = 10 * time.Second
	// mostLag is how late a reading may start. A later one would blame the system
	// for a stall of this machine, and all that were missed together would be a
	// storm that nobody asked for.
	mostLag = 100 * time.Millisecond
)

// Sampler makes readings at a constant rate, whatever becomes of earlier ones:
// a slow answer delays none of the next, and what it delays counts from when it
// was due. A reading that finds too many others in flight, or that this machine
// could not start in time, becomes an unmeasured sample.
//
// The fields must not change once Run is called, and Run is called once.
type Sampler struct {
	Probe Probe         // already bound
	Rate  units.Rate    // readings are due at Epoch + k/Rate; required
	Epoch time.Time     // what offsets count from; the zero time means the start of Run
	Limit time.Duration // the longest a reading takes, which bounds how many are in flight; 0 asks the probe (Bounded), else 10 s
	Drain time.Duration // how long readings in flight may still end after Run's context is done; later ones are dropped
	Emit  func(Sample)  // called for each sample, one call at a time, in the order in which readings end; required

	epoch    time.Time
	interval time.Duration
	places   int        // readings that may be in flight
	emit     sync.Mutex // held while Emit runs; never taken with mu held

	mu      sync.Mutex
	flying  int                // readings in flight
	next    int64              // index of the next reading that will be due
	settled int64              // index of the first reading that is not done
	done    map[int64]struct{} // readings done after it
}

// job is one reading that is due.
type job struct {
	index int64
	at    time.Duration
}

// Run samples until ctx is done; then it waits up to Drain for what is in
// flight, cancels the rest, and returns when every reading has been emitted or
// dropped. A reading that was cut off is dropped and not a failure. It returns
// an error only when the sampler is not complete.
func (s *Sampler) Run(ctx context.Context) error {
	if s.Probe == nil || s.Emit == nil || s.Rate.Interval() <= 0 {
		return errors.New("a sampler needs a probe, a rate of more than zero and somewhere to emit to")
	}
	s.begin()
	reading, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	jobs := make(chan job)
	var workers sync.WaitGroup
	s.pace(ctx, func(j job) { s.hand(reading, &workers, jobs, j) })
	close(jobs)
	finished := make(chan struct{})
	go func() { workers.Wait(); close(finished) }()
	drain := time.NewTimer(s.Drain)
	defer drain.Stop()
	select {
	case <-finished:
	case <-drain.C:
	}
	cut()
	<-finished
	return nil
}

// begin fixes the schedule: the first reading is the first one due from now on.
func (s *Sampler) begin() {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.interval = s.Rate.Interval()
	s.epoch = s.Epoch
	if s.epoch.IsZero() {
		s.epoch = now
	}
	if since := now.Sub(s.epoch); since > 0 {
		s.next = int64((since + s.interval - 1) / s.interval)
	}
	s.settled, s.done = s.next, map[int64]struct{}{}
	limit := s.Limit
	if b, ok := s.Probe.(Bounded); ok && limit == 0 {
		limit = b.Limit()
	}
	if limit <= 0 {
		limit = defaultLimit
	}
	s.places = int(min(math.Ceil(s.Rate.PerSecond()*limit.Seconds())+spareInFlight, mostInFlight))
}

// pace calls start for each reading when it is due, until ctx is done.
func (s *Sampler) pace(ctx context.Context, start func(job)) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for {
		s.mu.Lock()
		j := job{index: s.next, at: time.Duration(s.next) * s.interval}
		s.mu.Unlock()
		if wait := time.Until(s.epoch.Add(j.at)); wait > 0 {
			timer.Reset(wait)
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
		} else if ctx.Err() != nil {
			return
		}
		s.mu.Lock()
		s.next++
		s.mu.Unlock()
		start(j)
	}
}

// hand gives j to a worker that is idle or to a new one. It does not wait for
// any.
func (s *Sampler) hand(ctx context.Context, workers *sync.WaitGroup, jobs chan job, j job) {
	if lag := time.Since(s.epoch.Add(j.at)); lag > mostLag {
		s.deliver(j, Sample{Unmeasured: true, Detail: "this machine was too busy to start the reading in time"})
		return
	}
	if !s.place() {
		s.deliver(j, Sample{Unmeasured: true, Detail: fmt.Sprintf("%d readings are still in flight", s.places)})
		return
	}
	select {
	case jobs <- j:
	default:
		workers.Go(func() {
			for ok := true; ok; j, ok = <-jobs {
				s.read(ctx, j)
			}
		})
	}
}

// place takes a place in flight, if there is one.
func (s *Sampler) place() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flying >= s.places {
		return false
	}
	s.flying++
	return true
}

func (s *Sampler) read(ctx context.Context, j job) {
	r, err := s.Probe.Read(ctx)
	latency := time.Since(s.epoch.Add(j.at))
	s.mu.Lock()
	s.flying--
	s.mu.Unlock()
	switch {
	case ctx.Err() != nil && (err != nil || !r.OK):
		// Cut off by us: it says nothing of the system.
	case err != nil:
		s.deliver(j, Sample{Unmeasured: true, Detail: err.Error()})
	default:
		s.deliver(j, Sample{Latency: latency, Value: r.Value, HasValue: r.HasValue, OK: r.OK, Detail: r.Detail})
	}
}

// deliver emits the sample of j and marks it done.
func (s *Sampler) deliver(j job, x Sample) {
	x.At = j.at
	s.emit.Lock()
	defer s.emit.Unlock()
	s.Emit(x)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done[j.index] = struct{}{}
	for {
		if _, ok := s.done[s.settled]; !ok {
			return
		}
		delete(s.done, s.settled)
		s.settled++
	}
}

// Settled returns the offset before which every sample that was due has been
// emitted: what is judged while the sampler runs must end there, because what is
// missing after it is what is slow. It is 0 until Run begins. It may be called
// at any time, also from Emit.
func (s *Sampler) Settled() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(s.settled) * s.interval
}

package verifier

import (
	"math"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/squall-chaos/squall/experiments/probes"
	"github.com/squall-chaos/squall/experiments/units"
)

// Series holds all samples of one probe, ordered by when they were due. One
// goroutine may append while others read.
type Series struct {
	rate    units.Rate
	mu      sync.RWMutex
	chunks  [][]record // none empty; ordered within and among themselves
	details []string
	index   map[string]uint32 // of details
}

// record is a sample in 32 bytes.
type record struct {
	at, latency time.Duration
	value       float64
	detail      uint32
	flags       flags
}

type flags uint8

const (
	good flags = 1 << iota
	unmeasured
	number    // value is one
	notNumber // the probe said it read a number, but it is NaN or infinite
)

func (r record) has(f flags) bool { return r.flags&f != 0 }

// Limits of what a Series keeps.
const (
	chunkSize   = 1024
	mostDetails = 1000 // different ones; more are kept as otherDetail
	longDetail  = 200  // bytes
	otherDetail = "other"
)

// NewSeries returns an empty series of samples that are due at that rate. With a
// rate, Judge notices readings that never came; a zero rate takes what is there
// for all there should be.
func NewSeries(rate units.Rate) *Series {
	return &Series{rate: rate, details: []string{""}, index: map[string]uint32{"": 0}}
}

// Rate is the rate at which samples are due.
func (s *Series) Rate() units.Rate { return s.rate }

// Append adds a sample. Samples may come in any order, but those that are long
// overdue cost more.
func (s *Series) Append(x probes.Sample) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.insert(s.pack(x))
}

func (s *Series) pack(x probes.Sample) record {
	r := record{at: x.At, latency: x.Latency, detail: s.intern(x.Detail)}
	switch {
	case x.Unmeasured:
		r.flags |= unmeasured
		return r
	case x.OK:
		r.flags |= good
	}
	switch {
	case !x.HasValue:
	case math.IsNaN(x.Value) || math.IsInf(x.Value, 0):
		r.flags |= notNumber
	default:
		r.value = x.Value
		r.flags |= number
	}
	return r
}

func (s *Series) intern(detail string) uint32 {
	if len(detail) > longDetail {
		detail = detail[:longDetail]
	}
	i, ok := s.index[detail]
	if !ok && len(s.details) > mostDetails {
		detail = otherDetail
		i, ok = s.index[detail]
	}
	if !ok {
		i = uint32(len(s.details))
		s.details = append(s.details, detail)
		s.index[detail] = i
	}
	return i
}

// insert puts r behind everything that was due no later.
func (s *Series) insert(r record) {
	n := len(s.chunks)
	i := n - 1
	if n == 0 || r.at < s.chunks[i][len(s.chunks[i])-1].at {
		i = sort.Search(n, func(i int) bool { return s.chunks[i][len(s.chunks[i])-1].at > r.at })
	}
	if n == 0 || (i == n-1 && len(s.chunks[i]) == chunkSize && r.at >= s.chunks[i][chunkSize-1].at) {
		s.chunks = append(s.chunks, append(make([]record, 0, chunkSize), r))
		return
	}
	if len(s.chunks[i]) == chunkSize {
		half := append(make([]record, 0, chunkSize), s.chunks[i][chunkSize/2:]...)
		s.chunks[i] = s.chunks[i][:chunkSize/2]
		s.chunks = slices.Insert(s.chunks, i+1, half)
		if r.at >= half[0].at {
			i++
		}
	}
	c := s.chunks[i]
	at := sort.Search(len(c), func(j int) bool { return c[j].at > r.at })
	s.chunks[i] = slices.Insert(c, at, r)
}

// Len is how many samples there are.
func (s *Series) Len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n := 0
	for _, c := range s.chunks {
		n += len(c)
	}
	return n
}

// end is just after the last sample; 0 if there is none.
func (s *Series) end() time.Duration {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if len(s.chunks) == 0 {
		return 0
	}
	c := s.chunks[len(s.chunks)-1]
	return c[len(c)-1].at + 1
}

// Window is the part of the series that was due from from, included, to to,
// excluded. It copies nothing: samples of that time that come later are in it.
func (s *Series) Window(from, to time.Duration) Window { return Window{series: s, From: from, To: to} }

// All is the window of every sample so far.
func (s *Series) All() Window { return s.Window(0, s.end()) }

// Window is a span of a series. The zero Window has no readings.
type Window struct {
	series   *Series
	From, To time.Duration // offsets from the run's start
}

// each calls f for each record in order until it returns false. f must not call
// back into the series.
func (w Window) each(f func(record) bool) {
	if w.series == nil {
		return
	}
	s := w.series
	s.mu.RLock()
	defer s.mu.RUnlock()
	i := sort.Search(len(s.chunks), func(i int) bool { return s.chunks[i][len(s.chunks[i])-1].at >= w.From })
	for ; i < len(s.chunks); i++ {
		c := s.chunks[i]
		j := sort.Search(len(c), func(j int) bool { return c[j].at >= w.From })
		for ; j < len(c); j++ {
			if c[j].at >= w.To || !f(c[j]) {
				return
			}
		}
	}
}

func (w Window) detail(i uint32) string {
	w.series.mu.RLock()
	defer w.series.mu.RUnlock()
	return w.series.details[i]
}

func (w Window) interval() time.Duration {
	if w.series == nil {
		return 0
	}
	return w.series.rate.Interval()
}

// Package probes measures a system from outside while it is disturbed. A Probe
// makes one reading at a time; the Sampler makes many, at a constant rate that
// does not wait for slow answers, and hands them on one after another.
//
// The package judges nothing: what a reading means for a hypothesis is the
// verifier's matter. It knows no targets either; what a probe needs of the world
// is handed to it in an Env.
package probes

import (
	"context"
	"net"
	"slices"
	"time"
)

// Reading is one measurement.
type Reading struct {
	OK       bool          // the expectations were met
	Latency  time.Duration // how long the measurement took; the Sampler replaces it by the time since the scheduled start
	Value    float64       // a number that was read; only if HasValue
	HasValue bool
	Detail   string // why it is not OK, or what was seen, in a few words; not unique per reading where avoidable
}

// Probe makes one reading at a time. Read returns an error only when it could
// not measure: a server that refuses, hangs or answers wrongly is a reading that
// is not OK. Read keeps to ctx and to the probe's own timeout and may be called
// concurrently.
type Probe interface {
	// Validate says what is wrong with the probe by itself; it may be called
	// before variables are known to be right and touches nothing.
	Validate() error
	// Expect returns a pointer to the probe's expectations, which a file writes
	// beside the probe under "expect", or nil if it has none.
	Expect() any
	// Bind hands over what the probe needs of the world, once, before the
	// first Read.
	Bind(Env) error
	Read(ctx context.Context) (Reading, error)
}

// DialFunc opens a connection, as net.Dialer.DialContext does.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Env is what a probe may use of the world.
type Env struct {
	Dial  DialFunc                                   // where connections start; nil: this machine
	State func(ctx context.Context) ([]State, error) // of the targets that the probe names; nil if it names none
	Dir   string                                     // directory of the experiment file, for relative paths
}

// State is a target's state as a state probe sees it.
type State struct {
	Name     string
	Status   string // running, paused, exited, restarting, created, gone
	Health   string // healthy, unhealthy, starting or empty
	Restarts int
}

// Kind is a kind of probe that files can name.
type Kind struct {
	Name string       // the key in the file
	Doc  string       // one line for people
	New  func() Probe // a pointer to a new, empty probe to decode into
}

var kinds []Kind

// Kinds returns all kinds of probes, sorted by name.
func Kinds() []Kind { return slices.Clone(kinds) }

func register(k Kind) {
	i := 0
	for i < len(kinds) && kinds[i].Name < k.Name {
		i++
	}
	kinds = append(kinds[:i], append([]Kind{k}, kinds[i:]...)...)
}

// Watcher is implemented by probes that look at targets themselves and so need
// Env.State.
type Watcher interface {
	// Targets returns the names of the targets that the probe watches, as the
	// file wrote them.
	Targets() []string
}

// Bounded is implemented by probes whose readings end by themselves.
type Bounded interface {
	// Limit is the longest time that one reading takes.
	Limit() time.Duration
}

// KindOf returns the kind of that name.
func KindOf(name string) (Kind, bool) {
	for _, k := range kinds {
		if k.Name == name {
			return k, true
		}
	}
	return Kind{}, false
}

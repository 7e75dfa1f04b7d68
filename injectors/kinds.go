// Package injectors disturbs targets and puts them back. A Spec is what a file
// asks for, a Change is one edit of the world that it comes down to, and an Agent
// is the process that holds changes and undoes them when its controller goes
// away.
//
// Changes are sealed to the package: nothing outside it can touch the world
// except through an Agent, and an Agent writes its journal first. The package
// knows no files, no probes and no verdicts.
package injectors

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/squall-chaos/squall/experiments/secrets"
	"github.com/squall-chaos/squall/targets"
)

// ForRule says whether a fault takes "for:", the time after which it is undone.
type ForRule int

// The rules for "for:".
const (
	ForRequired  ForRule = iota // the fault is undone, and so must say when
	ForOptional                 // without it, coming back is the system's own business
	ForForbidden                // there is nothing to undo
)

// Kind is a kind of fault that files can name.
type Kind struct {
	Name string      // the value of "fault:" in the file
	Doc  string      // one line for people
	For  ForRule     // whether it takes "for:"
	NoOn bool        // it works without a target
	New  func() Spec // a pointer to new parameters with their defaults, to decode into
}

// Spec is what a file asks for: the parameters of one fault, beside the keys
// that all faults share. The concrete types are decoded by their yaml tags; only
// this package implements Spec.
type Spec interface {
	// Validate says what is wrong with the parameters by themselves.
	Validate() error
	// String is the parameters as a person would say them, such as
	// "signal TERM"; empty when all are defaults.
	String() string
	plan(ctx context.Context, r Request) ([]change, error)
}

var kinds []Kind

// Kinds returns all kinds of faults, sorted by name.
func Kinds() []Kind { return slices.Clone(kinds) }

// KindOf returns the kind of that name.
func KindOf(name string) (Kind, bool) {
	i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == name })
	if i < 0 {
		return Kind{}, false
	}
	return kinds[i], true
}

func register(k Kind) {
	kinds = append(kinds, k)
	slices.SortFunc(kinds, func(a, b Kind) int { return strings.Compare(a.Name, b.Name) })
}

// Drivers are the drivers by name.
type Drivers map[string]targets.Driver

// Request is one fault to plan on chosen targets.
type Request struct {
	ID      string // position in the method, such as "2" or "3.1"
	Fault   string // the kind's name
	Spec    Spec
	Targets []targets.Target
	Drivers Drivers
	For     time.Duration          // 0: not undone by us
	Secrets map[string]secrets.Ref // for parameters that refer to ${secret}
	Dir     string                 // directory of the experiment file, for relative paths
	Preview bool                   // the plan is only to be shown: changes carry no Data
}

// Change is one planned edit of the world, as plain data: what goes over the
// wire to the agent and into the journal, and what a plan shows.
type Change struct {
	ID       string          `json:"id"`               // unique within the run, such as "2/api-1"
	Fault    string          `json:"fault"`            // the kind of fault it is part of
	Kind     string          `json:"kind"`             // the kind of change
	Target   string          `json:"target,omitempty"` // name of the target
	Ref      targets.Ref     `json:"ref,omitzero"`     // the target
	Resource string          `json:"resource"`         // what it claims: one holder at a time on this machine
	Do       string          `json:"do"`               // what will be done, for people
	Undo     string          `json:"undo"`             // how it will be undone, for people
	Notes    []string        `json:"notes,omitempty"`  // what will not be as it was although it is undone, for people
	Data     json.RawMessage `json:"data,omitempty"`   // the change itself; may hold a target's environment, so it is not for people
}

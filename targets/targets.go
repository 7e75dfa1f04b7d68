// Package targets says what can be disturbed and how it is found: a Driver
// knows one kind of target (containers, processes, lab hosts), a Selector names
// some of them, and a Target is one of them that exists now.
//
// The package knows no faults. What a driver can do to a target's life is in
// Lifecycle; what it needs to bring one back that is gone altogether is in
// Restorer. Both are found by assertion, so that a driver without them is still
// a driver.
package targets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// ErrGone says that the target, or this incarnation of it, no longer exists.
var ErrGone = errors.New("the target is gone")

// ErrElsewhere says that the target runs on another kernel than this process.
var ErrElsewhere = errors.New("the target runs on another kernel")

// ErrUnsupported says that a driver cannot do what was asked to this target.
// The wrapping error says why.
var ErrUnsupported = errors.New("not supported for this target")

// Ref names one incarnation of one target, across processes and restarts of
// Squall. It is plain data and goes into plans and journals.
type Ref struct {
	Driver string `json:"driver"`          // the driver's name
	ID     string `json:"id"`              // container ID, pid, or lab host
	Epoch  string `json:"epoch,omitempty"` // start time, start ticks or start count; empty matches any
}

// String is the reference in one word, for messages and logs.
func (r Ref) String() string { return r.Driver + "/" + r.ID }

// Same reports whether r and o are the same target, whatever its incarnation.
func (r Ref) Same(o Ref) bool { return r.Driver == o.Driver && r.ID == o.ID }

// Site is where a target lives on this kernel.
type Site struct {
	PID    int    // its first process, in our own PID namespace
	NetNS  string // path of its network namespace, such as /proc/PID/ns/net
	Cgroup string // path from /proc/PID/cgroup, without a mount point
	Root   string // path of its root directory, such as /proc/PID/root
}

// Target is one thing that can be disturbed. Its methods may block on an
// engine or on the kernel, keep to ctx, and may be called concurrently.
type Target interface {
	// Ref identifies this incarnation.
	Ref() Ref
	// Name is what people call it; unique within what one selector finds.
	Name() string
	// Site tells where it lives. It returns ErrGone when it does not run, and
	// ErrElsewhere when it runs on another kernel.
	Site(ctx context.Context) (Site, error)
}

// Status is the state of a target in one word.
type Status string

// The states a target can be in.
const (
	Running    Status = "running"
	Paused     Status = "paused"     // frozen or stopped by a signal; will continue where it was
	Exited     Status = "exited"     // it ran, and is still known
	Restarting Status = "restarting" // its supervisor is bringing it back
	Created    Status = "created"    // it never ran
	Gone       Status = "gone"       // nothing of it is left
)

// State is what a target looks like at one moment.
type State struct {
	Status    Status    `json:"status"`
	Health    string    `json:"health,omitempty"`    // healthy, unhealthy, starting; empty without a health check
	PID       int       `json:"pid,omitempty"`       // first process in our PID namespace; 0 when unknown or not running
	ExitCode  int       `json:"exit_code,omitempty"` // meaningful when Exited; 128+signal when killed by one
	Restarts  int       `json:"restarts,omitempty"`  // how often its supervisor brought it back
	StartedAt time.Time `json:"started_at,omitzero"` // of the current incarnation
	Detail    string    `json:"detail,omitempty"`    // how it was read, such as "/proc state T"
}

// Lifecycle is implemented by targets whose life can be disturbed.
//
// Every method is idempotent: it returns nil when the target already is in the
// state that was asked for. Each returns ErrGone when the target does not exist.
type Lifecycle interface {
	// State reads the present state. A target that is gone has the state Gone
	// and no error.
	State(ctx context.Context) (State, error)
	// Signal sends sig to the target from outside, as a crash would come: its
	// supervisor (an engine's restart policy, a service manager) is free to
	// react. It does not wait for the effect.
	Signal(ctx context.Context, sig syscall.Signal) error
	// Kill takes the target down with sig and, as far as the driver has a say,
	// keeps it down until Driver or Restorer brings it back. It returns when
	// the target does not run any more or ctx is done.
	Kill(ctx context.Context, sig syscall.Signal) error
	// Stop asks the target to end, kills it after grace, and keeps it down as
	// Kill does.
	Stop(ctx context.Context, grace time.Duration) error
	// Pause freezes the target with all it runs; Unpause lets it go on.
	Pause(ctx context.Context) error
	Unpause(ctx context.Context) error
	// Restart stops the target, killing it after grace, and starts it again.
	Restart(ctx context.Context, grace time.Duration) error
}

// Remover is implemented by targets that can be deleted, not only ended.
type Remover interface {
	// Remove ends the target at once and deletes it. Data outside of it (named
	// and anonymous volumes) stays.
	Remove(ctx context.Context) error
}

// Dialer is implemented by targets from which connections can be opened.
type Dialer interface {
	// DialContext connects to address from inside the target's network, with
	// names resolved as the target resolves them. network is "tcp", "tcp4",
	// "tcp6", "udp", "udp4" or "udp6".
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Selector names targets of one driver in a file. The concrete types are the
// drivers' own; they are decoded from the file by their yaml tags.
type Selector interface {
	// Validate says what is wrong with the selector by itself.
	Validate() error
	// String is the selector as a person would say it, such as "label app=web".
	String() string
}

// Driver is a kind of target. Its methods may block and may be called
// concurrently.
type Driver interface {
	// Name is the key under which files select from this driver.
	Name() string
	// Doc is one line for people.
	Doc() string
	// Selector returns a pointer to a new, empty selector to decode into.
	Selector() Selector
	// Find returns all running or paused targets that sel names, sorted by
	// name, never Squall itself. None is no error. A driver that cannot be
	// asked returns an error that says what to do.
	Find(ctx context.Context, sel Selector) ([]Target, error)
	// Open finds the target of ref again. It returns ErrGone if the target does
	// not exist, or exists in another incarnation than a non-empty ref.Epoch.
	Open(ctx context.Context, ref Ref) (Target, error)
}

// Blueprint is what a driver needs to bring a target back that was taken down,
// as JSON that only the driver reads.
type Blueprint = json.RawMessage

// Restorer is implemented by drivers that can bring a target back the way it
// was, even when nothing of it is left.
type Restorer interface {
	// Capture reads the blueprint of a target that runs. It returns
	// ErrUnsupported, wrapped with the reason, for a target that could not be
	// brought back the way it was; remove says that it will be deleted and not
	// only ended.
	Capture(ctx context.Context, t Target, remove bool) (Blueprint, error)
	// Restore makes the target run again as captured and returns its new
	// incarnation. It does nothing when the target runs already, also when
	// somebody else brought it back. It is safe to repeat after a crash halfway.
	Restore(ctx context.Context, ref Ref, b Blueprint) (Ref, error)
}

// Noter is implemented by Restorers that can say what a target will not have any
// more although it was brought back, such as changed files outside of its volumes.
type Noter interface {
	// Notes returns sentences for people about a blueprint; none if all will be as
	// it was.
	Notes(b Blueprint) []string
}

// Sweeper is implemented by drivers that can find things of Squall's own which
// nobody holds any more and no journal knows, such as what a killed doctor left.
type Sweeper interface {
	// Marks lists them, in words for people. It returns nothing when the driver
	// cannot be asked.
	Marks(ctx context.Context) []string
	// Sweep removes them and returns those that it removed.
	Sweep(ctx context.Context) ([]string, error)
}

// Section is a driver's own part of an experiment file, under its name at the
// top of the file.
type Section interface{ Validate() error }

// Sectioned is implemented by drivers that have a section in the file, such as
// the lab, whose hosts the file itself declares.
type Sectioned interface {
	Driver
	// Section returns a pointer to a new, empty section to decode into.
	Section() Section
	// Declare returns a driver for the world that section describes. Until it
	// is started, its Find returns the declared targets with references
	// without epochs, and nothing else works.
	Declare(section Section) (World, error)
}

// World is a driver whose targets exist only for one run.
type World interface {
	Driver
	Dialer // from a place in the world that is no target
	// Start brings the world up and returns when all of it is ready. When this
	// process dies, the kernel takes the world down.
	Start(ctx context.Context, o StartOptions) error
	// Close takes the world down and waits until nothing is left of it.
	Close() error
	// Done is closed when the world is gone, however that came.
	Done() <-chan struct{}
}

// StartOptions is where and how a World starts.
type StartOptions struct {
	Dir     string                       // its own existing directory for logs, sockets and built programs
	FileDir string                       // directory of the experiment file, for relative paths
	Expand  func(string) (string, error) // replaces ${lab} and variables in commands; nil leaves them
	Output  func(line string)            // lines for people while it starts ("building…"); may be nil
}

// Check returns an error wrapping ErrGone when got is another incarnation than
// want. An empty epoch in want matches any.
func Check(want, got Ref) error {
	if !want.Same(got) || (want.Epoch != "" && want.Epoch != got.Epoch) {
		return fmt.Errorf("%s is not the one it was (started %s, now %s): %w", want, want.Epoch, got.Epoch, ErrGone)
	}
	return nil
}

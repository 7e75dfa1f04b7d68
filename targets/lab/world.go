package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/squall-chaos/squall/targets"
)

// World is the lab that one file declares. It is started at most once.
type World struct {
	section *Section
	hosts   []declared
	done    chan struct{}

	mu      sync.Mutex
	client  *client // nil until the lab runs
	lab     *process
	started bool
}

var (
	_ targets.Sectioned = (*Driver)(nil)
	_ targets.Restorer  = (*Driver)(nil)
	_ targets.World     = (*World)(nil)
	_ targets.Restorer  = (*World)(nil)
)

// Name is "lab".
func (*World) Name() string { return DriverName }

// Doc is one line for people.
func (*World) Doc() string { return New().Doc() }

// Selector returns a new, empty *Selector.
func (*World) Selector() targets.Selector { return new(Selector) }

// Find returns the hosts that sel matches. Before Start these are the declared
// ones, with references that hold no more than the name; from then on those that
// run or are paused.
func (w *World) Find(ctx context.Context, sel targets.Selector) ([]targets.Target, error) {
	s, ok := sel.(*Selector)
	if !ok {
		return nil, fmt.Errorf("lab: a selector of type %T is not the lab's", sel)
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	c := w.running()
	if c == nil {
		return w.plan(s), nil
	}
	r, err := c.call(ctx, request{Op: opList})
	if err != nil {
		return nil, err
	}
	var found []targets.Target
	for _, h := range r.Hosts {
		if s.matches(h.Name) && (h.Status == targets.Running || h.Status == targets.Paused) {
			found = append(found, &Target{client: c, host: h.Name, ref: c.ref(h)})
		}
	}
	return found, nil
}

// plan returns the declared hosts that s matches.
func (w *World) plan(s *Selector) []targets.Target {
	var found []targets.Target
	for _, h := range w.hosts {
		if s.matches(h.name) {
			found = append(found, planned(h.name))
		}
	}
	return found
}

// planned is a host that is declared and not started.
type planned string

func (p planned) Ref() targets.Ref { return targets.Ref{Driver: DriverName, ID: string(p)} }
func (p planned) Name() string     { return string(p) }
func (p planned) Site(context.Context) (targets.Site, error) {
	return targets.Site{}, fmt.Errorf("lab host %s was not started: %w", string(p), targets.ErrGone)
}

// Open finds the host of ref again, as Driver.Open does. Of a reference from
// before Start it finds the host that was started since.
func (w *World) Open(ctx context.Context, ref targets.Ref) (targets.Target, error) {
	return open(ctx, w.qualify(ref))
}

// Capture returns the blueprint of t, as Driver.Capture does.
func (*World) Capture(_ context.Context, t targets.Target, remove bool) (targets.Blueprint, error) {
	return capture(t, remove)
}

// Restore starts the host of ref if it does not run, as Driver.Restore does.
func (w *World) Restore(ctx context.Context, ref targets.Ref, _ targets.Blueprint) (targets.Ref, error) {
	return restore(ctx, w.qualify(ref))
}

func (w *World) qualify(ref targets.Ref) targets.Ref {
	c := w.running()
	declared := slices.ContainsFunc(w.hosts, func(h declared) bool { return h.name == ref.ID })
	if c != nil && declared {
		ref.ID = c.dir + "#" + ref.ID
	}
	return ref
}

func (w *World) running() *client {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.client
}

// DialContext connects from the lab's bridge, outside of all hosts. Names are
// those of the hosts.
func (w *World) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c := w.running()
	if c == nil {
		return nil, fmt.Errorf("dial %s: the lab was not started: %w", address, targets.ErrGone)
	}
	return c.dial(ctx, "", network, address)
}

// Start builds, starts all hosts and returns when each is ready. If it fails, or
// ctx is done before, nothing runs any more. The hosts' output is appended to
// HOST.log in o.Dir.
func (w *World) Start(ctx context.Context, o targets.StartOptions) error {
	w.mu.Lock()
	again := w.started
	w.started = true
	w.mu.Unlock()
	if again {
		return errors.New("lab: it was started already")
	}
	l, err := w.start(ctx, o)
	if err != nil {
		if l != nil {
			_ = l.kill()
		}
		_ = w.Close()
		if ctx.Err() != nil {
			return fmt.Errorf("lab: start given up: %w", ctx.Err())
		}
		return err
	}
	return nil
}

func (w *World) start(ctx context.Context, o targets.StartOptions) (*process, error) {
	dir, err := directory(o.Dir)
	if err != nil {
		return nil, err
	}
	o.Dir = dir
	o.Output = oneByOne(o.Output)
	if o.FileDir, err = filepath.Abs(o.FileDir); err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	if err := build(ctx, w.section.Build, o); err != nil {
		return nil, err
	}
	plan, err := w.blueprint(o)
	if err != nil {
		return nil, err
	}
	if n := len(plan.Hosts); n == 1 {
		say(o, "starting 1 host")
	} else {
		say(o, "starting %d hosts", n)
	}
	l, err := launch(ctx, plan)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.client, w.lab = &client{dir: dir}, l
	w.mu.Unlock()
	go func() {
		<-l.ended
		close(w.done)
	}()
	return l, w.awaitReady(ctx, o)
}

func directory(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("lab: %w", err)
	}
	if fi, err := os.Stat(abs); err != nil {
		return "", fmt.Errorf("lab: its directory: %w", err)
	} else if !fi.IsDir() {
		return "", fmt.Errorf("lab: %s is not a directory", abs)
	}
	return abs, nil
}

// oneByOne lets hosts that become ready together speak in turn.
func oneByOne(output func(string)) func(string) {
	if output == nil {
		return nil
	}
	var mu sync.Mutex
	return func(line string) {
		mu.Lock()
		defer mu.Unlock()
		output(line)
	}
}

func say(o targets.StartOptions, format string, args ...any) {
	if o.Output != nil {
		o.Output(fmt.Sprintf(format, args...))
	}
}

// Close takes the lab down and returns when no process of it is left. It does
// nothing to a lab that does not run.
func (w *World) Close() error {
	w.mu.Lock()
	l, c := w.lab, w.client
	if !w.started || l == nil {
		w.started = true
		select {
		case <-w.done:
		default:
			close(w.done)
		}
	}
	w.mu.Unlock()
	if l == nil {
		return nil
	}
	err := l.kill()
	_ = os.Remove(filepath.Join(c.dir, controlName))
	return err
}

// Done is closed when the lab is gone, however that came.
func (w *World) Done() <-chan struct{} { return w.done }

// expand replaces ${lab} and what o itself knows.
func expand(o targets.StartOptions, s string) (string, error) {
	if o.Expand != nil {
		var err error
		if s, err = o.Expand(s); err != nil {
			return "", err
		}
	}
	return strings.ReplaceAll(s, "${lab}", o.Dir), nil
}

func expandAll(o targets.StartOptions, argv []string) ([]string, error) {
	out := make([]string, len(argv))
	for i, a := range argv {
		var err error
		if out[i], err = expand(o, a); err != nil {
			return nil, err
		}
	}
	return out, nil
}

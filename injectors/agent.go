package injectors

import (
	"context"
	"io"
	"log/slog"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/sourcegraph/jsonrpc2"
)

// AgentCommand is the hidden command of the program that calls Serve, with the
// run's directory as its argument.
const AgentCommand = "agent"

// agent holds changes for as long as its lease lasts, and undoes them when it
// ends.
type agent struct {
	world   *world
	journal *logbook
	dir     string
	log     *slog.Logger
	done    chan struct{} // closed when everything was undone for good

	mu       sync.Mutex
	holder   Holder
	held     []*holding // oldest first
	batches  int
	closing  bool
	inflight sync.WaitGroup
	stop     context.CancelFunc // ends injections
	injects  context.Context
	lease    *jsonrpc2.Conn
	undone   []Undone // of all that was undone without being asked
}

// holding is one change that may have something to undo.
type holding struct {
	Change
	change change
	claim  *claim // nil after a recovery that found the resource taken
	batch  int    // changes of one batch may be undone together

	applying context.Context // ends when its undo has begun
	cancel   context.CancelFunc
	injected chan struct{} // closed when the injection has ended, however it did
	settled  time.Time     // when what an agent before had set going has come to its end

	undoing bool          // somebody undoes it; guarded by agent.mu
	undone  Undone        // how that went
	over    chan struct{} // closed when it was undone and written down
}

// Serve is the agent's whole life: it undoes what the journal in dir says is left
// of an agent before it, and then serves its controller on lease, which is usually
// standard input and output. It ignores the signals that end other programs. When
// the lease is closed, the deadline has passed or somebody asks for it on the
// socket in dir, it undoes everything, newest first.
//
// The error tells what could not be undone. It returns errors of its own only when
// nothing was touched.
func Serve(dir string, lease io.ReadWriteCloser, d Drivers, l *slog.Logger) error {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE, syscall.SIGTSTP, syscall.SIGUSR1, syscall.SIGUSR2)
	parent := openParent()
	defer parent.close()
	journal, past, err := openLog(dir)
	if err != nil {
		return err
	}
	defer journal.close()
	a := &agent{world: &world{drivers: d, log: l}, journal: journal, dir: dir, log: l, done: make(chan struct{})}
	a.injects, a.stop = context.WithCancel(context.Background())
	a.inherit(past)
	a.undone = append(a.undone, a.undoAll(context.Background())...)

	control, err := listenControl(dir)
	if err != nil {
		return err
	}
	defer control.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go a.serveControl(ctx, control)
	a.mu.Lock()
	a.lease = jsonrpc2.NewConn(ctx, jsonrpc2.NewPlainObjectStream(lease), leased{a})
	a.mu.Unlock()
	return a.hold(parent)
}

// hold waits for the end of the lease and undoes everything.
func (a *agent) hold(parent parent) error {
	deadline := time.NewTicker(250 * time.Millisecond)
	defer deadline.Stop()
	for {
		select {
		case <-a.lease.DisconnectNotify():
			a.log.Info("lease ended")
			return failures(a.close("the run went away"))
		case <-deadline.C:
			if !a.overdue() {
				continue
			}
			const why = "the run's deadline passed"
			go func() { _ = a.lease.Notify(context.Background(), methodClosed, why) }() // a stopped run may not read
			err := failures(a.close(why))
			parent.killIfStopped(a.log)
			<-a.lease.DisconnectNotify()
			return err
		}
	}
}

func (a *agent) overdue() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.closing && !a.deadline().IsZero() && time.Now().After(a.deadline())
}

func (a *agent) deadline() time.Time { return a.holder.Deadline }

// inherit takes over what an agent before left.
func (a *agent) inherit(past *Journal) {
	a.holder = past.Holder
	for _, damage := range past.Damage {
		a.log.Error("journal is damaged", "err", damage)
		a.undone = append(a.undone, Undone{ID: "?", Err: "the journal is damaged: " + damage})
	}
	var batch time.Time
	for _, e := range past.Open() {
		if !e.Planned.Equal(batch) { // what was planned together is undone together
			a.batches, batch = a.batches+1, e.Planned
		}
		h, err := a.rehold(e)
		if err != nil {
			a.log.Error("change cannot be taken over", "change", e.Change.ID, "err", err)
			a.undone = append(a.undone, Undone{ID: e.Change.ID, Target: e.Change.Target, Err: err.Error()})
			continue
		}
		a.held = append(a.held, h)
	}
}

func (a *agent) rehold(e Entry) (*holding, error) {
	v, err := e.Change.decode()
	if err != nil {
		return nil, err
	}
	h := a.newHolding(e.Change, v)
	close(h.injected)
	if s, ok := v.(settling); ok && e.Stage == Planned {
		h.settled = e.Planned.Add(s.settleTime())
	}
	h.claim, _ = take(context.Background(), h.Resource, a.holder) // undone even if somebody else has it now
	return h, nil
}

func (a *agent) newHolding(c Change, v change) *holding {
	h := &holding{Change: c, change: v, batch: a.batches, injected: make(chan struct{}), over: make(chan struct{})}
	h.applying, h.cancel = context.WithCancel(a.injects)
	return h
}

// close undoes everything for good and returns how that went; also when it was
// called before.
func (a *agent) close(why string) []Undone {
	a.mu.Lock()
	if a.closing {
		a.mu.Unlock()
		<-a.done
		return a.undone
	}
	a.closing = true
	a.mu.Unlock()
	a.log.Info("undoing everything", "why", why)
	a.stop()
	a.inflight.Wait()
	undone := a.undoAll(context.Background())
	a.mu.Lock()
	a.undone = append(a.undone, undone...)
	a.mu.Unlock()
	close(a.done)
	return a.undone
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// atOnce bounds how many targets are worked on at the same time.
const atOnce = 64

// each runs f for all, many at a time, and waits.
func each(hs []*holding, f func(int, *holding)) {
	var (
		wg    sync.WaitGroup
		slots = make(chan struct{}, atOnce)
	)
	for i, h := range hs {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			f(i, h)
		})
	}
	wg.Wait()
}

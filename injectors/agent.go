package injectors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/sourcegraph/jsonrpc2"
	"golang.org/x/sys/unix"

	"github.com/squall-chaos/squall/targets"
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
	a.undone = a.undoAll(context.Background())

	control, err := listenControl(dir)
	if err != nil {
		return err
	}
	defer control.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go a.serveControl(ctx, control)
	a.mu.Lock()
	a.lease = jsonrpc2.NewConn(ctx, jsonrpc2.NewPlainObjectStream(lease), jsonrpc2.AsyncHandler(a.handler()))
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
			err := failures(a.close("the run's deadline passed"))
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
	}
	for _, e := range past.Open() {
		a.batches++
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

// Outcome is how the injection of one change went.
type Outcome struct {
	ID       string   `json:"id"`
	Target   string   `json:"target"`
	Evidence Evidence `json:"evidence"`
	Err      string   `json:"err,omitempty"`
	Gone     bool     `json:"gone,omitempty"` // the target was gone before it could be touched
}

// Undone is how the undo of one change went.
type Undone struct {
	ID        string       `json:"id"`
	Target    string       `json:"target"`
	Successor *targets.Ref `json:"successor,omitempty"` // the target's new incarnation
	Residue   []string     `json:"residue,omitempty"`
	Err       string       `json:"err,omitempty"`
}

// Clean reports whether nothing is left.
func (u Undone) Clean() bool { return u.Err == "" && len(u.Residue) == 0 }

func failures(all []Undone) error {
	var errs []error
	for _, u := range all {
		if !u.Clean() {
			errs = append(errs, fmt.Errorf("%s: not undone: %s %v", u.ID, u.Err, u.Residue))
		}
	}
	return errors.Join(errs...)
}

var (
	errClosing = errors.New("the agent is undoing everything and takes no more faults")
	errSame    = errors.New("is already held")
)

// inject claims, announces, applies and measures the changes, all together.
func (a *agent) inject(changes []Change) ([]Outcome, error) {
	hs, err := a.admit(changes)
	if err != nil {
		return nil, err
	}
	defer a.inflight.Done()
	defer func() {
		for _, h := range hs {
			close(h.injected)
		}
	}()
	failpoint(pointPlanned)
	out := make([]Outcome, len(hs))
	each(hs, func(i int, h *holding) {
		out[i] = Outcome{ID: h.ID, Target: h.Target, Evidence: Evidence{Target: h.Target}}
		if err := h.change.apply(h.applying, a.world); err != nil {
			out[i].Err, out[i].Gone = err.Error(), errors.Is(err, targets.ErrGone)
			return
		}
		a.log.Info("applied", "change", h.ID, "target", h.Target, "do", h.Do)
	})
	failpoint(pointApplied)
	if err := a.announceApplied(hs, out); err != nil {
		return nil, err
	}
	each(hs, func(i int, h *holding) {
		if out[i].Err == "" {
			out[i].Evidence, out[i].Err = a.prove(h)
		}
	})
	return out, nil
}

// proveTime is how long an effect may take to show after a change was made.
const proveTime = 2 * time.Second

// prove measures until the effect shows, within bounds. On a machine that is slow
// to answer, one measurement may take longer than all of them should.
func (a *agent) prove(h *holding) (Evidence, string) {
	deadline := time.Now().Add(proveTime)
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		e, err := a.measure(h)
		if err != nil {
			return Evidence{Target: h.Target}, "no evidence: " + err.Error()
		}
		if e.Proven || time.Now().After(deadline) || !sleep(h.applying, pause) {
			return e, ""
		}
	}
}

func (a *agent) measure(h *holding) (Evidence, error) {
	ctx, cancel := context.WithTimeout(h.applying, biteTime)
	defer cancel()
	return h.change.evidence(ctx, a.world)
}

// admit claims the changes' resources and writes them down. Nothing was touched
// when it returns an error.
func (a *agent) admit(changes []Change) ([]*holding, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closing {
		return nil, errClosing
	}
	var (
		hs   []*holding
		recs []record
	)
	drop := func() {
		for _, h := range hs {
			h.claim.drop()
		}
	}
	a.batches++
	for _, c := range changes {
		h, err := a.claim(c)
		if err != nil {
			drop()
			return nil, err
		}
		hs = append(hs, h)
		recs = append(recs, record{Stage: Planned, ID: c.ID, Change: &c})
	}
	if err := a.journal.write(recs...); err != nil {
		drop()
		return nil, fmt.Errorf("nothing was injected: %w", err)
	}
	a.held = append(a.held, hs...)
	a.inflight.Add(1)
	return hs, nil
}

func (a *agent) claim(c Change) (*holding, error) {
	for _, h := range a.held {
		if h.ID == c.ID {
			return nil, fmt.Errorf("change %s %w", c.ID, errSame)
		}
	}
	v, err := c.decode()
	if err != nil {
		return nil, err
	}
	if c.Resource != v.resource() {
		return nil, fmt.Errorf("change %s claims %q, but is on %q", c.ID, c.Resource, v.resource())
	}
	cl, err := take(a.injects, c.Resource, a.holder)
	if err != nil {
		return nil, err
	}
	h := a.newHolding(c, v)
	h.claim = cl
	return h, nil
}

func (a *agent) announceApplied(hs []*holding, out []Outcome) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var recs []record
	for i, h := range hs {
		if out[i].Err != "" {
			continue
		}
		data, err := json.Marshal(h.change)
		if err != nil {
			return err
		}
		h.Data = data
		recs = append(recs, record{Stage: Applied, ID: h.ID, Change: &h.Change})
	}
	if len(recs) == 0 {
		return nil
	}
	return a.journal.write(recs...)
}

// observe says which of the named changes are no longer in force.
func (a *agent) observe(ids []string) map[string]Loss {
	var (
		hs   = a.find(ids)
		mu   sync.Mutex
		lost = map[string]Loss{}
	)
	each(hs, func(_ int, h *holding) {
		l, err := h.change.lost(a.injects, a.world)
		if err != nil {
			a.log.Warn("cannot see whether a change is in force", "change", h.ID, "err", err)
			return
		}
		if l.Why != "" {
			mu.Lock()
			lost[h.ID] = l
			mu.Unlock()
		}
	})
	return lost
}

func (a *agent) find(ids []string) []*holding {
	a.mu.Lock()
	defer a.mu.Unlock()
	var hs []*holding
	for _, h := range a.held {
		for _, id := range ids {
			if h.ID == id {
				hs = append(hs, h)
			}
		}
	}
	return hs
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

// undoAll undoes what is held, newest batch first.
func (a *agent) undoAll(ctx context.Context) []Undone {
	var all []Undone
	for {
		a.mu.Lock()
		var batch []*holding
		for i := len(a.held) - 1; i >= 0 && (len(batch) == 0 || a.held[i].batch == batch[0].batch); i-- {
			batch = append(batch, a.held[i])
		}
		a.mu.Unlock()
		if len(batch) == 0 {
			return all
		}
		all = append(all, a.undo(ctx, batch)...)
	}
}

// undo undoes the changes together, looks for what is left of them and writes
// down how that went. What could not be undone is given up here and stays in the
// journal for recover. A change that somebody else is undoing already is waited
// for.
func (a *agent) undo(ctx context.Context, hs []*holding) []Undone {
	if mine := a.begin(hs); len(mine) > 0 {
		a.undoNow(ctx, mine)
	}
	out := make([]Undone, len(hs))
	for i, h := range hs {
		<-h.over
		out[i] = h.undone
	}
	return out
}

// begin returns those of hs that nobody undoes yet.
func (a *agent) begin(hs []*holding) []*holding {
	a.mu.Lock()
	defer a.mu.Unlock()
	var mine []*holding
	for _, h := range hs {
		if !h.undoing {
			h.undoing = true
			mine = append(mine, h)
		}
	}
	return mine
}

func (a *agent) undoNow(ctx context.Context, hs []*holding) {
	recs := make([]record, len(hs))
	failpoint(pointReverting)
	each(hs, func(i int, h *holding) {
		u := a.undoOne(ctx, h)
		recs[i] = record{Stage: Reverted, ID: h.ID, Successor: u.Successor, Residue: u.Residue, Err: u.Err}
		if !u.Clean() {
			recs[i].Stage = Unrecovered
		}
		h.undone = u
	})
	failpoint(pointReverted)
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.journal.write(recs...)
	if err != nil {
		a.log.Error("undone, but the journal does not know", "err", err)
	}
	a.release(hs)
	for _, h := range hs {
		if err != nil {
			h.undone.Err = joinText(h.undone.Err, err.Error())
		}
		close(h.over)
	}
}

// release gives up the claims of hs and forgets them.
func (a *agent) release(hs []*holding) {
	gone := map[*holding]bool{}
	for _, h := range hs {
		gone[h] = true
		if h.claim != nil {
			h.claim.drop()
		}
	}
	kept := a.held[:0]
	for _, h := range a.held {
		if !gone[h] {
			kept = append(kept, h)
		}
	}
	a.held = kept
}

// undoTime bounds the undo of one change, with all tries.
const undoTime = 2 * time.Minute

// errFinal marks an undo that trying again will not make better.
var errFinal = errors.New("")

func (a *agent) undoOne(ctx context.Context, h *holding) Undone {
	h.cancel()
	<-h.injected
	sleep(context.WithoutCancel(ctx), time.Until(h.settled))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	u := Undone{ID: h.ID, Target: h.Target}
	var err error
	for try, wait := 0, 200*time.Millisecond; try < 7; try, wait = try+1, 2*wait {
		if try > 0 && !sleep(ctx, wait) {
			break
		}
		var now targets.Ref
		if now, err = h.change.revert(ctx, a.world); err == nil && now != (targets.Ref{}) {
			u.Successor = &now
		}
		if err == nil {
			u.Residue, err = h.change.residue(ctx, a.world)
		}
		if err == nil && len(u.Residue) == 0 || errors.Is(err, errFinal) {
			break
		}
		a.log.Warn("undo is not complete", "change", h.ID, "try", try+1, "residue", u.Residue, "err", err)
	}
	if err != nil {
		u.Err = err.Error()
	}
	a.log.Info("undone", "change", h.ID, "target", h.Target, "residue", u.Residue, "err", u.Err)
	return u
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

func joinText(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
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

// parent is the process that started the agent.
type parent struct {
	pid int
	fd  int // -1 when it cannot be watched
}

func openParent() parent {
	p := parent{pid: os.Getppid(), fd: -1}
	if p.pid > 1 {
		if fd, err := unix.PidfdOpen(p.pid, 0); err == nil {
			p.fd = fd
		}
	}
	return p
}

func (p parent) close() {
	if p.fd >= 0 {
		unix.Close(p.fd)
	}
}

// killIfStopped ends a controller that is stopped past its deadline: it could only
// go on with a world that is not the one it knew.
func (p parent) killIfStopped(l *slog.Logger) {
	if p.fd < 0 || os.Getppid() != p.pid || !stoppedProcess(p.pid) {
		return
	}
	l.Warn("the run is stopped past its deadline and is killed", "pid", p.pid)
	_ = unix.PidfdSendSignal(p.fd, unix.SIGKILL, nil, 0)
}

// stoppedProcess reports whether a process is stopped, from its state in
// /proc/PID/stat (proc_pid_stat(5)).
func stoppedProcess(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] == ')' {
			return i+2 < len(b) && (b[i+2] == 'T' || b[i+2] == 't')
		}
	}
	return false
}

package runner

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/squall-chaos/squall/experiments"
	"github.com/squall-chaos/squall/injectors"
	"github.com/squall-chaos/squall/reports"
)

// The test program is its own agent. The faults of these tests are commands, which
// need no driver.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == injectors.AgentCommand {
		if err := injectors.Serve(os.Args[2], pipes{}, injectors.Drivers{}, slog.New(slog.NewJSONHandler(os.Stderr, nil))); err != nil {
			os.Exit(5)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

type pipes struct{}

func (pipes) Read(b []byte) (int, error)  { return os.Stdin.Read(b) }
func (pipes) Write(b []byte) (int, error) { return os.Stdout.Write(b) }
func (pipes) Close() error                { return os.Stdin.Close() }

// system is an HTTP server that hangs for as long as a file is there, which is what
// the fault of these tests makes.
func system(t *testing.T) (url, mark string) {
	mark = filepath.Join(t.TempDir(), "hang")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := os.Stat(mark); err == nil {
			<-r.Context().Done()
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, mark
}

// perform runs an experiment and returns its result and events.
func perform(t *testing.T, text string, change func(*Options)) (*reports.Result, []Event) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "e.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	es, err := experiments.Load([]string{file}, experiments.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var (
		mu     sync.Mutex
		events []Event
	)
	o := Options{
		Experiment: es[0], Drivers: injectors.Drivers{}, Seed: 1, Store: Store{Runs: t.TempDir()},
		Events: func(e Event) {
			mu.Lock()
			defer mu.Unlock()
			events = append(events, e)
		},
	}
	if change != nil {
		change(&o)
	}
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r, events
}

const hanging = `
title: It hangs
probes:
  page:
    http: {url: "%[1]s", timeout: 1s}
    rate: 50/s
hypothesis:
  page:
    steady: {success: ">= 90%%"}
    during: {%[3]s}
guards: {%[4]s}
timing: {baseline: 1s, recovery: 5s}
method:
  - {fault: exec, do: [touch, "%[2]s"], undo: [rm, -f, "%[2]s"], check: [test, -e, "%[2]s"], for: %[5]s}
`

func TestGuardBreaksWhenNothingAnswersAnyMore(t *testing.T) {
	url, mark := system(t)
	start := time.Now()
	r, _ := perform(t, fmt.Sprintf(hanging, url, mark, `success: ">= 0%"`, `page: {success: ">= 50% over 1s"}`, "60s"), nil)
	if r.Verdict != reports.Aborted || len(r.Guards) != 1 || !r.Guards[0].Broken {
		t.Errorf("verdict %s, guards %+v: %v", r.Verdict, r.Guards, r.Reasons)
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("the guard took %s", took)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("the fault was left behind")
	}
}

func TestReadingsThatHangAtTheEndOfAPhaseCountAsFailed(t *testing.T) {
	url, mark := system(t)
	r, _ := perform(t, fmt.Sprintf(hanging, url, mark, `success: ">= 50%"`, "", "700ms"), nil)
	if r.Verdict != reports.Deviated {
		t.Errorf("verdict %s: %v", r.Verdict, r.Reasons)
	}
	i := slices.IndexFunc(r.Checks, func(c reports.Check) bool { return c.Phase == "during" })
	if i < 0 || r.Checks[i].Value > 10 || r.Checks[i].Samples < 25 {
		t.Errorf("checks %+v", r.Checks)
	}
}

// TestReadingsWhileAFaultComesAboutCountAsDuring has a fault that bites long before
// its command ends.
func TestReadingsWhileAFaultComesAboutCountAsDuring(t *testing.T) {
	url, mark := system(t)
	text := fmt.Sprintf(hanging, url, mark, `success: ">= 80%"`, "", "100ms")
	text = strings.Replace(text, "do: [touch, \""+mark+"\"]", "do: [sh, -c, \"touch "+mark+"; sleep 3\"]", 1)
	r, _ := perform(t, text, nil)
	if r.Verdict != reports.Deviated {
		t.Errorf("verdict %s: %v, checks %+v", r.Verdict, r.Reasons, r.Checks)
	}
	if len(r.Faults) != 1 || r.Faults[0].End-r.Faults[0].Start < 3 {
		t.Errorf("faults %+v", r.Faults)
	}
}

func TestASecondWishToStopIsAnsweredAndSkipsNothing(t *testing.T) {
	url, mark := system(t)
	stop := make(chan string, 2)
	r, events := perform(t, fmt.Sprintf(hanging, url, mark, `success: ">= 0%"`, "", "60s"), func(o *Options) {
		tell := o.Events
		o.Stop = stop
		o.Events = func(e Event) {
			tell(e)
			switch e.Kind {
			case FaultInForce:
				stop <- "somebody"
			case FaultReverting:
				stop <- "somebody"
			}
		}
	})
	if r.Verdict != reports.Aborted || r.Faults[0].State != stateReverted {
		t.Errorf("verdict %s, fault %s", r.Verdict, r.Faults[0].State)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("the fault was left behind")
	}
	var said []string
	for _, e := range events {
		if e.Kind == Stopping {
			said = append(said, e.Text)
		}
	}
	if len(said) != 2 || !strings.Contains(said[1], "not skipped") {
		t.Errorf("said %q", said)
	}
}

func TestEventsAreInTheRunsDirectoryAsTheyWereTold(t *testing.T) {
	url, mark := system(t)
	r, events := perform(t, fmt.Sprintf(hanging, url, mark, `success: ">= 0%"`, "", "200ms"), nil)
	text, err := os.ReadFile(filepath.Join(r.Directory, EventsFile))
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(text), "\n"); lines != len(events) {
		t.Errorf("%d lines for %d events", lines, len(events))
	}
	if first, last := events[0].Kind, events[len(events)-1].Kind; first != RunStarted || last != RunEnded {
		t.Errorf("from %s to %s", first, last)
	}
}

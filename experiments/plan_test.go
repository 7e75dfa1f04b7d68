package experiments_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/squall-chaos/squall/experiments"
	"github.com/squall-chaos/squall/injectors"
	"github.com/squall-chaos/squall/targets"
)

const planned = "testdata/plan.yaml"

var boxNames = []string{"cache-3", "web-1", "cache-1", "web-2", "cache-2", "db"}

func resolve(t *testing.T, file string, drivers injectors.Drivers, seed uint64) (*experiments.Plan, error) {
	t.Helper()
	return experiments.Resolve(t.Context(), load(t, options(), file)[0], drivers, seed)
}

func asJSON(t *testing.T, p *experiments.Plan) []byte {
	t.Helper()
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

func TestTheSameFileSeedAndWorldGiveTheSamePlan(t *testing.T) {
	var first []byte
	for i := range 100 {
		names := slices.Clone(boxNames)
		if i%2 == 1 {
			slices.Reverse(names) // the order in which a driver finds them does not count
		}
		p, err := resolve(t, planned, world(names...), 7)
		if err != nil {
			t.Fatal(err)
		}
		b := asJSON(t, p)
		if first == nil {
			first = b
		}
		if !bytes.Equal(b, first) {
			t.Fatalf("time %d: %s", i, cmp.Diff(string(first), string(b)))
		}
	}
	other, err := resolve(t, planned, world(boxNames...), 9)
	if err != nil || slices.Equal(first, asJSON(t, other)) {
		t.Errorf("another seed gives the same plan: %v", err)
	}
}

func TestAnotherGroupDoesNotChangeTheChoice(t *testing.T) {
	e := load(t, options(), planned)[0]
	before, err := e.Choose(t.Context(), world(boxNames...), 7)
	if err != nil {
		t.Fatal(err)
	}
	e.Targets = append([]experiments.Target{{Name: "aaa", Driver: "box", Selector: &boxSelector{Name: "*"}, Pick: pick(t, "2")}}, e.Targets...)
	after, err := e.Choose(t.Context(), world(boxNames...), 7)
	if err != nil {
		t.Fatal(err)
	}
	for i := range before {
		if !slices.Equal(namesOf(before[i].Chosen), namesOf(after[i+1].Chosen)) {
			t.Errorf("%s: %v became %v", before[i].Name, namesOf(before[i].Chosen), namesOf(after[i+1].Chosen))
		}
	}
}

// Every step is planned at its time, and every change has an ID of its own.
func TestThePlannedTimeline(t *testing.T) {
	p, err := resolve(t, planned, world(boxNames...), 7)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	ids := map[string]int{}
	var walk func(steps []experiments.PlannedStep, indent string)
	walk = func(steps []experiments.PlannedStep, indent string) {
		for _, s := range steps {
			got = append(got, fmt.Sprintf("%s%s/%d %s %g-%g", indent, s.ID, s.Round, s.Text, s.Start, s.End))
			for _, c := range s.Changes {
				ids[c.ID]++
				if c.Data != nil {
					t.Errorf("%s: a plan shows the data of a change", c.ID)
				}
			}
			walk(s.Steps, indent+"  ")
		}
	}
	walk(p.Steps, "")
	want := []string{
		"1/0 pause on cache for 10s 10-20",
		"2/0 wait 5s 20-25",
		"3/0 in parallel 25-33",
		"  3.1/0 kill on cache for 4s 25-29",
		"  3.2/0 pause on web for 8s 25-33",
		"  3.3/0 wait 1s 25-26",
		"4/0 repeat 3 times, every 10s 33-55",
		"  4.1/1 signal HUP on web 33-33",
		"  4.2/1 stop grace 1s on cache for 2s 33-35",
		"  4.1/2 signal HUP on web 43-43",
		"  4.2/2 stop grace 1s on cache for 2s 43-45",
		"  4.1/3 signal HUP on web 53-53",
		"  4.2/3 stop grace 1s on cache for 2s 53-55",
		"5/0 repeat 2 times 55-57",
		"  5.1/1 wait 1s 55-56",
		"  5.1/2 wait 1s 56-57",
		"6/0 ask: Go on? 57-57",
		"7/0 kill on cache 57-57",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if p.Baseline != (experiments.Span{End: 10}) || p.Method != (experiments.Span{Start: 10, End: 57}) || p.Recovery != (experiments.Span{Start: 57, End: 87}) {
		t.Errorf("baseline %v, method %v, recovery %v", p.Baseline, p.Method, p.Recovery)
	}
	for id, n := range ids {
		if n > 1 {
			t.Errorf("%d changes are called %s", n, id)
		}
	}
	if !slices.Contains(slices.Sorted(maps.Keys(ids)), "4.2#3/"+p.Targets[0].Chosen[0].Name) {
		t.Errorf("IDs %v", slices.Sorted(maps.Keys(ids)))
	}
}

func TestWhatStandsInTheWayIsToldWhole(t *testing.T) {
	for _, c := range []struct {
		name    string
		file    string
		drivers injectors.Drivers
		change  func(e *experiments.Experiment)
		is      []error
		misuse  bool
		text    string
	}{
		{name: "nothing matches", file: "testdata/good/blind.yaml", drivers: world("a"), is: []error{experiments.ErrNoTargets}, text: "target none: nothing matches box nowhere"},
		{name: "two groups", file: planned, drivers: world("cache-1"), is: []error{experiments.ErrNoTargets}, text: "target web: nothing matches box web-*"},
		{
			name: "too few", file: planned, drivers: world(boxNames...), is: []error{experiments.ErrTooFew}, text: "target cache: fewer targets match",
			change: func(e *experiments.Experiment) { e.Targets[0].Pick = experiments.Pick{Count: 4} },
		},
		{
			name: "no pick", file: planned, drivers: world(boxNames...), is: []error{experiments.ErrPickNeeded}, misuse: true, text: "3 match (cache-1, cache-2, cache-3)",
			change: func(e *experiments.Experiment) { e.Targets[0].Pick = experiments.Pick{} },
		},
		{
			name: "too many", file: planned, drivers: world(boxNames...), is: []error{experiments.ErrTooMany}, misuse: true, text: "3 would be, 2 may",
			change: func(e *experiments.Experiment) { e.Limits.Targets = 2 },
		},
		{
			name: "too many in parallel and repeats", file: planned, drivers: world(boxNames...), is: []error{experiments.ErrTooMany}, misuse: true, text: "3 would be, 2 may",
			change: func(e *experiments.Experiment) {
				e.Limits.Targets = 2
				e.Method = []experiments.Step{e.Method[2], {ID: "2", Repeat: &experiments.Repeat{Times: 1, Steps: e.Method[3].Repeat.Steps[1:]}}}
			},
		},
		{
			name: "pick and nothing", file: planned, drivers: world("cache-1", "cache-2"), is: []error{experiments.ErrPickNeeded, experiments.ErrNoTargets},
			change: func(e *experiments.Experiment) { e.Targets[0].Pick = experiments.Pick{} },
		},
		{name: "driver", file: planned, drivers: injectors.Drivers{"box": &boxes{err: os.ErrPermission}}, is: []error{os.ErrPermission}, text: "target cache: permission denied"},
		{name: "no driver", file: planned, drivers: injectors.Drivers{}, text: "the driver box is not known"},
		{
			name: "conflict", file: planned, drivers: world("cache-1", "web-1", "web-2"), is: []error{experiments.ErrConflict}, misuse: true, text: "step 3.2, pause on cache for 8s",
			change: func(e *experiments.Experiment) {
				e.Method[2].Parallel[1].Fault.On = "cache"
				e.Method[2].Parallel[0].Fault = e.Method[0].Fault
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := load(t, options(), c.file)[0]
			if c.change != nil {
				c.change(e)
			}
			p, err := experiments.Resolve(t.Context(), e, c.drivers, 7)
			if err == nil || p == nil || len(p.Steps) != len(e.Method) || len(p.Targets) != len(e.Targets) {
				t.Fatalf("got %+v, %v", p, err)
			}
			for _, is := range c.is {
				if !errors.Is(err, is) {
					t.Errorf("%v is not %v", err, is)
				}
			}
			if !strings.Contains(err.Error(), c.text) || experiments.Misuse(err) != c.misuse {
				t.Errorf("misuse %v: %v", experiments.Misuse(err), err)
			}
			asJSON(t, p)
		})
	}
}

func TestErrorsNameGroupsAndSteps(t *testing.T) {
	e := load(t, options(), planned)[0]
	_, err := experiments.Resolve(t.Context(), e, world("cache-1"), 7)
	var group *experiments.TargetError
	if !errors.As(err, &group) || group.Target != "web" {
		t.Errorf("got %v", err)
	}
	drivers := world(boxNames...)
	drivers["box"] = lifeless{drivers["box"].(*boxes)}
	_, err = experiments.Resolve(t.Context(), e, drivers, 7)
	var fault *experiments.FaultError
	if !errors.As(err, &fault) || fault.Step != "1" || experiments.Misuse(err) {
		t.Errorf("got %v", err)
	}
	if n := strings.Count(err.Error(), "step 4.2,"); n == 0 || !strings.Contains(err.Error(), "step 7,") {
		t.Errorf("not all steps are told: %v", err)
	}
}

// lifeless boxes can be found and nothing else.
type lifeless struct{ *boxes }

type still struct{ targets.Target }

func (d lifeless) Find(ctx context.Context, s targets.Selector) ([]targets.Target, error) {
	found, err := d.boxes.Find(ctx, s)
	for i, t := range found {
		found[i] = still{t}
	}
	return found, err
}

func TestADeclaredWorldIsPlannedBeforeItStarts(t *testing.T) {
	e := load(t, options(), everything)[0]
	drivers, worlds, err := e.Declare(world(boxNames...))
	if err != nil || worlds["lab"] == nil || drivers["lab"] != targets.Driver(worlds["lab"]) {
		t.Fatalf("declared %v, %v", worlds, err)
	}
	again, none, err := e.Declare(drivers)
	if err != nil || len(none) != 0 || again["lab"] != drivers["lab"] {
		t.Errorf("a world was declared anew: %v, %v", none, err)
	}
	groups, err := e.Choose(t.Context(), drivers, 7)
	i := slices.IndexFunc(groups, func(g experiments.Group) bool { return g.Name == "api" })
	if i < 0 || len(groups[i].Candidates) != 3 || len(groups[i].Chosen) != 1 || groups[i].Chosen[0].Ref().Epoch != "" {
		t.Errorf("got %+v, %v", groups, err)
	}
}

func BenchmarkResolve(b *testing.B) {
	es, err := experiments.Load([]string{planned}, options())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := experiments.Resolve(b.Context(), es[0], world(boxNames...), 7); err != nil {
			b.Fatal(err)
		}
	}
}

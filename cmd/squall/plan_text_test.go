package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"github.com/squall-chaos/squall/experiments"
	"github.com/squall-chaos/squall/injectors"
	"github.com/squall-chaos/squall/reports"
)

func named(list ...string) []experiments.Named {
	var out []experiments.Named
	for _, n := range list {
		out = append(out, experiments.Named{Name: n})
	}
	return out
}

func stormPlan(extra string) *experiments.Plan {
	kill := injectors.Change{Do: "kill api-2 with SIGKILL and keep it down" + extra, Undo: "start api-2 again as it was" + extra}
	return &experiments.Plan{
		Title: "The gateway keeps answering while replicas die and freeze" + extra, File: "held.yaml" + extra, Document: 1, Seed: 7421,
		Variables: map[string]string{"base": "http://127.0.0.1:8080" + extra, "a": "1"},
		Targets: []experiments.PlannedTarget{
			{Name: "api" + extra, Driver: "lab", Selector: "api-*" + extra, Pick: "1", Candidates: named("api-1", "api-2", "api-3"), Chosen: named("api-2" + extra)},
			{Name: "gateway", Driver: "lab", Selector: "gateway", Candidates: named("gateway"), Chosen: named("gateway")},
			{Name: "ghost", Driver: "docker", Selector: "label app=ghost"},
		},
		Baseline: experiments.Span{Start: 0, End: 10}, Method: experiments.Span{Start: 10, End: 47}, Recovery: experiments.Span{Start: 47, End: 67},
		Steps: []experiments.PlannedStep{
			{ID: "1", Kind: experiments.StepFault, Text: "kill api, signal KILL, for 10s" + extra, Start: 10, End: 20, Fault: "kill", On: "api", Targets: []string{"api-2" + extra}, For: 10, OnRestart: "fail", Changes: []injectors.Change{kill}},
			{ID: "2", Kind: experiments.StepWait, Text: "wait 5s", Start: 20, End: 25},
			{ID: "3", Kind: experiments.StepParallel, Text: "in parallel", Start: 25, End: 40, Steps: []experiments.PlannedStep{
				{ID: "3.1", Kind: experiments.StepFault, Text: "kill ghost", Start: 25, End: 25, Fault: "kill", On: "ghost"},
				{ID: "3.2", Kind: experiments.StepConfirm, Text: "ask: go on?", Start: 25, End: 25},
			}},
			{ID: "4", Kind: experiments.StepRepeat, Text: "repeat 2 times", Start: 40, End: 47, Steps: []experiments.PlannedStep{
				{ID: "4.1", Round: 1, Kind: experiments.StepWait, Text: "wait 3.5s", Start: 40, End: 43.5},
				{ID: "4.1", Round: 2, Kind: experiments.StepWait, Text: "wait 3.5s", Start: 43.5, End: 47},
			}},
		},
		Hypothesis: []string{"checkout success >= 99.9% while steady" + extra, "checkout outage <= 3s during"},
		Guards:     []string{"checkout success >= 20% over 5s" + extra},
	}
}

func TestPlanTextIsAsTheGoldenFile(t *testing.T) {
	var b bytes.Buffer
	if err := planText(&b, stormPlan(""), reports.TextOptions{Width: 80}); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/plan.txt", b.String())
}

func TestPlanTextKeepsToTheWidthAndIsInert(t *testing.T) {
	for _, extra := range []string{"", hostile, strings.Repeat("x", 200)} {
		for _, width := range []int{40, 61, 80, 200} {
			t.Run(fmt.Sprint(width), func(t *testing.T) {
				var b bytes.Buffer
				if err := planText(&b, stormPlan(extra), reports.TextOptions{Width: width}); err != nil {
					t.Fatal(err)
				}
				harmless(t, b.String())
				for l := range strings.Lines(b.String()) {
					if n := ansi.StringWidth(strings.TrimSuffix(l, "\n")); n > width {
						t.Errorf("%d cells: %q", n, l)
					}
				}
			})
		}
	}
}

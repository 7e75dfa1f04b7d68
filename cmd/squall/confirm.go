package main

import (
	"context"
	"errors"
	"sync"

	"github.com/charmbracelet/x/term"

	"github.com/squall-chaos/squall/experiments"
	"github.com/squall-chaos/squall/reports"
)

// answers are what people said to the questions of confirm steps.
type answers struct {
	mu   sync.Mutex
	said map[string]chan bool // by step
}

func (a *answers) of(step string) chan bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.said == nil {
		a.said = map[string]chan bool{}
	}
	if a.said[step] == nil {
		a.said[step] = make(chan bool, 1)
	}
	return a.said[step]
}

// say takes an answer; only the first to a question counts.
func (a *answers) say(step string, yes bool) {
	select {
	case a.of(step) <- yes:
	default:
	}
}

// wait returns the answer to a step's question, which a view has asked.
func (a *answers) wait(ctx context.Context, step, _ string) (bool, error) {
	select {
	case yes := <-a.of(step):
		return yes, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// askable refuses experiments that ask when nobody can answer.
func (r *command) askable(es []*experiments.Experiment) error {
	if r.yes || term.IsTerminal(r.streams.in.Fd()) {
		return nil
	}
	for _, e := range es {
		if asks(e.Method) {
			return exit{reports.ExitUsage, errors.New(e.File + " has a confirm step, and there is no terminal to ask on: say --yes, or run it on a terminal")}
		}
	}
	return nil
}

func asks(steps []experiments.Step) bool {
	for _, s := range steps {
		if s.Confirm != "" || asks(s.Parallel) || s.Repeat != nil && asks(s.Repeat.Steps) {
			return true
		}
	}
	return false
}

// confirm is who answers confirm steps.
func (r *command) confirm(a *answers) func(context.Context, string, string) (bool, error) {
	if r.yes {
		return func(context.Context, string, string) (bool, error) { return true, nil }
	}
	return a.wait
}

package probes

import (
	"context"
	"errors"
	"testing"
)

func TestState(t *testing.T) {
	running := State{Name: "api-1", Status: "running", Health: "healthy", Restarts: 2}
	sick := State{Name: "api-2", Status: "running", Health: "unhealthy"}
	plain := State{Name: "api-3", Status: "running"}
	paused := State{Name: "api-4", Status: "paused"}
	for _, c := range []struct {
		name, expect string
		states       []State
		want         string
		value        float64
	}{
		{"all run", "", []State{running, sick, plain}, "", 3},
		{"one does not", "", []State{running, paused}, "1 of 2 as expected, wanted 2: api-4 is paused", 1},
		{"enough do", "count: 1", []State{running, paused}, "", 1},
		{"too few do", "count: 3", []State{running, plain}, "2 of 2 as expected, wanted 3", 2},
		{"paused as wanted", "status: paused", []State{paused}, "", 1},
		{"healthy", "healthy: true", []State{running}, "", 1},
		{"unhealthy", "healthy: true", []State{running, sick}, "1 of 2 as expected, wanted 2: api-2 is unhealthy", 1},
		{"no health check", "healthy: true", []State{plain}, "0 of 1 as expected, wanted 1: api-3 has no health check", 0},
		{"not healthy as wanted", "healthy: false", []State{sick}, "", 1},
		{"few restarts", "restarts: '<= 2'", []State{running}, "", 1},
		{"many restarts", "restarts: 1", []State{running}, "0 of 1 as expected, wanted 1: api-1 was restarted more than 1 times", 0},
		{"gone as wanted", "status: gone", []State{{Name: "api-5", Status: "gone"}}, "", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := bound(t, "state", "of: api", c.expect, Env{State: func(context.Context) ([]State, error) { return c.states, nil }})
			if r := wantDetail(t, p, c.want); !r.HasValue || r.Value != c.value {
				t.Errorf("value %g, want %g", r.Value, c.value)
			}
		})
	}
}

func TestStateThatCannotBeTold(t *testing.T) {
	for name, state := range map[string]func(context.Context) ([]State, error){
		"error":   func(context.Context) ([]State, error) { return nil, errors.New("the engine is gone") },
		"nothing": func(context.Context) ([]State, error) { return nil, nil },
		"hangs":   func(ctx context.Context) ([]State, error) { <-ctx.Done(); return nil, ctx.Err() },
	} {
		p := bound(t, "state", "{of: api, timeout: 50ms}", "", Env{State: state})
		if r, err := p.Read(t.Context()); err == nil {
			t.Errorf("%s: got %+v", name, r)
		}
	}
	if err := decode(t, "state", "of: api", "").Bind(Env{}); err == nil {
		t.Error("bound without anything that tells states")
	}
	if w, ok := decode(t, "state", "of: api", "").(Watcher); !ok || w.Targets()[0] != "api" {
		t.Error("does not say what it watches")
	}
}

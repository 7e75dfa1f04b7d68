package docker

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/squall-chaos/squall/targets"
	"github.com/squall-chaos/squall/targets/docker/dockertest"
)

// BenchmarkPause pauses containers at once, by the driver and by the engine's own
// client, and reports the time from the first to the last of them.
func BenchmarkPause(b *testing.B) {
	const n = 30
	mark := dockertest.Mark(b)
	cli := dockertest.Require(b)
	for range n {
		dockertest.Run(b, dockertest.Options{})
	}
	list, err := New(Options{}).Find(b.Context(), &Selector{Label: map[string]string{dockertest.Label: mark}})
	if err != nil || len(list) != n {
		b.Fatal(len(list), err)
	}
	for name, pause := range map[string]func(context.Context, targets.Target) error{
		"driver": func(ctx context.Context, t targets.Target) error { return t.(*target).Pause(ctx) },
		"client": func(ctx context.Context, t targets.Target) error { return cli.ContainerPause(ctx, t.Ref().ID) },
	} {
		b.Run(name, func(b *testing.B) {
			var spread time.Duration
			for b.Loop() {
				spread += pauseAll(b, list, pause)
				b.StopTimer()
				eachAtOnce(list, func(g targets.Target) {
					if err := g.(*target).Unpause(b.Context()); err != nil {
						b.Error(err)
					}
				})
				b.StartTimer()
			}
			b.ReportMetric(float64(spread.Milliseconds())/float64(b.N), "ms-first-to-last")
		})
	}
}

func pauseAll(b *testing.B, list []targets.Target, pause func(context.Context, targets.Target) error) time.Duration {
	b.Helper()
	var mu sync.Mutex
	var done []time.Time
	eachAtOnce(list, func(g targets.Target) {
		if err := pause(b.Context(), g); err != nil {
			b.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		done = append(done, time.Now())
	})
	return slices.MaxFunc(done, time.Time.Compare).Sub(slices.MinFunc(done, time.Time.Compare))
}

func eachAtOnce(list []targets.Target, f func(targets.Target)) {
	var group sync.WaitGroup
	for _, g := range list {
		group.Go(func() { f(g) })
	}
	group.Wait()
}

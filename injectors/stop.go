package injectors

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/squall-chaos/squall/experiments/units"
)

const defaultGrace = units.Duration(10 * time.Second)

func init() {
	register(Kind{
		Name: "stop", For: ForOptional, New: func() Spec { return &Stop{Grace: defaultGrace} },
		Doc: "asks the target to end, kills it after a grace time; with for: it is brought back",
	})
}

// Stop asks a target to end in order and kills it when it has not ended after
// the grace time.
type Stop struct {
	Grace units.Duration `yaml:"grace,omitempty" json:"grace,omitempty"` // default 10s; 0s kills at once
}

// Validate bounds the grace time.
func (s *Stop) Validate() error { return checkGrace(s.Grace) }

func checkGrace(g units.Duration) error {
	if g.D() > time.Hour {
		return fmt.Errorf("grace %s is longer than an hour", g)
	}
	return nil
}

func (s *Stop) String() string { return "grace " + s.Grace.String() }

func (s *Stop) plan(ctx context.Context, r Request) ([]change, error) {
	return planDown(ctx, r, down{Manner: byStop, Signal: syscall.SIGTERM, Grace: s.Grace})
}

package injectors

import (
	"context"

	"github.com/squall-chaos/squall/experiments/units"
)

func init() {
	register(Kind{
		Name: "restart", For: ForForbidden, New: func() Spec { return &Restart{Grace: defaultGrace} },
		Doc: "stops the target, killing it after a grace time, and starts it again at once",
	})
}

// Restart stops a target and starts it again at once.
type Restart struct {
	Grace units.Duration `yaml:"grace,omitempty" json:"grace,omitempty"` // default 10s; 0s kills at once
}

// Validate bounds the grace time.
func (s *Restart) Validate() error { return checkGrace(s.Grace) }

func (s *Restart) String() string { return "grace " + s.Grace.String() }

func (s *Restart) plan(ctx context.Context, r Request) ([]change, error) {
	return planEach(ctx, r, func(v victim) (change, error) {
		b, err := v.capture(ctx, r, false)
		return &bounce{subject: v.subject, Grace: s.Grace, Blueprint: b}, err
	})
}

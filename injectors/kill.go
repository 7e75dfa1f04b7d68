package injectors

import (
	"context"

	"golang.org/x/sys/unix"
)

func init() {
	register(Kind{
		Name: "kill", For: ForOptional, New: func() Spec { return &Kill{Signal: "KILL"} },
		Doc: "ends the target with a signal; with for: it is kept down and then brought back",
	})
}

// Kill ends a target with a signal. Without a time after which it is undone, the
// signal comes from outside like a crash, and the target's supervisor may react;
// with it, the target is kept down and then brought back the way it was.
type Kill struct {
	Signal string `yaml:"signal,omitempty" json:"signal,omitempty"` // name such as KILL, TERM or ABRT; default KILL
}

// Validate checks the signal's name.
func (k *Kill) Validate() error {
	_, err := parseSignal(k.Signal)
	return err
}

func (k *Kill) String() string {
	if sig, err := parseSignal(k.Signal); err == nil && sig != unix.SIGKILL {
		return "signal " + unix.SignalName(sig)
	}
	return ""
}

func (k *Kill) plan(ctx context.Context, r Request) ([]change, error) {
	sig, err := parseSignal(k.Signal)
	if err != nil {
		return nil, err
	}
	return planDown(ctx, r, down{Manner: byKill, Signal: sig})
}

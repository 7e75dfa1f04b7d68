package injectors

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"
)

func init() {
	register(Kind{
		Name: "signal", For: ForForbidden, New: func() Spec { return &Signal{} },
		Doc: "sends one signal, such as HUP or TERM; what follows is the target's own business",
	})
}

// Signal sends one signal to a target.
type Signal struct {
	Signal string `yaml:"signal" json:"signal" jsonschema:"required"` // name such as HUP, USR1 or TERM; required
}

// Validate checks the signal's name. Signals that would leave the target stopped
// are refused: nothing would undo them.
func (s *Signal) Validate() error {
	if s.Signal == "" {
		return errors.New("signal is missing: write for example signal: HUP")
	}
	sig, err := parseSignal(s.Signal)
	if err != nil {
		return err
	}
	switch sig {
	case unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU:
		return errors.New(unix.SignalName(sig) + " leaves the target stopped: use the fault pause, which lets it go on")
	}
	return nil
}

func (s *Signal) String() string { return s.Signal }

func (s *Signal) plan(ctx context.Context, r Request) ([]change, error) {
	sig, err := parseSignal(s.Signal)
	if err != nil {
		return nil, err
	}
	return planEach(ctx, r, func(v victim) (change, error) {
		return &signalled{subject: v.subject, Signal: sig}, nil
	})
}

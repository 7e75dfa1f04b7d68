// Package lab is the driver for hosts that an experiment file declares itself:
// plain commands that run as hosts of a private network, each with its own
// address, name and log, on no more than this kernel. It needs no engine, no
// images and, where unprivileged user namespaces are allowed, no root.
//
// A lab is one process tree. The process that starts it (a World) runs the same
// program again as the lab's init, which is PID 1 of a PID namespace and
// supervises the hosts; whatever ends the starting process ends the init, and the
// kernel then ends everything in it. Nothing of a lab is visible outside of its
// namespaces but its files in one directory.
//
// Every other process of the same user reaches a running lab through the control
// socket in that directory, whose path is part of each target's Ref: Driver opens
// targets of any lab that way, and World is the one that was declared here.
//
// A program that uses World must call InitMain when its first argument is
// InitCommand, before it does anything else.
package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/squall-chaos/squall/targets"
)

// DriverName is the key of the driver in files and references.
const DriverName = "lab"

// InitCommand is the first argument with which the program runs itself as a
// lab's init.
const InitCommand = "lab-init"

// Driver opens the hosts of labs that any process of this user started.
type Driver struct{}

// New returns the driver. It touches nothing.
func New() *Driver { return &Driver{} }

// Name is "lab".
func (*Driver) Name() string { return DriverName }

// Doc is one line for people.
func (*Driver) Doc() string {
	return "hosts that the file itself declares under lab:, in a private network; needs no root"
}

// Selector returns a new, empty *Selector.
func (*Driver) Selector() targets.Selector { return new(Selector) }

// Section returns a new, empty *Section.
func (*Driver) Section() targets.Section { return new(Section) }

// Declare returns the world of section, which must be a valid *Section. It
// touches nothing.
func (*Driver) Declare(section targets.Section) (targets.World, error) {
	s, ok := section.(*Section)
	if !ok {
		return nil, fmt.Errorf("lab: a section of type %T is not the lab's", section)
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	return &World{section: s, hosts: s.flatten(), done: make(chan struct{})}, nil
}

// Find returns an error always: only a declared lab has hosts to find.
func (*Driver) Find(context.Context, targets.Selector) ([]targets.Target, error) {
	return nil, errors.New("lab: the file declares no hosts: add a lab: section with hosts:, or select from another driver")
}

// Open finds the host of ref in the lab that ref names. It returns ErrGone when
// that lab is not running any more, or the host was started again since a
// non-empty epoch. A host that has exited is still known.
func (*Driver) Open(ctx context.Context, ref targets.Ref) (targets.Target, error) {
	return open(ctx, ref)
}

// Capture returns the blueprint of t. The lab's init keeps what a host is started
// from, so that there is little in it. A host cannot be removed.
func (*Driver) Capture(_ context.Context, t targets.Target, remove bool) (targets.Blueprint, error) {
	return capture(t, remove)
}

// Restore starts the host of ref if it does not run, and returns its present
// incarnation. It returns ErrGone when the whole lab is gone.
func (*Driver) Restore(ctx context.Context, ref targets.Ref, _ targets.Blueprint) (targets.Ref, error) {
	return restore(ctx, ref)
}

func open(ctx context.Context, ref targets.Ref) (*Target, error) {
	c, host, err := locate(ref)
	if err != nil {
		return nil, err
	}
	r, err := c.call(ctx, request{Op: opState, Host: host})
	if err != nil {
		return nil, err
	}
	got := c.ref(r.Hosts[0])
	if err := targets.Check(ref, got); err != nil {
		return nil, err
	}
	return &Target{client: c, host: host, ref: got}, nil
}

func capture(t targets.Target, remove bool) (targets.Blueprint, error) {
	if remove {
		return nil, fmt.Errorf("a lab host cannot be removed, only killed or stopped: %w", targets.ErrUnsupported)
	}
	if t.Ref().Driver != DriverName {
		return nil, fmt.Errorf("%s is not a lab host: %w", t.Ref(), targets.ErrUnsupported)
	}
	return json.Marshal(map[string]string{"host": t.Name()})
}

func restore(ctx context.Context, ref targets.Ref) (targets.Ref, error) {
	c, host, err := locate(ref)
	if err != nil {
		return targets.Ref{}, err
	}
	r, err := c.call(ctx, request{Op: opStart, Host: host})
	if err != nil {
		return targets.Ref{}, err
	}
	return c.ref(r.Hosts[0]), nil
}

// locate splits a reference into the lab's control and the host's name.
func locate(ref targets.Ref) (*client, string, error) {
	if ref.Driver != DriverName {
		return nil, "", fmt.Errorf("%s is not a lab host: %w", ref, targets.ErrUnsupported)
	}
	i := strings.LastIndexByte(ref.ID, '#')
	if i < 0 || !filepath.IsAbs(ref.ID[:i]) {
		return nil, "", fmt.Errorf("%s is declared but was not started: %w", ref, targets.ErrGone)
	}
	return &client{dir: ref.ID[:i]}, ref.ID[i+1:], nil
}

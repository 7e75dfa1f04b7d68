package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"

	"github.com/squall-chaos/squall/targets"
)

// Trial is implemented by the driver for those who want to try faults on a
// container that is nobody's.
type Trial interface {
	// Trial makes an image of a few hundred bytes, from nothing that would have
	// to be pulled, and returns a function that starts one more container of it
	// that only waits. End removes them all, and the image. Nothing is left when
	// there is an error.
	Trial(ctx context.Context) (another func(context.Context) (targets.Target, error), end func() error, err error)
}

// trialLabel marks the containers of trials, with the trial they belong to.
const trialLabel = "squall.trial"

// Trial implements Trial.
func (d *driver) Trial(ctx context.Context) (func(context.Context) (targets.Target, error), func() error, error) {
	e, err := d.connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	if runtime.GOARCH != "amd64" {
		return nil, nil, fmt.Errorf("docker: the engine answers, but there is no program to try faults on for %s", runtime.GOARCH)
	}
	id := fmt.Sprintf("%d-%d", os.Getpid(), time.Now().UnixNano())
	tag := trialLabel + ":" + id
	rc, err := e.ImageImport(ctx, image.ImportSource{Source: waiterTar(), SourceName: "-"}, tag, image.ImportOptions{})
	if err != nil {
		return nil, nil, e.fail(ctx, "import an image", err)
	}
	_, err = io.Copy(io.Discard, rc)
	if err = errors.Join(err, rc.Close()); err != nil {
		return nil, nil, e.fail(ctx, "import an image", err)
	}

	another := func(ctx context.Context) (targets.Target, error) {
		c, err := e.ContainerCreate(ctx, &container.Config{Image: tag, Cmd: []string{"/wait"}, Labels: map[string]string{trialLabel: id}},
			&container.HostConfig{NetworkMode: "none"}, nil, nil, "")
		if err != nil {
			return nil, e.fail(ctx, "create a container", err)
		}

		if err := e.ContainerStart(ctx, c.ID, container.StartOptions{}); err != nil {
			return nil, e.fail(ctx, "start a container", err)
		}
		return d.Open(ctx, targets.Ref{Driver: name, ID: c.ID})
	}
	return another, func() error { return endTrial(e, id, tag) }, nil
}

// endTrial removes all containers of a trial, also those that a fault has created
// again, and its image.
func endTrial(e *engine, id, tag string) error {
	ctx := context.Background()
	list, err := e.ContainerList(ctx, container.ListOptions{All: true})
	for _, c := range list {
		if c.Labels[trialLabel] == id {
			rerr := e.ContainerRemove(ctx, c.ID, container.RemoveOptions{Force: true})
			if !errdefs.IsNotFound(rerr) {
				err = errors.Join(err, rerr)
			}
		}
	}
	_, rerr := e.ImageRemove(ctx, tag, image.RemoveOptions{Force: true})
	if errdefs.IsNotFound(rerr) {
		return err
	}
	return errors.Join(err, rerr)
}

// abandoned are the containers of trials whose process is gone.
func (d *driver) abandoned(ctx context.Context) (*engine, []container.Summary, error) {
	e, err := d.connect(ctx)
	if err != nil || !e.endpoint.local() {
		return nil, nil, err
	}
	list, err := e.ContainerList(ctx, container.ListOptions{All: true})
	list = slices.DeleteFunc(list, func(c container.Summary) bool {
		pid, _, ours := strings.Cut(c.Labels[trialLabel], "-")
		_, err := os.Stat("/proc/" + pid)
		return !ours || err == nil
	})
	return e, list, err
}

// Marks implements targets.Sweeper: containers of trials whose process is gone.
func (d *driver) Marks(ctx context.Context) []string {
	_, list, _ := d.abandoned(ctx)
	return marks(list)
}

func marks(list []container.Summary) []string {
	var all []string
	for _, c := range list {
		all = append(all, "container "+short(c.ID)+" of a trial that was killed")
	}
	return all
}

// Sweep implements targets.Sweeper.
func (d *driver) Sweep(ctx context.Context) ([]string, error) {
	e, list, err := d.abandoned(ctx)
	if e == nil {
		return nil, nil // no engine, no marks
	}
	for _, c := range list {
		err = errors.Join(err, endTrial(e, c.Labels[trialLabel], trialLabel+":"+c.Labels[trialLabel]))
	}
	return marks(list), err
}

// waiterTar is a file system with one program.
func waiterTar() io.Reader {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	program := waiter()
	// Writing to memory does not fail.
	_ = w.WriteHeader(&tar.Header{Name: "wait", Mode: 0o755, Size: int64(len(program))})
	_, _ = w.Write(program)
	_ = w.Close()
	return &b
}

// waiter is a static ELF program for Linux on x86-64 that calls pause(2) for ever.
// The layout is that of elf(5).
func waiter() []byte {
	code := []byte{
		0xb8, 34, 0, 0, 0, // mov eax, pause
		0x0f, 0x05, // syscall
		0xeb, 0xf7, // jmp to the first
	}
	const at, header, segment = 0x400000, 64, 56
	size := uint64(header + segment + len(code))
	var b bytes.Buffer
	b.Write([]byte{0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	for _, field := range []any{
		uint16(2), uint16(62), uint32(1), // executable, x86-64, version
		uint64(at + header + segment), uint64(header), uint64(0), // entry, program headers, no sections
		uint32(0), uint16(header), uint16(segment), uint16(1), uint16(0), uint16(0), uint16(0),
		uint32(1), uint32(5), uint64(0), uint64(at), uint64(at), size, size, uint64(0x1000), // load all, read and execute
	} {
		_ = binary.Write(&b, binary.LittleEndian, field)
	}
	b.Write(code)
	return b.Bytes()
}

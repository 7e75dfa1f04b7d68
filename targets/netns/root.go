package netns

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/squall-chaos/squall/targets"
)

// largest is how much of a target's file is read.
const largest = 1 << 20

// root is the root directory of a target. What is read through it is resolved
// inside of it, whatever links the target has laid out (openat2(2)).
type root struct{ dir *os.File }

func openRoot(path string) (root, error) {
	if path == "" {
		path = "/"
	}
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return root{}, fmt.Errorf("open %s: %w", path, targets.ErrGone)
	}
	if err != nil {
		return root{}, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return root{os.NewFile(uintptr(fd), path)}, nil
}

func (r root) Close() error { return r.dir.Close() }

// read returns the text of a regular file; empty for a file that does not exist.
func (r root) read(name string) (string, error) {
	full := r.dir.Name() + "/" + name
	// Opened by path only first: opening what may be a device could do something.
	fd, err := unix.Openat2(int(r.dir.Fd()), name, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return "", nil
	}
	if err != nil {
		return "", &fs.PathError{Op: "open", Path: full, Err: err}
	}
	found := os.NewFile(uintptr(fd), full)
	defer found.Close()
	info, err := found.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a regular file", full)
	}
	f, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		return "", &fs.PathError{Op: "open", Path: full, Err: err}
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, largest))
	return string(text), err
}

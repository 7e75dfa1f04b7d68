package process

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// stream is one of a process's three standard streams. The zero value is
// /dev/null.
type stream struct {
	Path   string `json:"path,omitempty"`  // of a regular file
	Flags  int    `json:"flags,omitempty"` // as for open(2)
	Offset int64  `json:"offset,omitempty"`
	AtEnd  bool   `json:"at_end,omitempty"` // it was written up to there
}

var streamNames = [3]string{"standard input", "standard output", "standard error"}

// readStream reads what descriptor fd of a process leads to. The note says what
// of it cannot come back.
func readStream(pid, fd int) (s stream, note string, err error) {
	link := procPath(pid, "fd/"+strconv.Itoa(fd))
	to, err := os.Readlink(link)
	if errors.Is(err, fs.ErrNotExist) {
		return s, "", nil // closed; a new process had better not find a hole there
	}
	if err != nil {
		return s, "", err
	}
	info, err := os.Stat(link)
	if err != nil {
		return s, "", err
	}
	switch {
	case to == os.DevNull:
		return s, "", nil
	case !info.Mode().IsRegular():
		return s, fmt.Sprintf("its %s was %s and will be /dev/null", streamNames[fd], to), nil
	case strings.HasSuffix(to, deleted):
		return s, fmt.Sprintf("its %s was a deleted file and will be /dev/null", streamNames[fd]), nil
	}
	s.Path = to
	if err := s.readInfo(procPath(pid, "fdinfo/"+strconv.Itoa(fd))); err != nil {
		return s, "", err
	}
	s.AtEnd = s.Offset == info.Size()
	return s, "", nil
}

// readInfo reads proc_pid_fdinfo(5).
func (s *stream) readInfo(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch key {
		case "pos":
			s.Offset, err = strconv.ParseInt(value, 10, 64)
		case "flags":
			var flags int64
			flags, err = strconv.ParseInt(value, 8, 64)
			s.Flags = int(flags) &^ (unix.O_CREAT | unix.O_EXCL | unix.O_TRUNC | unix.O_CLOEXEC | unix.O_NOFOLLOW)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// openStreams opens the three streams. Those of one file and one way of writing
// share a descriptor, as 2>&1 has it, else they would overwrite each other.
func openStreams(streams [3]stream, uid, gid int) ([]*os.File, error) {
	files := make([]*os.File, 0, 3)
	for i, s := range streams {
		shared := -1
		for j := range i {
			if s.Path != "" && streams[j].Path == s.Path && streams[j].Flags == s.Flags {
				shared = j
			}
		}
		if shared >= 0 {
			files = append(files, files[shared])
			continue
		}
		f, err := s.open(uid, gid)
		if err != nil {
			closeAll(files)
			return nil, fmt.Errorf("%s: %w", streamNames[i], err)
		}
		files = append(files, f)
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close() // more than once for a shared one, which does no harm
	}
}

func (s stream) open(uid, gid int) (*os.File, error) {
	if s.Path == "" {
		return os.OpenFile(os.DevNull, os.O_RDWR, 0)
	}
	f, err := os.OpenFile(s.Path, s.Flags, 0)
	if errors.Is(err, fs.ErrNotExist) && s.Flags&unix.O_ACCMODE != unix.O_RDONLY { // a log that was moved away
		if f, err = os.OpenFile(s.Path, s.Flags|os.O_CREATE, 0o640); err == nil && os.Geteuid() == 0 {
			err = f.Chown(uid, gid)
		}
	}
	if err != nil {
		return nil, err
	}
	whence, offset := io.SeekStart, s.Offset
	if s.AtEnd {
		whence, offset = io.SeekEnd, 0
	}
	if _, err := f.Seek(offset, whence); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

package experiments

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxFile is the largest experiment file; maxDocuments how many documents one
// may hold.
const (
	maxFile      = 1 << 20
	maxDocuments = 1000
)

// source is the text of one file.
type source struct {
	name  string
	text  []byte
	lines []string // split when first needed
}

// line is the text of line n, counted from 1.
func (s *source) line(n int) string {
	if s.lines == nil {
		s.lines = strings.Split(string(s.text), "\n")
	}
	if n < 1 || n > len(s.lines) {
		return ""
	}
	return strings.TrimRight(s.lines[n-1], "\r")
}

// problem is a Problem at a place in the file.
func (s *source) problem(line, col int, offending, message string) Problem {
	return Problem{File: s.name, Line: line, Column: col, Offending: offending, Message: message, source: s.line(line)}
}

// read reads a file and refuses what cannot be an experiment file.
func read(name string) (*source, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, Problem{File: name, Message: plainly(err)}
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.Mode()&(os.ModeDevice|os.ModeSocket) != 0 {
		return nil, Problem{File: name, Message: "this is no file but a device"}
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, Problem{File: name, Message: plainly(err)}
	}
	s := &source{name: name, text: text}
	return s, s.check()
}

// plainly is what the system said, without the operation and the path that the
// problem names already.
func plainly(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "there is no such file or folder"
	}
	return err.Error()
}

// check refuses text that is too long, binary or empty.
func (s *source) check() error {
	if len(s.text) > maxFile {
		return Problem{File: s.name, Message: fmt.Sprintf("larger than %d KiB: this is no experiment file", maxFile>>10)}
	}
	s.text = bytes.TrimPrefix(s.text, []byte("\ufeff"))
	for i, r := 0, rune(0); i < len(s.text); {
		size := 1
		if r = rune(s.text[i]); r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(s.text[i:])
		}
		if (r == utf8.RuneError && size == 1) || (r < ' ' && r != '\n' && r != '\r' && r != '\t') || r == 0x7f {
			line, col := position(s.text, i)
			return Problem{
				File: s.name, Line: line, Column: col, Offending: fmt.Sprintf("%#02x", s.text[i]),
				Message: fmt.Sprintf("byte %#02x is no text: this is no experiment file, or not in UTF-8", s.text[i]),
			}
		}
		i += size
	}
	if len(bytes.TrimSpace(s.text)) == 0 {
		return Problem{File: s.name, Message: "the file is empty: an experiment needs at least title, targets, probes, hypothesis and method"}
	}
	return nil
}

// position is the line and column, in characters, of an offset.
func position(text []byte, offset int) (line, col int) {
	before := text[:min(offset, len(text))]
	line = 1 + bytes.Count(before, []byte("\n"))
	return line, 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
}

// json reports whether the file is to be read as JSON.
func (s *source) json() bool { return strings.EqualFold(filepath.Ext(s.name), ".json") }

// expand returns the files that paths name: files as they are, and for folders
// all experiment files below, sorted; Compose files are none. A file named twice is
// taken once.
func expand(paths []string) ([]string, Problems) {
	var (
		files    []string
		problems Problems
	)
	for _, p := range paths {
		found, err := below(p)
		if err != nil {
			problems = append(problems, Problem{File: p, Message: plainly(err), Suggestion: neighbour(p, err)})
		}
		for _, f := range found {
			if !slices.Contains(files, f) {
				files = append(files, f)
			}
		}
	}
	return files, problems
}

// composeFile reports whether a file is one of Docker Compose by its name, as the
// systems have them that experiments stand beside.
func composeFile(name string) bool {
	for _, pattern := range []string{"compose.y*ml", "compose.*.y*ml", "docker-compose.y*ml", "docker-compose.*.y*ml"} {
		if ok, _ := filepath.Match(pattern, strings.ToLower(name)); ok {
			return true
		}
	}
	return false
}

// neighbour is what was probably meant by a path that does not exist.
func neighbour(path string, err error) string {
	if !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	entries, _ := os.ReadDir(filepath.Dir(path))
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	near := nearest(filepath.Base(path), names)
	if near == "" {
		return ""
	}
	return filepath.Join(filepath.Dir(path), near)
}

func below(path string) ([]string, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.IsDir() {
		return []string{filepath.Clean(path)}, nil
	}
	var files []string
	err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != path && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case composeFile(d.Name()):
			return nil
		case d.Type().IsRegular() && slices.Contains([]string{".yaml", ".yml", ".json"}, strings.ToLower(filepath.Ext(p))):
			files = append(files, p)
		}
		return nil
	})
	if err == nil && len(files) == 0 {
		err = errors.New("no *.yaml, *.yml or *.json file in this folder")
	}
	slices.Sort(files)
	return files, err
}

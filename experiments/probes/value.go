package probes

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/pb33f/jsonpath/pkg/jsonpath"
)

// reader reads a number out of an answer.
type reader struct {
	whole bool
	path  *jsonpath.JSONPath
	re    *regexp.Regexp
	from  string // as the file wrote it
}

// wholeOutput is the word for all of an answer.
const wholeOutput = "output"

// newReader understands a "value:": the word output for all of the text, a
// JSONPath, or a regular expression whose first group holds the number. nil if
// there is none.
func newReader(from string) (*reader, error) {
	switch {
	case from == "" || unresolved(from):
		return nil, nil
	case from == wholeOutput:
		return &reader{whole: true, from: from}, nil
	case strings.HasPrefix(from, "$"):
		q, err := query(from)
		if err != nil {
			return nil, fmt.Errorf("value: %w", err)
		}
		return &reader{path: q, from: from}, nil
	}
	re, err := compile(from)
	if err != nil {
		return nil, fmt.Errorf("value: %w", err)
	}
	if re.NumSubexp() < 1 {
		return nil, fmt.Errorf("value: %q needs a group around the number: write for example \"lag=([0-9.]+)\", $.lag or output", from)
	}
	return &reader{re: re, from: from}, nil
}

// read returns the number in text. What is not a number is an error, never 0.
func (r *reader) read(text []byte) (float64, error) {
	v, err := r.find(text)
	if err != nil {
		return 0, fmt.Errorf("value %s: %w", quote(r.from), err)
	}
	f, err := asNumber(v)
	if err != nil {
		return 0, fmt.Errorf("value %s: %w", quote(r.from), err)
	}
	return f, nil
}

func (r *reader) find(text []byte) (any, error) {
	switch {
	case r.whole:
		return string(text), nil
	case r.re != nil:
		m := r.re.FindSubmatch(text)
		if m == nil {
			return nil, errors.New("not found")
		}
		return string(m[1]), nil
	}
	d, err := parseJSON(text)
	if err != nil {
		return nil, err
	}
	switch found := d.find(r.path); len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, errors.New("not found")
	default:
		return nil, errors.New("found more than once")
	}
}

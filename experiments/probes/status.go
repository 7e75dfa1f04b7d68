package probes

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/invopop/jsonschema"
)

// Statuses are HTTP status codes: 200, "2xx" or "200-299", one or a list.
type Statuses []string

// UnmarshalText reads one of them.
func (s *Statuses) UnmarshalText(b []byte) error {
	*s = Statuses{strings.TrimSpace(string(b))}
	return s.validate()
}

// UnmarshalYAML reads one or a list of them.
func (s *Statuses) UnmarshalYAML(unmarshal func(any) error) error {
	if one, err := scalar(unmarshal); err == nil {
		return s.UnmarshalText([]byte(one))
	}
	var many []any
	if err := unmarshal(&many); err != nil || len(many) == 0 {
		return errors.New("write a status such as 200, 2xx or 200-299, or a list of them")
	}
	*s = nil
	for _, v := range many {
		*s = append(*s, strings.TrimSpace(fmt.Sprint(v)))
	}
	return s.validate()
}

// JSONSchema describes the written form.
func (Statuses) JSONSchema() *jsonschema.Schema {
	one := &jsonschema.Schema{OneOf: []*jsonschema.Schema{
		{Type: "integer", Minimum: "100", Maximum: "599"},
		{Type: "string", Pattern: `^[1-5][0-9][0-9](-[1-5][0-9][0-9])?$|^[1-5]xx$|\$\{`},
	}}
	return &jsonschema.Schema{
		AnyOf:       []*jsonschema.Schema{one, {Type: "array", Items: one, MinItems: new(uint64(1))}},
		Description: "a status such as 200, 2xx or 200-299, or a list of them",
	}
}

func (s Statuses) validate() error {
	for _, p := range s {
		if _, _, ok := span(p); !ok && !unresolved(p) {
			return fmt.Errorf("%q is not a status: write for example 200, 2xx or 200-299", p)
		}
	}
	return nil
}

// String is the statuses as a person would say them.
func (s Statuses) String() string { return strings.Join(s, " or ") }

func (s Statuses) match(code int) bool {
	for _, p := range s {
		if lo, hi, ok := span(p); ok && lo <= code && code <= hi {
			return true
		}
	}
	return false
}

// span is the first and last code that p means.
func span(p string) (lo, hi int, ok bool) {
	if class, found := strings.CutSuffix(p, "xx"); found {
		n, err := strconv.Atoi(class)
		return n * 100, n*100 + 99, err == nil && 1 <= n && n <= 5
	}
	first, last, ranged := strings.Cut(p, "-")
	if !ranged {
		last = first
	}
	lo, err1 := strconv.Atoi(first)
	hi, err2 := strconv.Atoi(last)
	return lo, hi, err1 == nil && err2 == nil && 100 <= lo && lo <= hi && hi <= 599
}

package lab

import (
	"fmt"
	"path"
	"strings"

	"github.com/invopop/jsonschema"
)

// Selector names hosts by a glob over their names: "api-*" matches api-1 and
// api-2, "gateway" only itself. The syntax is that of path.Match.
type Selector string

// UnmarshalText takes the pattern as it is written.
func (s *Selector) UnmarshalText(b []byte) error {
	*s = Selector(strings.TrimSpace(string(b)))
	return nil
}

// MarshalText writes the pattern.
func (s Selector) MarshalText() ([]byte, error) { return []byte(s), nil }

// Validate refuses an empty and a malformed pattern.
func (s *Selector) Validate() error {
	if *s == "" {
		return fmt.Errorf("lab: name a host or a pattern of host names, such as \"api-*\"")
	}
	if _, err := path.Match(string(*s), "x"); err != nil {
		return fmt.Errorf("lab: %q is not a pattern: %w; write for example \"api-*\"", string(*s), err)
	}
	return nil
}

// String is the selector as a person would say it.
func (s *Selector) String() string { return "lab host " + string(*s) }

func (s *Selector) matches(name string) bool {
	ok, err := path.Match(string(*s), name)
	return err == nil && ok
}

// JSONSchema describes the written form.
func (Selector) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{
		Type: "string", Description: "a host of the lab, or a pattern of host names",
		Examples: []any{"gateway", "api-*"},
	}
}

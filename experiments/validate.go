package experiments

import (
	"slices"
	"strings"
)

// validate asks v, which was decoded from n, what is wrong with it by itself. An
// error that begins with the name of a key points at that key.
func (d *decoder) validate(n *node, v interface{ Validate() error }, name string) {
	for _, err := range each(v.Validate()) {
		d.fail(place(n, err.Error()), "%s", prefixed(name, err.Error()))
	}
}

// validatePart is validate for v of which not all could be decoded: it says only
// what is wrong with a value that stands in the file, because the rest may follow
// from what is noted already.
func (d *decoder) validatePart(n *node, v interface{ Validate() error }, name string) {
	noted := func(at *node) bool {
		return slices.ContainsFunc(*d.problems, func(p Problem) bool {
			return p.File == d.source.name && p.Line == at.line && p.Column == at.col
		})
	}
	for _, err := range each(v.Validate()) {
		if at := place(n, err.Error()); at != n && at.kind == scalar && !noted(at) {
			d.fail(at, "%s", prefixed(name, err.Error()))
		}
	}
}

// each takes joined errors apart.
func each(err error) []error {
	switch e := err.(type) {
	case nil:
		return nil
	case interface{ Unwrap() []error }:
		var out []error
		for _, one := range e.Unwrap() {
			out = append(out, each(one)...)
		}
		return out
	}
	return []error{err}
}

// place follows the keys with which a message begins: "hosts: api: run is
// missing", "hosts.api.run: …" or "signal is missing".
func place(n *node, message string) *node {
	for {
		rest := message
		if i := strings.IndexAny(message, ".:[ "); i > 0 {
			message, rest = message[:i], message[i+1:]
		}
		c := n.child(message)
		if c == nil {
			return n
		}
		n, message = c, strings.TrimLeft(rest, " ")
	}
}

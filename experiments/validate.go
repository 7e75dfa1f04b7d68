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

// validatePart is validate for v of which not all could be decoded: it leaves out
// what may follow from a mistake that is noted already, in the part of the file
// that the error is about.
func (d *decoder) validatePart(n *node, v interface{ Validate() error }, name string) {
	for _, err := range each(v.Validate()) {
		at := place(n, err.Error())
		noted := slices.ContainsFunc(*d.problems, func(p Problem) bool {
			return p.File == d.source.name && at.covers(p.Line, p.Column)
		})
		if !noted {
			d.fail(at, "%s", prefixed(name, err.Error()))
		}
	}
}

// covers reports whether n, or a part of it, stands at that place.
func (n *node) covers(line, col int) bool {
	if n.line == line && n.col == col {
		return true
	}
	for _, i := range n.items {
		if i.covers(line, col) {
			return true
		}
	}
	for _, e := range n.entries {
		if (e.key.line == line && e.key.col == col) || e.value.covers(line, col) {
			return true
		}
	}
	return false
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

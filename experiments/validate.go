package experiments

import (
	"strings"
)

// validate asks v, which was decoded from n, what is wrong with it by itself. An
// error that begins with the name of a key points at that key.
func (d *decoder) validate(n *node, v interface{ Validate() error }, name string) {
	for _, err := range each(v.Validate()) {
		message := err.Error()
		at, suggestion := place(n, message), ""
		d.suggest(at, suggestion, "%s", prefixed(name, message))
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

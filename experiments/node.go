package experiments

import (
	"errors"
	"strconv"
	"strings"
)

// nodeKind is the shape of a node.
type nodeKind int

const (
	scalar nodeKind = iota
	sequence
	mapping
)

// node is a piece of a document with its place, the same for YAML and JSON.
// Nodes below an alias are shared, so a document is a graph without cycles.
type node struct {
	kind      nodeKind
	line, col int
	text      string // of a scalar
	plain     bool   // scalar without quotes: it may be a number, true, false or null
	entries   []entry
	items     []*node
	weight    int // how many nodes it is when all aliases are written out
}

type entry struct{ key, value *node }

// maxNodes bounds a document with its aliases written out, maxDepth how deep it
// nests.
const (
	maxNodes = 100_000
	maxDepth = 100
)

var errTooMuch = errors.New("the document is too large once its aliases are written out: write less, or split it")

// weigh sets n's weight from those of its parts and refuses too much.
func (n *node) weigh() error {
	n.weight = 1
	for _, i := range n.items {
		n.weight += i.weight
	}
	for _, e := range n.entries {
		n.weight += 1 + e.value.weight
	}
	if n.weight > maxNodes {
		return errTooMuch
	}
	return nil
}

// null reports whether n is nothing: an empty value, ~ or null.
func (n *node) null() bool {
	return n.kind == scalar && n.plain && (n.text == "" || n.text == "~" || strings.EqualFold(n.text, "null"))
}

// child is the value under key, or nil.
func (n *node) child(key string) *node {
	if n == nil {
		return nil
	}
	for _, e := range n.entries {
		if e.key.text == key {
			return e.value
		}
	}
	return nil
}

// keyNode is the key itself, or nil.
func (n *node) keyNode(key string) *node {
	if n == nil {
		return nil
	}
	for _, e := range n.entries {
		if e.key.text == key {
			return e.key
		}
	}
	return nil
}

// at is the value under the first of the keys that is there, one below the
// other; n itself where there is none.
func (n *node) at(keys ...string) *node {
	for _, k := range keys {
		c := n.child(k)
		if c == nil {
			return n
		}
		n = c
	}
	return n
}

// find is the first scalar at or below n with that text, or n.
func (n *node) find(text string) *node {
	if c := n.search(text); c != nil {
		return c
	}
	return n
}

func (n *node) search(text string) *node {
	if n.kind == scalar && n.text == text {
		return n
	}
	for _, i := range n.items {
		if c := i.search(text); c != nil {
			return c
		}
	}
	for _, e := range n.entries {
		if c := e.value.search(text); c != nil {
			return c
		}
	}
	return nil
}

// refersTo reports whether any scalar at or below n has ${name} for one of the
// names.
func (n *node) refersTo(names func(string) bool) bool {
	if n.kind == scalar {
		for _, ref := range references(n.text) {
			if names(ref) {
				return true
			}
		}
	}
	for _, i := range n.items {
		if i.refersTo(names) {
			return true
		}
	}
	for _, e := range n.entries {
		if e.value.refersTo(names) {
			return true
		}
	}
	return false
}

// got says what n is, for messages.
func (n *node) got() string {
	switch {
	case n.kind == sequence:
		return "a list"
	case n.kind == mapping:
		return "a mapping of keys to values"
	case n.null():
		return "nothing"
	}
	return strconv.Quote(shorten(n.text))
}

// shorten cuts text that is too long for a message.
func shorten(s string) string {
	const most = 80
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// value is what a scalar means where nothing says what it should be, as in
// YAML's core schema: nil, bool, int64, uint64, float64 or string.
func value(text string, plain bool) any {
	if !plain {
		return text
	}
	switch text {
	case "", "~", "null", "Null", "NULL":
		return nil
	case "true", "True", "TRUE":
		return true
	case "false", "False", "FALSE":
		return false
	}
	if n, err := parseInt(text); err == nil {
		return n
	}
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		return n
	}
	if strings.ContainsAny(text[:1], "+-.0123456789") {
		if f, err := strconv.ParseFloat(text, 64); err == nil {
			return f
		}
	}
	return text
}

// parseInt reads a whole number: decimal, or 0x, 0o and 0b. A leading zero does
// not make a number octal.
func parseInt(s string) (int64, error) {
	digits := strings.TrimLeft(s, "+-")
	if len(digits) > 2 && digits[0] == '0' && strings.ContainsAny(digits[1:2], "xob") {
		return strconv.ParseInt(s, 0, 64)
	}
	return strconv.ParseInt(s, 10, 64)
}

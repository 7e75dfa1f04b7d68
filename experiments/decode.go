package experiments

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/squall-chaos/squall/experiments/units"
	"github.com/squall-chaos/squall/targets"
)

// decoder fills Go values from nodes by their yaml tags. It does not stop at a
// mistake but gathers all, each with its place. Beside the tags it understands
// encoding.TextUnmarshaler for scalars, goccy's UnmarshalYAML(func(any) error),
// and two words of the jsonschema tag: required and enum=….
type decoder struct {
	source   *source
	problems *Problems
	expander expander
	drivers  []targets.Driver
}

// custom is implemented by this package's own types that a file writes in a
// form that their fields do not show.
type custom interface {
	decode(d *decoder, n *node)
}

// unmarshaler is the interface by which other packages read several written
// forms of one value.
type unmarshaler interface {
	UnmarshalYAML(unmarshal func(any) error) error
}

// fail notes a mistake at n.
func (d *decoder) fail(n *node, format string, args ...any) {
	d.suggest(n, "", format, args...)
}

// suggest notes a mistake at n with what was probably meant.
func (d *decoder) suggest(n *node, suggestion, format string, args ...any) {
	offending := ""
	if n.kind == scalar {
		offending = n.text
	}
	switch noted := len(*d.problems); {
	case noted > maxProblems:
		return
	case noted == maxProblems:
		*d.problems = append(*d.problems, Problem{File: d.source.name, Message: "there is more wrong than this: mend some of it first"})
		return
	}
	p := d.source.problem(n.line, n.col, offending, fmt.Sprintf(format, args...))
	p.Suggestion = suggestion
	*d.problems = append(*d.problems, p)
}

// maxProblems is how many mistakes are told at once.
const maxProblems = 500

// failed reports whether run noted a mistake.
func (d *decoder) failed(run func()) bool {
	before := len(*d.problems)
	run()
	return len(*d.problems) > before
}

// decode fills v from n. name is what messages call it.
func (d *decoder) decode(n *node, v reflect.Value, name string) {
	if v.Kind() == reflect.Pointer {
		if !v.IsNil() {
			d.decode(n, v.Elem(), name)
			return
		}
		// A pointer to what could not be read stays nil; of a struct, part is known.
		into := reflect.New(v.Type().Elem())
		if !d.failed(func() { d.decode(n, into.Elem(), name) }) || into.Elem().Kind() == reflect.Struct {
			v.Set(into)
		}
		return
	}
	switch u := v.Addr().Interface().(type) {
	case custom:
		u.decode(d, n)
		return
	case unmarshaler:
		d.unmarshal(n, u, name)
		return
	case encoding.TextUnmarshaler:
		if n.kind == scalar || !shorthand(v.Type()) {
			d.unmarshalText(n, u, v.Type(), name)
			return
		}
	}
	switch v.Kind() {
	case reflect.Struct:
		d.object(n, name, []any{v.Addr().Interface()}, nil)
	case reflect.Map:
		d.dict(n, v, name)
	case reflect.Slice:
		d.list(n, v, name)
	case reflect.Interface:
		if x := d.any(n); x != nil {
			v.Set(reflect.ValueOf(x))
		}
	default:
		d.scalar(n, v, name)
	}
}

// shorthand reports whether t, which reads text, may also be written as a
// mapping.
func shorthand(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && len(fieldsOf(t)) > 0 && t != reflect.TypeFor[units.Rate]()
}

func (d *decoder) unmarshal(n *node, u unmarshaler, name string) {
	err := u.UnmarshalYAML(func(into any) error {
		var problems Problems
		quiet := *d
		quiet.problems = &problems
		quiet.decode(n, reflect.ValueOf(into), name)
		if len(problems) > 0 {
			return problems[0]
		}
		return nil
	})
	if err != nil && !d.expandable(n) {
		return // the reason is noted, and better
	}
	switch e := err.(type) {
	case nil:
	case Problem:
		*d.problems = append(*d.problems, e)
	default:
		d.fail(n, "%s", prefixed(name, err.Error()))
	}
}

// expandable reports whether all variables in n have values, and notes those
// that have none.
func (d *decoder) expandable(n *node) bool {
	ok := true
	if n.kind == scalar {
		_, ok = d.text(n)
	}
	for _, i := range n.items {
		ok = d.expandable(i) && ok
	}
	for _, e := range n.entries {
		ok = d.expandable(e.value) && ok
	}
	return ok
}

func (d *decoder) unmarshalText(n *node, u encoding.TextUnmarshaler, t reflect.Type, name string) {
	if n.kind != scalar || n.null() {
		d.mismatch(n, t, name)
		return
	}
	text, ok := d.text(n)
	if !ok {
		return
	}
	if err := u.UnmarshalText([]byte(text)); err != nil {
		d.fail(n, "%s", prefixed(name, err.Error()))
	}
}

// prefixed puts name before a message, unless it begins with it already.
func prefixed(name, message string) string {
	if name == "" || strings.HasPrefix(message, name+":") || strings.HasPrefix(message, name+" ") {
		return message
	}
	return name + ": " + message
}

func (d *decoder) mismatch(n *node, t reflect.Type, name string) {
	d.fail(n, "%s", prefixed(name, fmt.Sprintf("want %s, got %s", wanted(t), n.got())))
}

// wanted says what a file should write for a type.
func wanted(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[units.Duration]():
		return "a duration such as 20s"
	case reflect.TypeFor[units.Percent]():
		return "a percentage such as 80%"
	case reflect.TypeFor[units.Bytes]():
		return "a size such as 64MiB"
	case reflect.TypeFor[units.Rate]():
		return "a rate such as 20/s"
	case reflect.TypeFor[Pick]():
		return "all, one, a count or a percentage"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return wanted(t.Elem())
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "a mapping of keys to values"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.String:
		return "text"
	}
	return "a whole number"
}

// text is a scalar with its variables filled in.
func (d *decoder) text(n *node) (string, bool) {
	s, err := d.expander.expand(n.text)
	if err != nil {
		d.suggest(n, err.suggestion, "%s", err.message)
		return "", false
	}
	return s, true
}

func (d *decoder) scalar(n *node, v reflect.Value, name string) {
	if n.kind != scalar || n.null() {
		d.mismatch(n, v.Type(), name)
		return
	}
	text, ok := d.text(n)
	if !ok {
		return
	}
	if v.Kind() == reflect.String {
		v.SetString(text)
		return
	}
	// A quoted number is text, unless a variable had to be quoted to be written.
	if !n.plain && !strings.Contains(n.text, "${") {
		d.fail(n, "%s", prefixed(name, fmt.Sprintf("want %s, got the text %q: leave the quotes out", wanted(v.Type()), shorten(text))))
		return
	}
	if !set(v, text) {
		d.suggest(n, boolMeant(v, text), "%s", prefixed(name, fmt.Sprintf("want %s, got %q", wanted(v.Type()), shorten(text))))
	}
}

// set reads text into a bool or a number.
func set(v reflect.Value, text string) bool {
	switch v.Kind() {
	case reflect.Bool:
		b, ok := value(text, true).(bool)
		v.SetBool(b)
		return ok
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) || v.OverflowFloat(f) {
			return false
		}
		v.SetFloat(f)
		return true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		u, err := strconv.ParseUint(text, 10, 64)
		if err != nil || v.OverflowUint(u) {
			return false
		}
		v.SetUint(u)
		return true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		i, err := parseInt(text)
		if err != nil || v.OverflowInt(i) {
			return false
		}
		v.SetInt(i)
		return true
	}
	return false
}

func boolMeant(v reflect.Value, text string) string {
	if v.Kind() != reflect.Bool {
		return ""
	}
	switch strings.ToLower(text) {
	case "yes", "on", "y", "1":
		return "true"
	case "no", "off", "n", "0":
		return "false"
	}
	return nearest(text, []string{"true", "false"})
}

func (d *decoder) list(n *node, v reflect.Value, name string) {
	if n.kind != sequence {
		d.mismatch(n, v.Type(), name)
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
	for i, item := range n.items {
		d.decode(item, out.Index(i), fmt.Sprintf("%s[%d]", name, i))
	}
	v.Set(out)
}

func (d *decoder) dict(n *node, v reflect.Value, name string) {
	if n.kind != mapping {
		d.mismatch(n, v.Type(), name)
		return
	}
	d.duplicates(n)
	out := reflect.MakeMapWithSize(v.Type(), len(n.entries))
	for _, e := range n.entries {
		key := reflect.New(v.Type().Key()).Elem()
		d.decode(&node{line: e.key.line, col: e.key.col, text: e.key.text, plain: true}, key, name)
		val := reflect.New(v.Type().Elem()).Elem()
		d.decode(e.value, val, e.key.text)
		out.SetMapIndex(key, val)
	}
	v.Set(out)
}

// any is n as it stands: nil, bool, int64, uint64, float64, string, []any or
// map[string]any.
func (d *decoder) any(n *node) any {
	switch n.kind {
	case sequence:
		out := make([]any, len(n.items))
		for i, item := range n.items {
			out[i] = d.any(item)
		}
		return out
	case mapping:
		d.duplicates(n)
		out := make(map[string]any, len(n.entries))
		for _, e := range n.entries {
			out[e.key.text] = d.any(e.value)
		}
		return out
	}
	text, _ := d.text(n)
	return value(text, n.plain)
}

// duplicates notes keys that are written twice.
func (d *decoder) duplicates(n *node) {
	seen := make(map[string]*node, len(n.entries))
	for _, e := range n.entries {
		if first, ok := seen[e.key.text]; ok {
			d.fail(e.key, "%q is written twice: first on line %d", e.key.text, first.line)
			continue
		}
		seen[e.key.text] = e.key
	}
}

// object fills structs from one mapping whose keys are all their fields. Keys in
// others are handed on.
func (d *decoder) object(n *node, name string, parts []any, others map[string]func(entry)) {
	if n.kind != mapping {
		d.fail(n, "%s", prefixed(name, "want a mapping of keys to values, got "+n.got()))
		return
	}
	d.duplicates(n)
	known := map[string]reflect.Value{}
	fields := map[string]field{}
	var names []string
	for _, p := range parts {
		v := reflect.ValueOf(p).Elem()
		for _, f := range fieldsOf(v.Type()) {
			known[f.name], fields[f.name] = v.FieldByIndex(f.index), f
			names = append(names, f.name)
		}
	}
	for k := range others {
		names = append(names, k)
	}
	for _, e := range n.entries {
		if v, ok := known[e.key.text]; ok {
			d.decode(e.value, v, e.key.text)
			d.enum(e.value, v, fields[e.key.text])
		} else if other, ok := others[e.key.text]; ok {
			other(e)
		} else {
			d.unknown(e.key, name, names)
		}
	}
	d.missing(n, name, parts)
}

func (d *decoder) unknown(key *node, name string, known []string) {
	slices.Sort(known)
	near := nearest(key.text, known)
	message := fmt.Sprintf("unknown key %q", shorten(key.text))
	if name != "" {
		message += " in " + name
	}
	switch {
	case near == "" && len(known) == 0:
		message += ": it takes no keys"
	case near == "":
		message += ": known are " + strings.Join(known, ", ")
	}
	d.suggest(key, near, "%s", message)
}

func (d *decoder) missing(n *node, name string, parts []any) {
	for _, p := range parts {
		if _, ok := p.(interface{ Validate() error }); ok {
			continue // says it better, see validate
		}
		for _, f := range fieldsOf(reflect.TypeOf(p).Elem()) {
			if f.required && n.child(f.name) == nil {
				d.fail(n, "%s", prefixed(name, f.name+" is missing"))
			}
		}
	}
}

func (d *decoder) enum(n *node, v reflect.Value, f field) {
	if len(f.enum) == 0 || v.Kind() != reflect.String || v.String() == "" || slices.Contains(f.enum, v.String()) {
		return
	}
	d.suggest(n, nearest(v.String(), f.enum), "%s: %q is none of %s", f.name, shorten(v.String()), strings.Join(f.enum, ", "))
}

// field is one key of a struct.
type field struct {
	name     string
	index    []int
	required bool
	enum     []string
}

// fieldsOf lists the keys of struct type t, those of embedded structs with them.
func fieldsOf(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "-" || (!f.IsExported() && !f.Anonymous) {
			continue
		}
		if strings.Contains(options, "inline") || (f.Anonymous && name == "") {
			if f.Type.Kind() != reflect.Struct {
				continue
			}
			for _, in := range fieldsOf(f.Type) {
				in.index = append([]int{i}, in.index...)
				out = append(out, in)
			}
			continue
		}
		if name == "" {
			name = strings.ToLower(f.Name)
		}
		one := field{name: name, index: []int{i}}
		for _, word := range strings.Split(f.Tag.Get("jsonschema"), ",") {
			one.required = one.required || word == "required"
			if v, ok := strings.CutPrefix(word, "enum="); ok {
				one.enum = append(one.enum, v)
			}
		}
		out = append(out, one)
	}
	return out
}

package probes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/invopop/jsonschema"
	"github.com/pb33f/go-yaml"
	"github.com/pb33f/jsonpath/pkg/jsonpath"
	"github.com/pb33f/jsonpath/pkg/jsonpath/config"
)

// JSONMatch says what is expected at places of a JSON text: each key is a
// JSONPath (RFC 9535), and everything that it selects, at least one node, must be
// as its value says.
type JSONMatch map[string]Expected

// Expected is a JSON value, or a comparison such as ">= 3", "!= 0" or "!= gone".
// The zero value is null.
type Expected struct {
	op    string // ==, !=, <=, >=, < or >; empty is ==
	value any    // as encoding/json decodes
}

// UnmarshalYAML reads any value.
func (e *Expected) UnmarshalYAML(unmarshal func(any) error) error {
	var v any
	if err := unmarshal(&v); err != nil {
		return err
	}
	return e.set(v)
}

// JSONSchema allows any value.
func (Expected) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Description: "a value, or a comparison such as >= 3"}
}

func (e *Expected) set(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("%v is no JSON value: %w", v, err)
	}
	if err := json.Unmarshal(b, &e.value); err != nil {
		return err
	}
	e.op = ""
	s, ok := e.value.(string)
	if !ok {
		return nil
	}
	for _, op := range []string{"==", "!=", "<=", ">=", "<", ">"} {
		rest, found := strings.CutPrefix(s, op)
		if !found {
			continue
		}
		rest = strings.TrimSpace(rest)
		e.op, e.value = op, rest
		var literal any
		if json.Unmarshal([]byte(rest), &literal) == nil {
			e.value = literal
		}
		if _, number := e.value.(float64); !number && op != "==" && op != "!=" {
			return fmt.Errorf("%q compares with something that is no number: write for example \"%s 3\"", s, op)
		}
		return nil
	}
	return nil
}

// String is what is expected as a person would say it.
func (e Expected) String() string {
	b, _ := json.Marshal(e.value)
	if e.op == "==" || e.op == "" {
		return string(b)
	}
	return e.op + " " + string(b)
}

func (e Expected) met(got any) bool {
	switch e.op {
	case "", "==":
		return reflect.DeepEqual(got, e.value)
	case "!=":
		return !reflect.DeepEqual(got, e.value)
	}
	a, ok := got.(float64)
	b, _ := e.value.(float64)
	switch {
	case !ok:
		return false
	case e.op == "<=":
		return a <= b
	case e.op == ">=":
		return a >= b
	case e.op == "<":
		return a < b
	default:
		return a > b
	}
}

func (m JSONMatch) validate() error {
	var errs []error
	for _, path := range slices.Sorted(maps.Keys(m)) {
		if _, err := query(path); err != nil && !unresolved(path) {
			errs = append(errs, fmt.Errorf("expect.body.json: %w", err))
		}
	}
	return errors.Join(errs...)
}

// place is one JSONPath with what is expected there.
type place struct {
	path  string
	query *jsonpath.JSONPath
	want  Expected
}

func (m JSONMatch) ready() ([]place, error) {
	var places []place
	for _, path := range slices.Sorted(maps.Keys(m)) {
		q, err := query(path)
		if err != nil {
			return nil, err
		}
		places = append(places, place{path, q, m[path]})
	}
	return places, nil
}

// mismatch says how the document is not as expected at p; "" if it is.
func (p place) mismatch(d document) string {
	found := d.find(p.query)
	if len(found) == 0 {
		return "no " + p.path
	}
	for _, v := range found {
		if !p.want.met(v) {
			return fmt.Sprintf("%s is not %s", p.path, p.want)
		}
	}
	return ""
}

// query compiles a JSONPath. The library is asked to keep to RFC 9535 strictly,
// so that what works here works elsewhere. It knows no \u escapes in names.
func query(path string) (*jsonpath.JSONPath, error) {
	q, err := jsonpath.NewPath(path, config.WithStrictRFC9535())
	if err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		return nil, fmt.Errorf("%q is not a JSONPath (RFC 9535, such as $.items[0].name): %s", path, first)
	}
	return q, nil
}

// document is a JSON text that can be queried.
type document struct {
	root   *yaml.Node
	values map[*yaml.Node]any
}

// parseJSON reads exactly one JSON value. The library works on YAML nodes; they
// are made from what encoding/json reads, so that nothing but JSON is accepted
// and nothing is read in another way than JSON means it.
func parseJSON(b []byte) (document, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return document{}, errors.New("not JSON")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return document{}, errors.New("not one JSON value")
	}
	d := document{values: map[*yaml.Node]any{}}
	d.root, _ = d.node(v)
	return d, nil
}

// node makes a node of v and returns v with its numbers as float64.
func (d document) node(v any) (*yaml.Node, any) {
	n := &yaml.Node{Kind: yaml.ScalarNode}
	switch x := v.(type) {
	case map[string]any:
		n.Kind, n.Tag = yaml.MappingNode, "!!map"
		for _, k := range slices.Sorted(maps.Keys(x)) {
			child, value := d.node(x[k])
			x[k] = value
			n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: k}, child)
		}
	case []any:
		n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
		for i := range x {
			child, value := d.node(x[i])
			x[i] = value
			n.Content = append(n.Content, child)
		}
	case json.Number:
		f, _ := x.Float64()
		n.Tag, n.Value, v = "!!float", x.String(), f
		if !strings.ContainsAny(n.Value, ".eE") {
			n.Tag = "!!int"
		}
	case string:
		n.Tag, n.Value = "!!str", x
	case bool:
		n.Tag, n.Value = "!!bool", strconv.FormatBool(x)
	default:
		n.Tag, n.Value = "!!null", "null"
	}
	d.values[n] = v
	return n, v
}

// find returns the values that q selects, as encoding/json decodes them. Queries
// of a document must not run at the same time.
func (d document) find(q *jsonpath.JSONPath) []any {
	var values []any
	for _, n := range q.Query(d.root) {
		if v, ok := d.values[n]; ok {
			values = append(values, v)
		}
	}
	return values
}

// asNumber is v as a finite number; texts that hold one are taken too.
func asNumber(v any) (float64, error) {
	f, ok := v.(float64)
	if s, text := v.(string); text {
		var err error
		f, err = strconv.ParseFloat(strings.TrimSpace(s), 64)
		ok = err == nil
	}
	if !ok || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, errors.New("not a number")
	}
	return f, nil
}

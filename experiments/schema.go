package experiments

import (
	"bytes"
	"encoding/json"
	"maps"
	"path"
	"reflect"
	"slices"

	"github.com/invopop/jsonschema"

	"github.com/squall-chaos/squall/experiments/probes"
	"github.com/squall-chaos/squall/experiments/verifier"
	"github.com/squall-chaos/squall/injectors"
	"github.com/squall-chaos/squall/targets"
)

// Schema is the JSON Schema (2020-12) of experiment files, made from the types
// that they are decoded into: with every kind of fault and probe there is, and
// the selectors and sections of o.Drivers. The same program gives the same bytes.
func Schema(o Options) ([]byte, error) {
	b := schemaBuilder{defs: jsonschema.Definitions{}, drivers: slices.Clone(o.Drivers)}
	slices.SortFunc(b.drivers, func(a, c targets.Driver) int { return bytes.Compare([]byte(a.Name()), []byte(c.Name())) })
	root := b.object(document{})
	root.Version, root.Title = jsonschema.Version, "Squall experiment"
	for _, d := range b.drivers {
		if s, ok := d.(targets.Sectioned); ok {
			root.Properties.Set(d.Name(), described(b.of(s.Section()), "for targets of "+d.Name()+": "+d.Doc()))
		}
	}
	b.defs["target"] = b.target()
	b.defs["probe"] = b.probe()
	b.defs["hypothesis"] = b.object(hypothesisEntry{})
	b.defs["claims"] = claimsSchema()
	b.defs["bound"] = &jsonschema.Schema{
		Type: "string", Pattern: `^\s*(<|>|==)|` + reference,
		Description: "a comparison and a bound, such as >= 99%, <= 250ms, <= 2x baseline or >= 20% over 5s",
	}
	b.defs["recovery"] = &jsonschema.Schema{Type: "string", Pattern: `^\s*<|` + reference, Description: "a bound such as <= 10s"}
	b.defs["tags"] = &jsonschema.Schema{Type: "array", Items: text("")}
	b.defs["fault"] = b.fault()
	b.defs["step"] = b.step()
	root.Definitions = b.defs
	widen(root)
	b.defs["text"] = &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "string"}, {Type: "number"}, {Type: "boolean"}}}
	out, err := json.MarshalIndent(root, "", "  ")
	// The library escapes for HTML, which these texts never go into.
	for escaped, plain := range map[string]string{`\u003c`: "<", `\u003e`: ">", `\u0026`: "&"} {
		out = bytes.ReplaceAll(out, []byte(escaped), []byte(plain))
	}
	return append(out, '\n'), err
}

// schemaBuilder gathers definitions while it describes types.
type schemaBuilder struct {
	defs    jsonschema.Definitions
	drivers []targets.Driver
}

// ours are the types of this package whose fields do not show how they are
// written, with the name of their definition.
var ours = map[reflect.Type]string{
	reflect.TypeFor[targetEntry]():     "target",
	reflect.TypeFor[probeEntry]():      "probe",
	reflect.TypeFor[hypothesisEntry](): "hypothesis",
	reflect.TypeFor[claims]():          "claims",
	reflect.TypeFor[recoveryClaim]():   "recovery",
	reflect.TypeFor[tags]():            "tags",
	reflect.TypeFor[stepEntry]():       "step",
}

func refTo(name string) *jsonschema.Schema { return &jsonschema.Schema{Ref: "#/$defs/" + name} }

// reflector describes a type by its yaml tags. expanded puts a struct itself in
// place of a reference to it.
func (b *schemaBuilder) reflector(expanded bool) *jsonschema.Reflector {
	return &jsonschema.Reflector{
		Anonymous: true, FieldNameTag: "yaml", RequiredFromJSONSchemaTags: true, ExpandedStruct: expanded,
		Namer: func(t reflect.Type) string {
			if t.Name() == "" {
				return ""
			}
			return path.Base(t.PkgPath()) + "." + t.Name() // drivers call their types alike
		},
		Mapper: func(t reflect.Type) *jsonschema.Schema {
			if name, ok := ours[t]; ok && !expanded {
				return refTo(name)
			}
			if name, ok := ours[t]; ok && t != reflect.TypeFor[hypothesisEntry]() {
				return refTo(name)
			}
			if tab, ok := reflect.Zero(t).Interface().(interface{ element() reflect.Type }); ok {
				return &jsonschema.Schema{
					Type: "object", AdditionalProperties: refTo(ours[tab.element()]),
					PropertyNames: &jsonschema.Schema{Pattern: entryName.String()},
				}
			}
			if t == reflect.TypeFor[later]() {
				return &jsonschema.Schema{}
			}
			return nil
		},
	}
}

func (t table[T]) element() reflect.Type { return reflect.TypeFor[T]() }

// of describes the type of v, with the types it uses among the definitions.
func (b *schemaBuilder) of(v any) *jsonschema.Schema { return b.describe(v, false) }

// object describes the struct v in place.
func (b *schemaBuilder) object(v any) *jsonschema.Schema { return b.describe(v, true) }

func (b *schemaBuilder) describe(v any, expanded bool) *jsonschema.Schema {
	s := b.reflector(expanded).Reflect(v)
	maps.Copy(b.defs, s.Definitions)
	s.Definitions, s.Version = nil, ""
	return s
}

func text(description string) *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Description: description}
}

func described(s *jsonschema.Schema, description string) *jsonschema.Schema {
	s.Description = description
	return s
}

// target is one driver with its selector, and pick.
func (b *schemaBuilder) target() *jsonschema.Schema {
	s := b.object(struct {
		Pick *Pick `yaml:"pick,omitempty"`
	}{})
	for _, d := range b.drivers {
		s.Properties.Set(d.Name(), described(b.of(d.Selector()), d.Doc()))
		s.OneOf = append(s.OneOf, &jsonschema.Schema{Required: []string{d.Name()}})
	}
	return s
}

// probe is one kind with its settings and expectations, and what all have.
func (b *schemaBuilder) probe() *jsonschema.Schema {
	s := b.object(probeKeys{})
	for _, k := range probes.Kinds() {
		p := k.New()
		s.Properties.Set(k.Name, described(b.of(p), k.Doc))
		only := &jsonschema.Schema{Required: []string{k.Name}, Properties: jsonschema.NewProperties()}
		expect := jsonschema.FalseSchema
		if e := p.Expect(); e != nil {
			expect = b.of(e)
		}
		only.Properties.Set("expect", expect)
		if !dials(k.Name) {
			only.Properties.Set("from", jsonschema.FalseSchema)
		}
		s.OneOf = append(s.OneOf, only)
	}
	return s
}

func claimsSchema() *jsonschema.Schema {
	one := uint64(1)
	s := &jsonschema.Schema{
		Type: "object", Properties: jsonschema.NewProperties(), AdditionalProperties: jsonschema.FalseSchema, MinProperties: &one,
	}
	for _, m := range verifier.Metrics() {
		s.Properties.Set(m, &jsonschema.Schema{OneOf: []*jsonschema.Schema{refTo("bound"), {Type: "array", Items: refTo("bound"), MinItems: &one}}})
	}
	return s
}

// fault is one of the kinds of faults, each with its own parameters.
func (b *schemaBuilder) fault() *jsonschema.Schema {
	all := &jsonschema.Schema{}
	for _, k := range injectors.Kinds() {
		s := b.object(faultKeys{})
		s.Description = k.Doc
		s.Properties.Set(StepFault, &jsonschema.Schema{Const: k.Name})
		own := b.object(k.New())
		for p := own.Properties.Oldest(); p != nil; p = p.Next() {
			s.Properties.Set(p.Key, p.Value)
		}
		s.Required = append(s.Required, own.Required...)
		if !k.NoOn {
			s.Required = append(s.Required, "on")
		}
		switch k.For {
		case injectors.ForRequired:
			s.Required = append(s.Required, "for")
		case injectors.ForForbidden:
			s.Properties.Delete("for")
			s.Properties.Delete("on_restart")
		}
		all.OneOf = append(all.OneOf, s)
	}
	return all
}

func (b *schemaBuilder) step() *jsonschema.Schema {
	s := &jsonschema.Schema{OneOf: []*jsonschema.Schema{refTo("fault")}}
	for _, v := range []any{waitStep{}, checkStep{}, parallelStep{}, repeatStep{}, confirmStep{}} {
		s.OneOf = append(s.OneOf, b.object(v))
	}
	return s
}

// reference matches text that a variable stands in.
const reference = `\$\{`

// widen lets a schema take what the decoder takes beside the plain types: text
// with a variable for everything, and a number or true and false for text.
func widen(s *jsonschema.Schema) {
	if s == nil || s == jsonschema.FalseSchema || s == jsonschema.TrueSchema {
		return
	}
	if s.Properties != nil {
		for p := s.Properties.Oldest(); p != nil; p = p.Next() {
			p.Value = wider(p.Value)
			widen(p.Value)
		}
	}
	s.Items, s.AdditionalProperties = wider(s.Items), wider(s.AdditionalProperties)
	widen(s.Items)
	widen(s.AdditionalProperties)
	for _, one := range slices.Concat(s.OneOf, s.AnyOf) {
		widen(one)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Definitions)) {
		widen(s.Definitions[name])
	}
}

func wider(s *jsonschema.Schema) *jsonschema.Schema {
	switch {
	case s == nil || s.Const != nil:
	case s.Type == "string" && s.Pattern == "" && s.Enum == nil:
		return &jsonschema.Schema{Ref: "#/$defs/text", Description: s.Description, Examples: s.Examples}
	case s.Type == "integer" || s.Type == "number" || s.Type == "boolean" || (s.Type == "string" && s.Enum != nil):
		return &jsonschema.Schema{
			Description: s.Description,
			AnyOf:       []*jsonschema.Schema{s, {Type: "string", Pattern: reference}},
		}
	}
	return s
}

package probes

import (
	"errors"

	"github.com/invopop/jsonschema"
)

// HeaderMatch is what is expected of a header's value, written as the exact
// value or as a mapping. Values of a header that is there more than once are
// joined by ", ".
type HeaderMatch TextMatch

// UnmarshalYAML reads the exact value or a mapping.
func (h *HeaderMatch) UnmarshalYAML(unmarshal func(any) error) error {
	if exact, err := scalar(unmarshal); err == nil {
		*h = HeaderMatch{Equals: &exact}
		return nil
	}
	var fields map[string]Texts
	if err := unmarshal(&fields); err != nil {
		return errors.New("write the exact value, or {contains: …}, {not_contains: …} or {matches: …}")
	}
	return h.set(fields)
}

// set takes the fields one by one, so that an unknown one is an error however
// strict the decoder is.
func (h *HeaderMatch) set(fields map[string]Texts) error {
	for name, texts := range fields {
		switch {
		case name == "contains":
			h.Contains = texts
		case name == "not_contains":
			h.NotContains = texts
		case name == "matches" && len(texts) == 1:
			h.Matches = texts[0]
		case name == "equals" && len(texts) == 1:
			h.Equals = &texts[0]
		default:
			return errors.New("unknown key " + quote(name) + ": use contains, not_contains, matches or equals")
		}
	}
	return nil
}

// JSONSchema describes both forms.
func (HeaderMatch) JSONSchema() *jsonschema.Schema {
	texts := Texts{}.JSONSchema()
	text := &jsonschema.Schema{Type: "string"}
	fields := jsonschema.NewProperties()
	fields.Set("contains", texts)
	fields.Set("not_contains", texts)
	fields.Set("matches", text)
	fields.Set("equals", text)
	return &jsonschema.Schema{
		OneOf: []*jsonschema.Schema{
			{Type: "string"},
			{Type: "number"},
			{Type: "object", Properties: fields, AdditionalProperties: jsonschema.FalseSchema},
		},
		Description: "the exact value, or what it contains or matches",
	}
}

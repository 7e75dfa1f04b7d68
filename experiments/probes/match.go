package probes

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/invopop/jsonschema"

	"github.com/squall-chaos/squall/experiments/units"
)

// Texts is one text or several, all of which are meant.
type Texts []string

// UnmarshalYAML reads one text or a list of them.
func (t *Texts) UnmarshalYAML(unmarshal func(any) error) error {
	var one string
	if err := unmarshal(&one); err == nil {
		*t = Texts{one}
		return nil
	}
	var many []string
	if err := unmarshal(&many); err != nil {
		return errors.New("write one text or a list of texts")
	}
	*t = many
	return nil
}

// JSONSchema describes the written form.
func (Texts) JSONSchema() *jsonschema.Schema {
	text := &jsonschema.Schema{Type: "string"}
	return &jsonschema.Schema{
		OneOf:       []*jsonschema.Schema{text, {Type: "array", Items: text}},
		Description: "one text or a list of texts",
	}
}

// TextMatch is what is expected of a text. All that is set must be met.
type TextMatch struct {
	Contains    Texts   `yaml:"contains,omitempty"`     // every one of these
	NotContains Texts   `yaml:"not_contains,omitempty"` // none of these
	Matches     string  `yaml:"matches,omitempty"`      // somewhere in it; an RE2 regular expression
	Equals      *string `yaml:"equals,omitempty"`       // exactly this, but for white space around it
}

func (m TextMatch) validate(what string) error {
	if _, err := compile(m.Matches); err != nil {
		return fmt.Errorf("expect.%s.matches: %w", what, err)
	}
	return nil
}

// textMatcher is a TextMatch made ready.
type textMatcher struct {
	TextMatch
	re *regexp.Regexp
}

func (m TextMatch) ready() (textMatcher, error) {
	re, err := compile(m.Matches)
	return textMatcher{TextMatch: m, re: re}, err
}

// mismatch says how text is not as expected; "" if it is. what names the text.
func (m textMatcher) mismatch(what, text string) string {
	for _, s := range m.Contains {
		if !strings.Contains(text, s) {
			return fmt.Sprintf("%s does not contain %s", what, quote(s))
		}
	}
	for _, s := range m.NotContains {
		if strings.Contains(text, s) {
			return fmt.Sprintf("%s contains %s", what, quote(s))
		}
	}
	if m.re != nil && !m.re.MatchString(text) {
		return fmt.Sprintf("%s does not match %s", what, quote(m.Matches))
	}
	if m.Equals != nil && strings.TrimSpace(text) != strings.TrimSpace(*m.Equals) {
		return fmt.Sprintf("%s is not %s", what, quote(*m.Equals))
	}
	return ""
}

// quote is s in quotes, short enough to be part of a Detail.
func quote(s string) string {
	const most = 40
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strconv.Quote(s)
}

// unresolved reports whether a reference to a variable or secret stands in s,
// whose value is not known yet.
func unresolved(s string) bool { return strings.Contains(s, "${") }

// compile compiles an RE2 expression; the empty one, and one that is not yet
// known, is nil.
func compile(expr string) (*regexp.Regexp, error) {
	if expr == "" || unresolved(expr) {
		return nil, nil
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, fmt.Errorf("%q is not a regular expression (RE2 syntax): %w", expr, err)
	}
	return re, nil
}

// MaxDuration is an upper bound of a time, written as "<= 200ms" or "200ms". The
// zero value bounds nothing.
type MaxDuration time.Duration

// UnmarshalText reads a duration with or without "<=" before it.
func (m *MaxDuration) UnmarshalText(b []byte) error {
	s := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(string(b)), "<="))
	var d units.Duration
	if err := d.UnmarshalText([]byte(s)); err != nil {
		return err
	}
	if d == 0 {
		return errors.New(`nothing takes no time: write for example "<= 200ms"`)
	}
	*m = MaxDuration(d)
	return nil
}

// MarshalText writes m with its comparison.
func (m MaxDuration) MarshalText() ([]byte, error) {
	return []byte("<= " + units.Duration(m).String()), nil
}

// JSONSchema describes the written form.
func (MaxDuration) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{
		Type: "string", Pattern: `^(<=)?\s*([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h|d))+$|\$\{`,
		Description: "the longest that is allowed, such as <= 200ms", Examples: []any{"<= 200ms"},
	}
}

// exceeded says that d is too long; "" if it is not.
func (m MaxDuration) exceeded(d time.Duration) string {
	if m == 0 || d <= time.Duration(m) {
		return ""
	}
	return "slower than " + units.Duration(m).String()
}

// MaxCount is an upper bound of a count, written as "<= 2" or 2.
type MaxCount int

// UnmarshalText reads a count with or without "<=" before it.
func (m *MaxCount) UnmarshalText(b []byte) error {
	s := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(string(b)), "<="))
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return fmt.Errorf("%q is not a most: write for example \"<= 2\"", string(b))
	}
	*m = MaxCount(n)
	return nil
}

// UnmarshalYAML reads a count with or without "<=" before it.
func (m *MaxCount) UnmarshalYAML(unmarshal func(any) error) error {
	s, err := scalar(unmarshal)
	if err != nil {
		return errors.New(`write the most that is allowed, for example "<= 2"`)
	}
	return m.UnmarshalText([]byte(s))
}

// MarshalText writes m with its comparison.
func (m MaxCount) MarshalText() ([]byte, error) { return []byte("<= " + strconv.Itoa(int(m))), nil }

// JSONSchema describes the written form.
func (MaxCount) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{
		OneOf:       []*jsonschema.Schema{{Type: "integer", Minimum: "0"}, {Type: "string", Pattern: `^(<=)?\s*[0-9]+$|\$\{`}},
		Description: "the most that is allowed, such as <= 2",
	}
}

// scalar reads a number or a text as text.
func scalar(unmarshal func(any) error) (string, error) {
	var v any
	if err := unmarshal(&v); err != nil {
		return "", err
	}
	switch v := v.(type) {
	case string:
		return v, nil
	case int, int64, uint64, float64:
		return fmt.Sprint(v), nil
	default:
		return "", errors.New("write a number or a text")
	}
}

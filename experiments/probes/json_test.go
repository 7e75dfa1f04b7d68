package probes

import (
	"reflect"
	"testing"
)

// TestJSONPathIsRFC9535 pins what we promise of the library: what the RFC
// defines, and nothing that it does not.
func TestJSONPathIsRFC9535(t *testing.T) {
	const text = `{"o":{"j":1,"k":2},"a":[5,3,{"j":4},{"k":6}],"s":["ab","xab"],"t":["1",1,true,"true",null],"é":"x","quoted.name":7}`
	d, err := parseJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path string
		want []any // members of objects in the order of their names
	}{
		{`$.o.j`, []any{1.0}},
		{`$['o']["k"]`, []any{2.0}},
		{`$['quoted.name']`, []any{7.0}},
		{`$.é`, []any{"x"}},
		{`$.o.*`, []any{1.0, 2.0}},
		{`$.a[-1].k`, []any{6.0}},
		{`$.a[0,1]`, []any{5.0, 3.0}},
		{`$.a[0:2]`, []any{5.0, 3.0}},
		{`$.a[1::-1]`, []any{3.0, 5.0}},
		{`$..j`, []any{4.0, 1.0}},
		{`$.a[?@.j]`, []any{map[string]any{"j": 4.0}}},
		{`$.a[?@.k > 5].k`, []any{6.0}},
		{`$.a[?@ == $.a[1]]`, []any{3.0}},
		{`$.a[?@.j == 4 || @.k == 6].*`, []any{4.0, 6.0}},
		{`$.s[?match(@, 'ab')]`, []any{"ab"}},
		{`$.s[?search(@, 'ab')]`, []any{"ab", "xab"}},
		{`$.s[?length(@) == 3]`, []any{"xab"}},
		{`$[?count(@.*) == 2].j`, []any{1.0}},
		{`$.t[?@ == 1]`, []any{1.0}},
		{`$.t[?@ == '1']`, []any{"1"}},
		{`$.t[?@ == true]`, []any{true}},
		{`$.t[?@ == null]`, []any{nil}},
		{`$.gone`, nil},
		{`$.a.j`, nil},
	} {
		q, err := query(c.path)
		if err != nil {
			t.Errorf("%s: %v", c.path, err)
			continue
		}
		if got := d.find(q); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.path, got, c.want)
		}
	}
	for _, path := range []string{"", "o", "$.", "$o", "$..", "$[01]", "$.o~", "$.o^", "$[?@.a === 1]", "$[(@.length-1)]", "$[?@.*==1]", "$[?length(@)]", "$.o ", "$['o]"} {
		if q, err := query(path); err == nil {
			t.Errorf("%q is taken for %s", path, q)
		}
	}
}

func TestParseJSONTakesJSONOnly(t *testing.T) {
	for _, text := range []string{"", "a: 1", "{a: 1}", `{"a":1} {"b":2}`, "[1,]", "NaN", "'a'", "yes", "&a [*a]"} {
		if _, err := parseJSON([]byte(text)); err == nil {
			t.Errorf("%q is taken for JSON", text)
		}
	}
}

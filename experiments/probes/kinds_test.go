package probes

import (
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

func TestKindsAreSortedAndSelfContained(t *testing.T) {
	var names []string
	for _, k := range Kinds() {
		names = append(names, k.Name)
		if k.Doc == "" || k.New() == k.New() {
			t.Errorf("%s: no doc, or one probe for all", k.Name)
		}
	}
	if want := []string{"exec", "http", "state", "tcp"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct{ kind, fields, expect, want string }{
		{"http", "url: http://x", "", ""},
		{"http", "{url: '${base}/x', headers: {Authorization: 'Bearer ${token}'}}", "body: {matches: '(${x}'}", ""},
		{"http", "{}", "", "url: it is missing"},
		{"http", "url: localhost:80", "", "not an http or https address"},
		{"http", "url: ftp://x", "", "not an http or https address"},
		{"http", "{url: http://x, method: get}", "", "not a method"},
		{"http", "{url: http://x, timeout: 0s}", "", "timeout"},
		{"http", "{url: http://x, redirects: -1}", "", "redirects"},
		{"http", "{url: http://x, tls: {insecure: true}}", "", "not https"},
		{"http", "{url: https://x, tls: {cert: a}}", "", "cert and key"},
		{"http", "{url: https://x, tls: {insecure: true, ca: a}}", "", "no effect"},
		{"http", "url: http://x", "body: {matches: '('}", "expect.body.matches"},
		{"http", "url: http://x", "headers: {a: {matches: '('}}", "expect.headers.a.matches"},
		{"http", "url: http://x", "body: {json: {status: ok}}", "not a JSONPath"},
		{"http", "url: http://x", "body: {json: {'$.a~': ok}}", "not a JSONPath"}, // not in the RFC
		{"http", "{url: http://x, value: 'a=b'}", "", "needs a group"},
		{"http", "{url: http://x, value: '$['}", "", "not a JSONPath"},
		{"tcp", "address: x:1", "", ""},
		{"tcp", "address: '[::1]:1'", "", ""},
		{"tcp", "address: '${redis}'", "", ""},
		{"tcp", "{}", "", "not a host and a port"},
		{"tcp", "address: x", "", "not a host and a port"},
		{"tcp", "address: ':80'", "", "not a host and a port"},
		{"tcp", "address: x:1", "matches: '('", "expect.matches"},
		{"exec", "command: [x]", "", ""},
		{"exec", "{}", "", "command"},
		{"exec", "command: ['']", "", "command"},
		{"exec", "{command: [x], env: {'A=B': c}}", "", "env"},
		{"exec", "command: [x]", "exit: 256", "expect.exit"},
		{"exec", "command: [x]", "output: {matches: '('}", "expect.output.matches"},
		{"exec", "{command: [x], value: number}", "", "needs a group"},
		{"state", "of: x", "", ""},
		{"state", "{}", "", "of: it is missing"},
		{"state", "of: x", "status: sleeping", "expect.status"},
		{"state", "of: x", "count: 0", "expect.count"},
	} {
		err := decode(t, c.kind, c.fields, c.expect).Validate()
		if c.want == "" && err != nil {
			t.Errorf("%s %s: %v", c.kind, c.fields, err)
		} else if c.want != "" {
			wantError(t, err, c.want)
		}
	}
}

func TestExpectationsThatCannotBe(t *testing.T) {
	for _, c := range []struct{ kind, expect, want string }{
		{"http", "status: fine", "not a status"},
		{"http", "status: 99", "not a status"},
		{"http", "status: 6xx", "not a status"},
		{"http", "status: 300-200", "not a status"},
		{"http", "status: {a: 1}", "write a status"},
		{"http", "latency: 200", "no unit"},
		{"http", "latency: 0s", "no time"},
		{"http", "headers: {a: {contain: b}}", "unknown key"},
		{"http", "headers: {a: [b]}", "exact value"},
		{"http", "body: {json: {$.a: '>= b'}}", "no number"},
		{"state", "restarts: few", "not a most"},
		{"state", "restarts: -1", "not a most"},
	} {
		k, _ := KindOf(c.kind)
		err := yaml.UnmarshalWithOptions([]byte(c.expect), k.New().Expect(), yaml.Strict())
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.expect, err, c.want)
		}
	}
}

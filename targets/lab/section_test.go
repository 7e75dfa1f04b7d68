package lab

import (
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/squall-chaos/squall/targets"
)

const sample = `
build: [go, build, -o, "${lab}/shop", ./shop]
hosts:
  gateway: {run: ["${lab}/shop", gateway], ready: {tcp: ":8080", timeout: 3s}, stop_signal: INT}
  api: {replicas: 3, run: ["${lab}/shop", api], env: {PORT: "7000"}, ready: {http: ":7000/health"}, restart: on-failure}
  plain: {run: [x], restart: no, dir: sub}
`

func TestSectionDecodes(t *testing.T) {
	s := New().Section().(*Section)
	if err := yaml.UnmarshalWithOptions([]byte(sample), s, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	must(t, s.Validate())
	if want := (Commands{{"go", "build", "-o", "${lab}/shop", "./shop"}}); !reflect.DeepEqual(s.Build, want) {
		t.Errorf("build: %v", s.Build)
	}
	d, err := New().Declare(s)
	must(t, err)
	all := Selector("*")
	found, err := d.Find(t.Context(), &all)
	must(t, err)
	var names []string
	for _, f := range found {
		names = append(names, f.Name())
		if ref := f.Ref(); ref != (targets.Ref{Driver: "lab", ID: f.Name()}) {
			t.Errorf("declared reference %+v", ref)
		}
		if _, err := f.Site(t.Context()); !isGone(err) {
			t.Errorf("a declared host has a site: %v", err)
		}
	}
	if got := strings.Join(names, " "); got != "api-1 api-2 api-3 gateway plain" {
		t.Errorf("hosts %s", got)
	}
	if _, err := d.Open(t.Context(), found[0].Ref()); !isGone(err) {
		t.Errorf("Open before Start: %v", err)
	}
}

func TestBuildDecodesSeveralCommands(t *testing.T) {
	var s Section
	must(t, yaml.Unmarshal([]byte("build: [[a, b], [c]]"), &s))
	if want := (Commands{{"a", "b"}, {"c"}}); !reflect.DeepEqual(s.Build, want) {
		t.Errorf("build: %v", s.Build)
	}
	if err := yaml.Unmarshal([]byte("build: go build"), &s); err == nil || !strings.Contains(err.Error(), "list of words") {
		t.Errorf("a build that is no list: %v", err)
	}
}

func TestSelectorDecodesFromAScalar(t *testing.T) {
	var v struct{ Lab Selector }
	must(t, yaml.Unmarshal([]byte(`lab: "api-*"`), &v))
	must(t, v.Lab.Validate())
	for name, want := range map[string]bool{"api-1": true, "api-12": true, "api": false, "gateway": false} {
		if v.Lab.matches(name) != want {
			t.Errorf("%s matches %s: %v", v.Lab, name, !want)
		}
	}
	for _, bad := range []Selector{"", "[", "a[b"} {
		if bad.Validate() == nil {
			t.Errorf("%q is taken for a pattern", bad)
		}
	}
}

func TestSectionRefuses(t *testing.T) {
	run := []string{"x"}
	host := func(h Host) map[string]Host { h.Run = run; return map[string]Host{"a": h} }
	named := func(n string) map[string]Host { return map[string]Host{n: {Run: run}} }
	for name, c := range map[string]struct {
		s    Section
		want string
	}{
		"no hosts":           {Section{}, "hosts: a lab needs at least one host"},
		"empty command":      {Section{Hosts: map[string]Host{"a": {}}}, "hosts.a: run: there is no command"},
		"zero byte":          {Section{Hosts: map[string]Host{"a": {Run: []string{"x", "a\x00b"}}}}, "zero byte"},
		"empty build":        {Section{Build: Commands{{}}, Hosts: named("a")}, "build: command 1: there is no command"},
		"upper case":         {Section{Hosts: named("Web")}, "lower-case"},
		"path":               {Section{Hosts: named("../etc/passwd")}, "cannot be a host's name"},
		"dot":                {Section{Hosts: named(".")}, "cannot be a host's name"},
		"fragment":           {Section{Hosts: named("a#b")}, "cannot be a host's name"},
		"newline":            {Section{Hosts: named("a\n10.0.0.1 b")}, "cannot be a host's name"},
		"number":             {Section{Hosts: named("127")}, "cannot be a host's name"},
		"empty":              {Section{Hosts: named("")}, "cannot be a host's name"},
		"long":               {Section{Hosts: named(strings.Repeat("a", 59))}, "longer than 58"},
		"localhost":          {Section{Hosts: named("localhost")}, "choose another"},
		"no replicas":        {Section{Hosts: host(Host{Replicas: replicas(0)})}, "replicas is 0"},
		"too many replicas":  {Section{Hosts: host(Host{Replicas: replicas(1e9)})}, "replicas is 1000000000"},
		"too many hosts":     {Section{Hosts: map[string]Host{"a": {Run: run, Replicas: replicas(600)}, "b": {Run: run, Replicas: replicas(600)}}}, "1200 hosts"},
		"same name":          {Section{Hosts: map[string]Host{"a": {Run: run, Replicas: replicas(2)}, "a-2": {Run: run}}}, "a and a-2 both make a host called a-2"},
		"policy":             {Section{Hosts: host(Host{Restart: "sometimes"})}, `"sometimes" is not a policy`},
		"signal":             {Section{Hosts: host(Host{StopSignal: "NONE"})}, `"NONE" is not a signal`},
		"environment":        {Section{Hosts: host(Host{Env: map[string]string{"A=B": "c"}})}, "cannot be an environment variable"},
		"directory":          {Section{Hosts: host(Host{Dir: "a\x00"})}, "cannot be a path"},
		"ready for nothing":  {Section{Hosts: host(Host{Ready: &Ready{}})}, "0 conditions are given"},
		"ready for two":      {Section{Hosts: host(Host{Ready: &Ready{TCP: ":1", Log: "x"}})}, "2 conditions are given"},
		"ready elsewhere":    {Section{Hosts: host(Host{Ready: &Ready{TCP: "b:80"}})}, `ready: tcp: "b:80" has no port`},
		"ready without port": {Section{Hosts: host(Host{Ready: &Ready{HTTP: "/health"}})}, `write for example ":8080/health"`},
		"port out of range":  {Section{Hosts: host(Host{Ready: &Ready{TCP: ":70000"}})}, "has no port"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.s.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if _, err := New().Declare(&c.s); err == nil {
				t.Error("Declare takes it")
			}
		})
	}
}

func TestPolicyNamesTheSetting(t *testing.T) {
	const (
		clone    = "/proc/sys/kernel/unprivileged_userns_clone"
		most     = "/proc/sys/user/max_user_namespaces"
		apparmor = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
		profile  = "/proc/self/attr/current"
	)
	for _, c := range []struct {
		root     bool
		settings map[string]string
		want     string
	}{
		{false, map[string]string{most: "0"}, "sysctl -w user.max_user_namespaces="},
		{false, map[string]string{clone: "0"}, "sysctl -w kernel.unprivileged_userns_clone=1"},
		{false, map[string]string{apparmor: "1", profile: "unconfined"}, "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"},
		{false, map[string]string{apparmor: "1", profile: "squall (unconfined)"}, ""},
		{false, map[string]string{clone: "1", most: "100", apparmor: "0"}, ""},
		{false, nil, ""},
		{true, map[string]string{clone: "0", most: "0"}, ""},
	} {
		err := policy(c.root, func(p string) string { return c.settings[p] })
		if (c.want == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), c.want)) {
			t.Errorf("root %v, %v: %v, want %q", c.root, c.settings, err, c.want)
		}
	}
}

package experiments

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/squall-chaos/squall/experiments/secrets"
)

// variable is the declaration of a variable. A file may write its default alone.
type variable struct {
	Default *string `yaml:"default,omitempty" jsonschema_description:"value when nothing else gives one"`
	Env     string  `yaml:"env,omitempty" jsonschema_description:"name of an environment variable that gives the value"`
}

func (v *variable) UnmarshalYAML(unmarshal func(any) error) error {
	var alone string
	if unmarshal(&alone) == nil {
		v.Default = &alone
		return nil
	}
	type long variable
	return unmarshal((*long)(v))
}

// JSONSchema describes both written forms.
func (variable) JSONSchema() *jsonschema.Schema {
	long := jsonschema.NewProperties()
	long.Set("default", text("value when nothing else gives one"))
	long.Set("env", text("environment variable that gives the value"))
	return &jsonschema.Schema{
		Description: "a default, or where the value comes from: --var, --var-file, env, default, in this order",
		AnyOf: []*jsonschema.Schema{
			{Type: "object", Properties: long, AdditionalProperties: jsonschema.FalseSchema},
			{Type: "string"},
			{Type: "number"},
			{Type: "boolean"},
		},
	}
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// references lists the names in ${name}.
func references(s string) []string {
	var names []string
	_, _ = secrets.Replace(s, func(name string) (string, error) {
		names = append(names, name)
		return "", nil
	})
	return names
}

// expander fills ${name} in. The zero value knows no names.
type expander struct {
	variables map[string]string
	secrets   map[string]secrets.Ref
	values    map[string]string // of secrets, when they are to be filled in
	builtin   []string          // names that stay as they are
	hidden    bool              // secrets may be named here
	again     bool              // what comes out will be expanded once more
	why       map[string]string // names that have no value, and why not
}

type expandError struct {
	message, suggestion string
	follows             bool // from a mistake that is noted already
}

func (e *expandError) Error() string { return e.message }

func (x expander) expand(s string) (string, *expandError) {
	if !strings.Contains(s, "${") {
		return s, nil
	}
	if x.again {
		s = strings.ReplaceAll(s, "$${", "$$${")
	}
	var failed *expandError
	out, err := secrets.Replace(s, func(name string) (string, error) {
		v, err := x.value(name)
		if err != nil {
			failed = err
			return "", err
		}
		return v, nil
	})
	if failed != nil {
		return "", failed
	}
	if err != nil {
		return "", &expandError{message: err.Error()}
	}
	return out, nil
}

func (x expander) value(name string) (string, *expandError) {
	if v, ok := x.variables[name]; ok {
		if x.again {
			v = strings.ReplaceAll(v, "${", "$${")
		}
		return v, nil
	}
	if why, ok := x.why[name]; ok {
		return "", &expandError{message: why, follows: true}
	}
	if v, ok := x.values[name]; ok {
		return v, nil
	}
	written := "${" + shorten(name) + "}"
	if _, ok := x.secrets[name]; ok {
		if x.hidden {
			return "${" + name + "}", nil
		}
		return "", &expandError{message: fmt.Sprintf("the secret %s cannot be used here, where it would be shown: only in probes, in faults and in a driver's own section", written)}
	}
	if slices.Contains(x.builtin, name) {
		return "${" + name + "}", nil
	}
	known := slices.Concat(slices.Sorted(maps.Keys(x.variables)), slices.Sorted(maps.Keys(x.secrets)), slices.Sorted(maps.Keys(x.why)), x.builtin)
	e := &expandError{message: fmt.Sprintf("%s is not declared under variables or secrets; for a literal ${ write $${", written)}
	if near := nearest(name, known); near != "" {
		e.suggestion = "${" + near + "}"
	}
	return "", e
}

// declarations is the part of a document that says what names stand for.
type declarations struct {
	Variables map[string]variable    `yaml:"variables,omitempty" jsonschema_description:"used elsewhere as ${name}"`
	Secrets   map[string]secrets.Ref `yaml:"secrets,omitempty" jsonschema_description:"used elsewhere as ${name}; never shown"`
}

// declared are the declarations of one document with the values they get.
type declared struct {
	declarations
	values map[string]string // of variables
	why    map[string]string // variables without a value
}

// given is what the command line says about variables.
type given struct {
	vars   map[string]string // --var
	files  []map[string]string
	getenv func(string) (string, bool)
}

// declare reads the declarations of a document and finds the values of its
// variables.
func (d *decoder) declare(root *node, g given) declared {
	only := &node{kind: mapping, line: root.line, col: root.col}
	for _, e := range root.entries {
		if e.key.text == "variables" || e.key.text == "secrets" {
			only.entries = append(only.entries, e)
		}
	}
	out := declared{values: map[string]string{}, why: map[string]string{}}
	literal := *d
	literal.expander = expander{again: true, builtin: nil}
	// Defaults may refer to other variables; they are expanded when all are known.
	literal.expander.secrets, literal.expander.hidden = anything(only), true
	literal.decode(only, reflect.ValueOf(&out.declarations).Elem(), "")
	d.checkNames(only, out.declarations)
	for _, name := range slices.Sorted(maps.Keys(out.Variables)) {
		d.resolve(only, &out, g, name, nil)
	}
	d.locate(only, &out)
	return out
}

// locate fills variables in where secrets are said to be, and makes paths of
// files independent of the folder that a process stands in.
func (d *decoder) locate(n *node, out *declared) {
	x := expander{variables: out.values, why: out.why}
	for _, name := range slices.Sorted(maps.Keys(out.Secrets)) {
		ref := out.Secrets[name]
		for _, s := range []*string{&ref.Env, &ref.File} {
			// What declare left to be expanded has its escapes left, too.
			expanded, err := x.expand(*s)
			if err != nil {
				d.suggest(n.at("secrets", name).find(*s), err.suggestion, "%s", err.message)
				continue
			}
			*s = expanded
		}
		if ref.File != "" && !filepath.IsAbs(ref.File) {
			ref.File = filepath.Join(filepath.Dir(d.source.name), ref.File)
			if abs, err := filepath.Abs(ref.File); err == nil {
				ref.File = abs
			}
		}
		out.Secrets[name] = ref
	}
}

// anything declares every name that is referred to, so that it stays.
func anything(n *node) map[string]secrets.Ref {
	all := map[string]secrets.Ref{}
	n.refersTo(func(name string) bool {
		all[name] = secrets.Ref{}
		return false
	})
	return all
}

func (d *decoder) checkNames(n *node, decl declarations) {
	for _, section := range []string{"variables", "secrets"} {
		for _, e := range n.at(section).entries {
			if n.child(section) == nil {
				break
			}
			switch {
			case !variableName.MatchString(e.key.text):
				d.fail(e.key, "%q is not a name: use letters, digits, _ and -, beginning with a letter", e.key.text)
			case e.key.text == "lab":
				d.fail(e.key, "the name lab is taken: ${lab} is the lab's own directory")
			case section == "secrets":
				if _, both := decl.Variables[e.key.text]; both {
					d.fail(e.key, "%q is a variable and a secret: give one of them another name", e.key.text)
				}
				if ref, ok := decl.Secrets[e.key.text]; ok && e.value.kind == mapping {
					d.validate(e.value, ref, "")
				}
			}
		}
	}
}

// resolve finds the value of one variable. under are the variables whose
// defaults led here.
func (d *decoder) resolve(n *node, out *declared, g given, name string, under []string) {
	if _, ok := out.values[name]; ok || out.why[name] != "" {
		return
	}
	v := out.Variables[name]
	if value, ok := g.value(name, v); ok {
		out.values[name] = value
		return
	}
	at := n.at("variables", name)
	if v.Default == nil {
		out.why[name] = fmt.Sprintf("the variable %s has no value", name)
		how := "--var " + name + "=…"
		if v.Env != "" {
			how += ", or set the environment variable " + v.Env
		}
		d.fail(at, "the variable %s has no value and no default: give it with %s", name, how)
		return
	}
	if slices.Contains(under, name) {
		out.why[name] = fmt.Sprintf("the variable %s refers to itself", name)
		d.fail(at, "the default of %s refers to itself: %s", name, strings.Join(append(under, name), " → "))
		return
	}
	for _, ref := range references(*v.Default) {
		if _, ok := out.Variables[ref]; ok {
			d.resolve(n, out, g, ref, append(under, name))
		}
	}
	x := expander{variables: out.values, secrets: out.Secrets, why: out.why}
	value, err := x.expand(*v.Default)
	if err != nil {
		if out.why[name] == "" {
			out.why[name] = fmt.Sprintf("the variable %s has no value", name)
			if !err.follows {
				d.suggest(at, err.suggestion, "%s", err.message)
			}
		}
		return
	}
	out.values[name] = value
}

// value is what the command line, a file or the environment gives.
func (g given) value(name string, v variable) (string, bool) {
	if value, ok := g.vars[name]; ok {
		return value, true
	}
	for _, f := range g.files {
		if value, ok := f[name]; ok {
			return value, true
		}
	}
	if v.Env != "" {
		return g.getenv(v.Env)
	}
	return "", false
}

// readGiven reads the files of variables. A later file comes before an earlier
// one.
func readGiven(o Options) (given, Problems) {
	g := given{vars: o.Vars, getenv: o.Getenv}
	if g.getenv == nil {
		g.getenv = os.LookupEnv
	}
	var problems Problems
	for _, name := range slices.Backward(o.VarFiles) {
		values, ps := readVarFile(name)
		problems = append(problems, ps...)
		g.files = append(g.files, values)
	}
	return g, problems
}

// readVarFile reads a mapping of names to values in YAML or JSON, or lines
// NAME=VALUE.
func readVarFile(name string) (map[string]string, Problems) {
	s, err := read(name)
	if err != nil {
		return nil, problemsOf(err)
	}
	if lines, ok := assignments(s); ok {
		return lines, nil
	}
	docs, err := parse(s)
	if err != nil {
		return nil, problemsOf(err)
	}
	var problems Problems
	d := &decoder{source: s, problems: &problems, expander: expander{}}
	values := map[string]string{}
	for _, n := range docs {
		d.expander = expander{secrets: anything(n), hidden: true}
		d.decode(n, reflect.ValueOf(&values).Elem(), "")
	}
	return values, problems
}

var assignment = regexp.MustCompile(`^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_-]*)=(.*)$`)

// assignments reads NAME=VALUE lines; ok is false when the file is something
// else. Empty lines and those that begin with # are left out.
func assignments(s *source) (values map[string]string, ok bool) {
	switch strings.ToLower(filepath.Ext(s.name)) {
	case ".yaml", ".yml", ".json":
		return nil, false
	}
	values = map[string]string{}
	for _, line := range strings.Split(string(s.text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		m := assignment.FindStringSubmatch(line)
		if m == nil {
			return nil, false
		}
		values[m[1]] = unquote(m[2])
	}
	return values, true
}

// unquote takes a pair of quotes off.
func unquote(s string) string {
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}

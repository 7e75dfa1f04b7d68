package experiments_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/squall-chaos/squall/experiments"
	"github.com/squall-chaos/squall/experiments/probes"
	"github.com/squall-chaos/squall/injectors"
	"github.com/squall-chaos/squall/targets"
	"github.com/squall-chaos/squall/targets/docker"
	"github.com/squall-chaos/squall/targets/lab"
	"github.com/squall-chaos/squall/targets/process"
)

// schema compiles the schema for drivers.
func schema(t testing.TB, drivers ...targets.Driver) *jsonschema.Schema {
	t.Helper()
	text, err := experiments.Schema(experiments.Options{Drivers: drivers})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("experiment.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("experiment.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// documents reads a file as a tool with a schema would.
func documents(t testing.TB, file string) ([]any, error) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var docs []any
	d := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var v any
		if err := d.Decode(&v); err == io.EOF {
			return docs, nil
		} else if err != nil {
			return nil, err
		}
		if v == nil {
			continue
		}
		asJSON, err := yaml.MarshalWithOptions(v, yaml.JSON())
		if err != nil {
			return nil, err
		}
		plain, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
		if err != nil {
			return nil, err
		}
		docs = append(docs, plain)
	}
}

func TestTheSchemaTakesWhatIsRight(t *testing.T) {
	s := schema(t, options().Drivers...)
	files, _ := filepath.Glob("testdata/good/*.*")
	for _, f := range append(files, planned) {
		load(t, options(), f)
		docs, err := documents(t, f)
		if err != nil || len(docs) == 0 {
			t.Fatal(f, err)
		}
		for _, d := range docs {
			if err := s.Validate(d); err != nil {
				t.Errorf("%s: %v", f, err)
			}
		}
	}
}

// Every example is valid, for the program and for editors alike.
func TestTheSchemaTakesTheExamples(t *testing.T) {
	drivers := []targets.Driver{docker.New(docker.Options{}), lab.New(), process.New()}
	s := schema(t, drivers...)
	files, _ := filepath.Glob("../examples/*/*.yaml")
	files = slices.DeleteFunc(files, func(f string) bool { return filepath.Base(f) == "compose.yaml" })
	if len(files) == 0 {
		t.Fatal("no examples")
	}
	for _, f := range files {
		load(t, experiments.Options{Drivers: drivers}, f)
		docs, err := documents(t, f)
		if err != nil {
			t.Fatal(f, err)
		}
		for _, d := range docs {
			if err := s.Validate(d); err != nil {
				t.Errorf("%s: %v", f, err)
			}
		}
	}
}

// What is wrong by itself, without looking at names elsewhere in the file, an
// editor refuses too.
func TestTheSchemaRefusesWhatIsWrong(t *testing.T) {
	s := schema(t, options().Drivers...)
	for _, name := range []string{
		"keys", "missing", "types", "units", "bool", "targets", "probes", "hypothesis", "no_method", "guards", "faults", "steps", "variables", "secrets", "sections", "list", "scalar",
	} {
		docs, err := documents(t, "testdata/bad/"+name+".yaml")
		if err != nil {
			continue // a key is written twice, which no tool gets past
		}
		for _, d := range docs {
			if s.Validate(d) == nil {
				t.Errorf("%s: the schema takes it", name)
			}
		}
	}
}

func TestTheSchemaIsStrictEverywhere(t *testing.T) {
	s := schema(t, options().Drivers...)
	right := minimal("t", "lab: {hosts: {h: {run: [x]}}}\ntiming: {baseline: 9s}\nlimits: {targets: 1}\nguards: {p: {success: \">= 1%\"}}\n")
	for _, c := range []struct{ old, with string }{
		{"", ""},
		{"title: t", "title: t\nother: 1"},
		{"{name: a}", "{name: a, other: 1}"},
		{"{box: {name: a}}", "{box: {name: a}, other: 1}"},
		{"{box: {name: a}}", "{box: {name: a}, lab: h}"},
		{"{box: {name: a}}", "{pick: 1}"},
		{"{address: ", "{other: 1, address: "},
		{"{tcp: ", "{other: 1, tcp: "},
		{"{tcp: ", "{http: {url: \"http://x/\"}, tcp: "},
		{"{tcp: ", "{expect: {status: 200}, tcp: "},
		{`{tcp: {address: "127.0.0.1:80"}}`, `{exec: {command: [x]}, from: a, rate: 10/s}`},
		{"{steady: ", "{other: {}, steady: "},
		{"steady: {success: ", "steady: {other: \">= 1\", success: "},
		{"\">= 90%\"", "90"},
		{"{run: [x]}", "{run: [x], other: 1}"},
		{"{baseline: 9s}", "{baseline: 9}"},
		{"{baseline: 9s}", "{base: 9s}"},
		{"{targets: 1}", "{targets: one}"},
		{"{fault: kill, on: a}", "{fault: kill, on: a, other: 1}"},
		{"{fault: kill, on: a}", "{fault: kill}"},
		{"{fault: kill, on: a}", "{fault: klil, on: a}"},
		{"{fault: kill, on: a}", "{fault: pause, on: a}"},
		{"{fault: kill, on: a}", "{fault: signal, on: a, signal: HUP, for: 1s}"},
		{"{fault: kill, on: a}", "{fault: kill, on: a, on_restart: never, for: 1s}"},
		{"{fault: kill, on: a}", "{wait: 1s, check: {}}"},
		{"{fault: kill, on: a}", "{repeat: {times: 0, steps: [{wait: 1s}]}}"},
	} {
		text := strings.Replace(right, c.old, c.with, 1)
		file := filepath.Join(write(t, map[string]string{"e.yaml": text}), "e.yaml")
		docs, err := documents(t, file)
		if err != nil || len(docs) != 1 {
			t.Fatal(err)
		}
		valid := s.Validate(docs[0]) == nil
		_, err = experiments.Load([]string{file}, options())
		if want := c.old == ""; valid != want || (err == nil) != want {
			t.Errorf("%q for %q: schema %v, loader %v", c.with, c.old, valid, err)
		}
	}
}

func TestTheSchemaKnowsAllKinds(t *testing.T) {
	drivers := []targets.Driver{process.New(), docker.New(docker.Options{}), lab.New()}
	text, err := experiments.Schema(experiments.Options{Drivers: drivers})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		slices.Reverse(drivers)
		again, err := experiments.Schema(experiments.Options{Drivers: drivers})
		if err != nil || !bytes.Equal(text, again) {
			t.Fatalf("another schema the next time: %v", err)
		}
	}
	var words []string
	for _, k := range injectors.Kinds() {
		words = append(words, `"const": "`+k.Name+`"`)
	}
	for _, k := range probes.Kinds() {
		words = append(words, `"`+k.Name+`": {`)
	}
	for _, d := range drivers {
		words = append(words, `"`+d.Name()+`": {`)
	}
	for _, w := range append(words, "draft/2020-12", ">= 99%") {
		if !strings.Contains(string(text), w) {
			t.Errorf("%s is not in the schema", w)
		}
	}
}

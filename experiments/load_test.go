package experiments_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/squall-chaos/squall/experiments"
	"github.com/squall-chaos/squall/experiments/probes"
	"github.com/squall-chaos/squall/experiments/secrets"
	"github.com/squall-chaos/squall/experiments/units"
	"github.com/squall-chaos/squall/injectors"
	"github.com/squall-chaos/squall/targets/lab"
)

const everything = "testdata/good/everything.yaml"

func TestEverythingInAFileIsRead(t *testing.T) {
	e := load(t, options(), everything)[0]
	text, err := os.ReadFile(everything)
	if err != nil {
		t.Fatal(err)
	}
	if e.File != everything || e.Dir() != "testdata/good" || e.Document != 0 || string(e.Source) != string(text) {
		t.Errorf("file %q, document %d", e.File, e.Document)
	}
	if e.Title != "The shop keeps selling while a cache node is slow, then gone" || !strings.HasSuffix(e.Description, "not notice.\n") {
		t.Errorf("title %q, description %q", e.Title, e.Description)
	}
	wantVars := map[string]string{"base": "http://127.0.0.1:8080", "port": "8080", "hold": "15s", "url": "http://127.0.0.1:8080/checkout", "rounds": "2"}
	if d := cmp.Diff(wantVars, e.Variables); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string]secrets.Ref{"token": {Env: "SQUALL_TEST_TOKEN"}}, e.Secrets); d != "" {
		t.Error(d)
	}
	if !slices.Equal(e.Tags, []string{"cache", "failover", "3"}) || *e.Seed != 7 {
		t.Errorf("tags %q, seed %d", e.Tags, *e.Seed)
	}
	var got []string
	for _, g := range e.Targets {
		got = append(got, fmt.Sprintf("%s: %s %s, pick %s %v", g.Name, g.Driver, g.Selector, g.Pick, g.HasPick))
	}
	want := []string{
		"cache: box box cache-*, pick 1 true", "web: box box web, pick all true", "half: box box *, pick 50% true",
		"api: lab lab host api-*, pick 1 true", "gateway: lab lab host gateway, pick  false",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if e.Timing.Baseline.D() != 11*time.Second || e.Limits.Duration.D() != 5*time.Minute || e.Limits.Targets != 3 {
		t.Errorf("timing %+v, limits %+v", e.Timing, e.Limits)
	}
}

func TestClaimsAreRead(t *testing.T) {
	e := load(t, options(), everything)[0]
	var got []string
	for _, h := range e.Hypothesis {
		for _, c := range h.Steady {
			got = append(got, h.Probe+" steady "+c.String())
		}
		for _, c := range h.During {
			got = append(got, h.Probe+" during "+c.String())
		}
		if h.HasRecovery {
			got = append(got, h.Probe+" recovery "+h.Recovery.Wanted())
		}
	}
	for _, g := range e.Guards {
		got = append(got, g.Probe+" guard "+g.Claim.String())
	}
	want := []string{
		"checkout steady success >= 99.9%", "checkout steady p99 <= 250ms",
		"checkout during success >= 95%", "checkout during success >= 50% over 5s", "checkout during outage <= 3s", "checkout during p99 <= 2x baseline",
		"checkout recovery <= 10s", "lives steady success >= 50%",
		"checkout guard success >= 20% over 5s", "checkout guard failures <= 1000 over 5s",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestStepsAreReadWithTheirIDs(t *testing.T) {
	e := load(t, options(), everything)[0]
	var got []string
	var walk func(steps []experiments.Step)
	walk = func(steps []experiments.Step) {
		for _, s := range steps {
			got = append(got, fmt.Sprintf("%s: %s", s.ID, s))
			walk(s.Parallel)
			if s.Repeat != nil {
				walk(s.Repeat.Steps)
			}
		}
	}
	walk(e.Method)
	want := []string{
		"1: pause on cache for 15s", "2: wait 5s", "3: check checkout success >= 99%", "4: ask: Is the pager quiet?",
		"5: in parallel", "5.1: the cache dies: kill on cache for 15s", "5.2: pause on web for 10s", "5.3: wait 1s",
		"6: repeat 2 times, every 20s", "6.1: signal HUP on web", "6.2: in parallel", "6.2.1: stop grace 10s on cache for 4s", "6.2.2: wait 2s",
		"7: exec echo ${token} $${x} for 1s",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if f := e.Method[0].Fault; f.OnRestart != experiments.OnRestartReapply || e.Method[0].Line == 0 {
		t.Errorf("on_restart %q, line %d", f.OnRestart, e.Method[0].Line)
	}
	if f := e.Method[4].Parallel[0].Fault; f.OnRestart != experiments.OnRestartFail {
		t.Errorf("on_restart is %q by default", f.OnRestart)
	}
}

func TestDefaults(t *testing.T) {
	e := load(t, options(), "testdata/good/blind.yaml")[0]
	// 10/s give 90 good readings for 99% in 12 s at the latest.
	if e.Timing.Baseline.D() != 12*time.Second || e.Timing.Recovery.D() != 30*time.Second || e.Limits.Duration.D() != time.Hour || e.Limits.Targets != 0 {
		t.Errorf("timing %+v, limits %+v", e.Timing, e.Limits)
	}
	if e.Probes[0].Rate != (units.Rate{N: 10, Per: time.Second}) || e.Seed != nil {
		t.Errorf("rate %s, seed %v", e.Probes[0].Rate, e.Seed)
	}
	for _, p := range load(t, options(), everything)[0].Probes {
		if slow := p.Kind == "state" || p.Kind == "exec"; slow && p.Name != "lives" && p.Rate.PerSecond() != 1 {
			t.Errorf("%s: %s", p.Name, p.Rate)
		}
	}
}

func TestSecretsAreFilledInOnlyInAnInstance(t *testing.T) {
	e := load(t, options(), everything)[0]
	p, _ := e.Probe("checkout")
	header := func(x probes.Probe) string { return x.(*probes.HTTP).Headers["Authorization"] }
	if got := header(p.Probe); got != "Bearer ${token}" {
		t.Errorf("the file's probe has %q", got)
	}
	live, err := p.Instance(map[string]string{"token": "s3cr3t ${base}"})
	if err != nil || header(live) != "Bearer s3cr3t ${base}" {
		t.Errorf("got %q, %v", header(live), err)
	}
	if got := live.(*probes.HTTP).Body; got != "${kept}" {
		t.Errorf("an escaped brace became %q", got)
	}
	if got := live.Expect().(*probes.HTTPExpect).Body.Contains; len(got) != 1 {
		t.Errorf("the instance has no expectations: %v", got)
	}
	if header(p.Probe) != "Bearer ${token}" {
		t.Error("an instance changed the file's probe")
	}
	exec := e.Method[6].Fault.Spec.(*injectors.Exec)
	if got, err := secrets.Expand(strings.Join(exec.Do, " "), map[string]string{"token": "s3cr3t"}); err != nil || got != "echo s3cr3t ${x}" {
		t.Errorf("the fault's command became %q, %v", got, err)
	}
}

func TestASectionKeepsWhatItsWorldFillsIn(t *testing.T) {
	s := load(t, options(), everything)[0].Sections["lab"].(*lab.Section)
	if got := s.Hosts["gateway"].Run; !slices.Equal(got, []string{"${lab}/shop", "gateway", "$${literal}"}) {
		t.Errorf("run %q", got)
	}
	if got := s.Hosts["api"].Env; got["PORT"] != "8080" || got["TOKEN"] != "${token}" {
		t.Errorf("env %q", got)
	}
}

// write writes files below a new folder and returns it.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// minimal is the least that is an experiment.
func minimal(title, more string) string {
	return "title: " + title + "\n" + more + `
targets: {a: {box: {name: a}}}
probes: {p: {tcp: {address: "127.0.0.1:80"}}}
hypothesis: {p: {steady: {success: ">= 90%"}}}
method: [{fault: kill, on: a}]
`
}

func TestVariablesComeFromTheFirstThatHasThem(t *testing.T) {
	vars := "variables: {v: {default: d, env: V}}\ndescription: ${v}\n"
	dir := write(t, map[string]string{
		"e.yaml": minimal("t", vars), "a.yaml": "v: file a\nother: x\n", "b.json": `{"v": "file b"}`, "c.env": "# lines\nexport v='file c'\n\nw=1\n",
	})
	env := func(name string) (string, bool) { return "env", name == "V" }
	none := func(string) (string, bool) { return "", false }
	at := func(names ...string) (files []string) {
		for _, n := range names {
			files = append(files, filepath.Join(dir, n))
		}
		return files
	}
	for _, c := range []struct {
		want string
		o    experiments.Options
	}{
		{"d", experiments.Options{Getenv: none}},
		{"env", experiments.Options{Getenv: env}},
		{"file a", experiments.Options{Getenv: env, VarFiles: at("a.yaml")}},
		{"file b", experiments.Options{Getenv: env, VarFiles: at("a.yaml", "b.json")}},
		{"file c", experiments.Options{Getenv: env, VarFiles: at("b.json", "c.env")}},
		{"var", experiments.Options{Getenv: env, VarFiles: at("a.yaml"), Vars: map[string]string{"v": "var"}}},
		{"", experiments.Options{Getenv: env, Vars: map[string]string{"v": ""}}},
	} {
		c.o.Drivers = options().Drivers
		e := load(t, c.o, filepath.Join(dir, "e.yaml"))[0]
		if e.Description != c.want || e.Variables["v"] != c.want {
			t.Errorf("got %q, want %q", e.Description, c.want)
		}
	}
}

// A variable is text in the place where it stands, whatever is in it.
func TestVariablesCannotWriteTheFile(t *testing.T) {
	o := options()
	o.Vars = map[string]string{"v": "x\ntitle: y ${w} {a: b}"}
	dir := write(t, map[string]string{"e.yaml": minimal("${v}", "variables: {v: {}, w: z}\n")})
	if e := load(t, o, dir)[0]; e.Title != o.Vars["v"] {
		t.Errorf("title %q", e.Title)
	}
}

func TestVariablesCannotNameSecretsInCommands(t *testing.T) {
	o := options()
	o.Vars = map[string]string{"v": "${token}"}
	text := strings.Replace(minimal("t", "variables: {v: {}}\nsecrets: {token: {env: T}}\n"), "{fault: kill, on: a}",
		`{fault: exec, do: [echo, "${v}"], undo: [a], check: [a], for: 1s}`, 1)
	e := load(t, o, write(t, map[string]string{"e.yaml": text}))[0]
	got, err := secrets.Expand(e.Method[0].Fault.Spec.(*injectors.Exec).Do[1], map[string]string{"token": "s3cr3t"})
	if err != nil || got != "${token}" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestValuesForUnknownVariablesAreRefused(t *testing.T) {
	o := options()
	o.Vars = map[string]string{"bse": "x"}
	dir := write(t, map[string]string{"a.yaml": minimal("a", ""), "b.yaml": minimal("b", "variables: {base: y}\n")})
	_, err := experiments.Load([]string{dir}, o)
	if err == nil || err.Error() != `--var bse: no experiment declares a variable of that name (did you mean "base"?)` {
		t.Errorf("got %v", err)
	}
	o.Vars = map[string]string{"base": "x"} // one of them is enough
	load(t, o, dir)
}

func TestBadVarFiles(t *testing.T) {
	dir := write(t, map[string]string{"e.yaml": minimal("t", ""), "list.yaml": "[a]\n", "nested.yaml": "a: {b: c}\n", "words.env": "just words\n"})
	for name, want := range map[string]string{
		"none.yaml": "there is no such file", "list.yaml": "want a mapping", "nested.yaml": "a: want text", "words.env": "want a mapping",
	} {
		o := options()
		o.VarFiles = []string{filepath.Join(dir, name)}
		_, err := experiments.Load([]string{filepath.Join(dir, "e.yaml")}, o)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}
}

func TestFoldersAndDocumentsAreReadInOrder(t *testing.T) {
	dir := write(t, map[string]string{
		"b/two.yml": minimal("2", "") + "---\n# nothing\n---\n" + minimal("3", ""), "a/one.YAML": minimal("1", ""), "z.json": `{"title": "4"` + jsonRest,
		"b/notes.txt": "not an experiment", "a/compose.yaml": "services: {}", "a/docker-compose.prod.yml": "services: {}", ".git/config.yaml": "not: one", "empty/README.md": "",
	})
	es, err := experiments.Load([]string{dir, filepath.Join(dir, "z.json")}, options())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range es {
		name, _ := filepath.Rel(dir, e.File)
		got = append(got, fmt.Sprintf("%s %s %d", e.Title, name, e.Document))
	}
	if d := cmp.Diff([]string{"1 a/one.YAML 0", "2 b/two.yml 0", "3 b/two.yml 1", "4 z.json 0"}, got); d != "" {
		t.Error(d)
	}
	for path, want := range map[string]string{filepath.Join(dir, "empty"): "no *.yaml", filepath.Join(dir, "nowhere"): "there is no such file or folder"} {
		if _, err := experiments.Load([]string{path}, options()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", path, err)
		}
	}
	if _, err := experiments.Load(nil, options()); err == nil {
		t.Error("no paths, no error")
	}
}

// No document is lost, whatever stands between them: one that is not run would
// look like one that held.
func TestNoDocumentIsLost(t *testing.T) {
	a, b := minimal("a", ""), minimal("b", "")
	for _, between := range []string{
		"---\n", "---\n---\n", "---\n\n---\n", "---\n# nothing\n---\n", "...\n", "...\n---\n", "...\n...\n---\n---\n", "--- # note\n", "---\n~\n---\n", "---\nnull\n---\n", "# note\n---\n# note\n---\n# note\n",
	} {
		for _, before := range []string{"", "---\n", "---\n---\n", "# note\n---\n", "# note\n---\n\n---\n"} {
			for _, after := range []string{"", "---\n", "...\n", "---\n# end\n"} {
				es, err := experiments.Load([]string{write(t, map[string]string{"e.yaml": before + a + between + b + after})}, options())
				if err != nil || len(es) != 2 || es[0].Title != "a" || es[1].Title != "b" || es[1].Document != 1 {
					t.Errorf("%q, %q, %q: %d experiments, %v", before, between, after, len(es), err)
				}
			}
		}
	}
}

func TestPositionsAreThoseOfTheFile(t *testing.T) {
	before := minimal("a", "") + "---\n# note\n---\n"
	line := 1 + strings.Count(before, "\n")
	for wrong, want := range map[string]string{
		minimal("b", "tagz: []\n"): "%d:1: unknown key \"tagz\"",
		"\na: *b\n":                "%d:4: alias *b",
		"\na: 1: 2\n":              "%d:4: this is not YAML",
		"\na: !x y\n":              "%d:4: the tag !x",
	} {
		_, err := experiments.Load([]string{write(t, map[string]string{"e.yaml": before + wrong})}, options())
		if at := "e.yaml:" + fmt.Sprintf(want, line+1); err == nil || !strings.Contains(err.Error(), at) {
			t.Errorf("want %s, got %v", at, err)
		}
	}
}

const jsonRest = `, "targets": {"a": {"box": {"name": "a"}}}, "probes": {"p": {"tcp": {"address": "127.0.0.1:80"}}},
	"hypothesis": {"p": {"steady": {"success": ">= 90%"}}}, "method": [{"fault": "kill", "on": "a"}]}`

func TestAllMistakesOfAllFilesAreTold(t *testing.T) {
	dir := write(t, map[string]string{"a.yaml": minimal("a", "x: 1\ny: 2\n"), "b.yaml": minimal("b", "z: 1\n") + "---\n" + minimal("c", "w: 1\n")})
	_, err := experiments.Load([]string{dir, filepath.Join(dir, "none")}, options())
	var problems experiments.Problems
	if !errors.As(err, &problems) {
		t.Fatal(err)
	}
	var got []string
	for _, p := range problems {
		got = append(got, fmt.Sprintf("%s:%d:%d %s", filepath.Base(p.File), p.Line, p.Column, p.Offending))
	}
	if d := cmp.Diff([]string{"none:0:0 ", "a.yaml:2:1 x", "a.yaml:3:1 y", "b.yaml:2:1 z", "b.yaml:10:1 w"}, got); d != "" {
		t.Error(d)
	}
}

func TestAnchorsAndMergeKeys(t *testing.T) {
	es := load(t, options(), "testdata/good/anchors.yaml")
	if len(es) != 2 {
		t.Fatalf("%d documents", len(es))
	}
	a, _ := es[0].Target("a")
	b, _ := es[0].Target("b")
	if a.Pick.String() != "1" || b.Pick.String() != "all" || b.Selector.String() != "box a" {
		t.Errorf("a %+v, b %+v", a, b)
	}
	if f := es[0].Method[1].Fault; f.On != "b" || f.For.D() != time.Second {
		t.Errorf("the merged fault is %s", f)
	}
	if h := es[0].Hypothesis[0]; len(h.During) != 1 || h.During[0] != h.Steady[0] {
		t.Errorf("the aliased claims are %v", h.During)
	}
}

// Garbage is refused quickly, whatever its kind.
// processorTime is what this process has used, however busy the machine is.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestGarbageIsRefusedQuickly(t *testing.T) {
	const mb = 1 << 20
	rng := rand.New(rand.NewPCG(1, 1))
	random := func(of string) string {
		b := make([]byte, mb)
		for i := range b {
			b[i] = of[rng.IntN(len(of))]
		}
		return string(b)
	}
	bytes := make([]byte, mb)
	for i := range bytes {
		bytes[i] = byte(rng.Uint32())
	}
	var keys, nested strings.Builder
	for i := 0; keys.Len() < mb-100; i++ {
		fmt.Fprintf(&keys, "key%d: v\n", i)
	}
	for i := 0; nested.Len() < mb-3000; i++ {
		fmt.Fprintf(&nested, "%sa:\n", strings.Repeat(" ", i))
	}
	fill := func(s string) string { return strings.Repeat(s, mb/len(s)) }
	for name, text := range map[string]string{
		"bytes": string(bytes), "ascii": random(" !\"#$%&'()*+,-./0123:;<=>?@ABC[\\]^_`abc{|}~"), "lines": random("ab:- \n{}[],\"'&*!#%|>?"), "base64": random("ABCabc019+/"),
		"flow": fill("["), "flow maps": fill("{a: "), "braces": fill("{"), "brackets": fill("[]"), "entries": fill("- "), "keys in a line": fill("a: "), "question": fill("? a\n"), "questions": fill("? "),
		"anchors": fill("&a "), "anchor lines": fill("&a\n"), "aliases": fill("*a "), "tags": fill("!a "), "tag lines": fill("!!str\n"), "documents": fill("---\na: 1\n"), "starts": fill("--- "), "ends": fill("...\n"), "directives": fill("%YAML 1.2\n"),
		"quotes": fill("'"), "double quotes": fill("\""), "open quote": "a: \"" + fill("x")[:mb-100], "escapes": "a: \"" + fill(`\n`)[:mb-100] + "\"",
		"literal": "a: |\n" + fill("  text here\n")[:mb-100], "folded": "a: >\n" + fill("  text here\n")[:mb-100], "comments": fill("# c\n"), "newlines": fill("\n"), "spaces": fill(" ")[:mb-10] + "x", "tabs": fill("\t"), "returns": fill("\r\n"),
		"list": fill("- a\n"), "list of lists": fill("- - - a\n"), "maps in a list": fill("- {a: 1}\n"), "keys": keys.String(), "nested": nested.String(), "words": fill("word "), "lines of words": fill("word\n"), "colons": fill(":"), "dashes": fill("-"), "bars": fill("|"), "dollars": "title: " + fill("${")[:mb-100],
		"merge": "a: &a {b: c}\nd:\n" + fill("  <<: *a\n")[:mb-100],
		"json":  "{\"a\":" + fill("[")[:mb-100], "too long": fill("a") + "aaaaaaaaaaaaaaaa",
	} {
		ext := ".yaml"
		if name == "json" {
			ext = ".json"
		}
		dir := write(t, map[string]string{"e" + ext: text})
		start := processorTime(t)
		_, err := experiments.Load([]string{dir}, options())
		// The race detector is allowed for.
		if took := processorTime(t) - start; took > 5*time.Second {
			t.Errorf("%s: took %s", name, took)
		} else if took > 500*time.Millisecond {
			t.Logf("%s: took %s", name, took)
		}
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		if len(err.Error()) > 200_000 {
			t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
		}
	}
}

func TestNoVariableDefaultReachesASecret(t *testing.T) {
	dir := write(t, map[string]string{"e.yaml": minimal("t", "variables: {v: \"${token}\"}\nsecrets: {token: {env: T}}\n")})
	_, err := experiments.Load([]string{dir}, options())
	if err == nil || !strings.Contains(err.Error(), "cannot be used here") {
		t.Errorf("got %v", err)
	}
}

func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := experiments.Load([]string{everything}, options()); err != nil {
			b.Fatal(err)
		}
	}
}

func TestAVariableIsMissedWhereSeveralFormsAreTaken(t *testing.T) {
	for _, status := range []string{`"${code}"`, `["${code}"]`} {
		text := strings.Replace(minimal("t", "variables: {cod: 2xx}\n"), `{tcp: {address: "127.0.0.1:80"}}`, `{http: {url: "http://127.0.0.1/"}, expect: {status: `+status+`}}`, 1)
		_, err := experiments.Load([]string{write(t, map[string]string{"e.yaml": text})}, options())
		if err == nil || !strings.Contains(err.Error(), `${code} is not declared`) || !strings.Contains(err.Error(), `did you mean "${cod}"?`) {
			t.Errorf("%s: got %v", status, err)
		}
	}
}

func TestNoMoreIsToldThanAnybodyReads(t *testing.T) {
	var b strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&b, "k%d: 1\n", i)
	}
	_, err := experiments.Load([]string{write(t, map[string]string{"e.yaml": minimal("t", b.String())})}, options())
	var problems experiments.Problems
	if !errors.As(err, &problems) || len(problems) != 501 || !strings.Contains(err.Error(), "more wrong than this") {
		t.Errorf("%d problems", len(problems))
	}
}

func TestASecretsFileIsFoundBesideTheExperiment(t *testing.T) {
	dir := write(t, map[string]string{
		"a/e.yaml": minimal("t", "variables: {where: run}\nsecrets: {token: {file: \"${where}/token\"}, other: {file: /x/y}}\n"), "a/run/token": "s3cr3t\n",
	})
	t.Chdir(dir)
	e := load(t, options(), "a/e.yaml")[0]
	t.Chdir("/")
	if got, err := secrets.Resolve(e.Secrets["token"]); err != nil || got != "s3cr3t" || e.Secrets["other"].File != "/x/y" {
		t.Errorf("got %q, %v", got, err)
	}
	_, err := experiments.Load([]string{write(t, map[string]string{"e.yaml": minimal("t", "secrets: {token: {env: \"${nowhere}\"}}\n")})}, options())
	if err == nil || !strings.Contains(err.Error(), "e.yaml:2:24: ${nowhere} is not declared") {
		t.Errorf("got %v", err)
	}
}

func TestALargeFileIsRefusedUnread(t *testing.T) {
	for size, right := range map[int]bool{1 << 20: true, 1<<20 + 1: false} {
		text := minimal("t", "#")
		text = strings.Replace(text, "#", "#"+strings.Repeat("x", size-len(text)), 1)
		_, err := experiments.Load([]string{write(t, map[string]string{"e.yaml": text})}, options())
		if (err == nil) != right || (!right && !strings.Contains(err.Error(), "larger than 1024 KiB")) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

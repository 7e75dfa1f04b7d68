package main_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The house's rules are checked on the files themselves, whatever their build
// constraints: a file for another kernel keeps to them too.
const (
	moduleRoot = "../.."
	modulePath = "github.com/squall-chaos/squall"
)

// topLevel is all that may stand at the top of the tree beside dot-files and
// what .gitignore names.
var topLevel = []string{
	"README.md", "cmd", "examples", "experiments", "go.mod", "go.sum", "injectors", "reports", "scheduler", "targets",
}

// nameless are folder names that say nothing about what is in them.
var nameless = []string{"pkg", "util", "utils", "common", "helper", "helpers", "type", "types", "misc", "lib", "base"}

// A storey is one level of the house: packages of it import only lower ones.
// What stands in one storey together does not import its neighbours, save those
// that neighbours names.
var storeys = [][]string{
	{"experiments/units", "experiments/secrets"},
	{"targets", "experiments/probes"},
	{"injectors", "experiments/verifier", "reports"},
	{"experiments"},
	{"experiments/runner"},
	{"scheduler"},
	{"cmd"},
}

// neighbours are the imports between rooms of one storey. A result is built of
// the plain values of package reports, so that whoever measures may fill them in.
var neighbours = map[string][]string{
	"injectors":            {"reports"},
	"experiments/verifier": {"reports"},
}

// leaves are rooms that import of all lower ones only these.
var leaves = map[string][]string{
	"targets":            {"experiments/units", "experiments/secrets"},
	"experiments/probes": {"experiments/units", "experiments/secrets"},
}

// goFile is one Go file and what it imports of this module.
type goFile struct {
	path    string   // slash-separated, from the module's root
	pkg     string   // its folder
	test    bool     // a _test.go file, or a file of a package that only serves tests
	imports []string // folders within the module
	methods []string // names of the methods it declares
}

// house is all Go files of the module.
type house struct {
	files   []goFile
	drivers []string // packages that implement a driver of targets
}

func TestImportsPointDown(t *testing.T) {
	h := readHouse(t)
	if len(h.files) < 10 {
		t.Fatalf("read only %d Go files: the walk does not see the module", len(h.files))
	}
	if !slices.Contains(h.drivers, "targets/docker") || slices.Contains(h.drivers, "targets/netns") {
		t.Errorf("takes %v for the drivers", h.drivers)
	}
	for _, f := range h.files {
		for _, to := range f.imports {
			if err := h.allowed(f, to); err != nil {
				t.Errorf("%s imports %s: %v", f.path, to, err)
			}
		}
	}
}

// TestForbiddenImportsAreSeen proves that the rules above can fail.
func TestForbiddenImportsAreSeen(t *testing.T) {
	h := house{drivers: []string{"targets/docker", "targets/lab"}}
	for _, tc := range []struct {
		from, to string
		test, ok bool
	}{
		{from: "cmd/squall", to: "experiments/runner", ok: true},
		{from: "cmd/squall", to: "targets/docker", ok: true},
		{from: "cmd/squall", to: "cmd/squall/live", ok: true},
		{from: "experiments/runner", to: "experiments", ok: true},
		{from: "experiments", to: "injectors", ok: true},
		{from: "experiments/verifier", to: "reports", ok: true},
		{from: "injectors", to: "injectors/packets", ok: true},
		{from: "injectors", to: "targets/netns", ok: true},
		{from: "targets/docker", to: "targets", ok: true},
		{from: "targets/docker", to: "targets/netns", ok: true},
		{from: "targets/netns", to: "targets", ok: true},
		{from: "targets", to: "experiments/units", ok: true},
		{from: "examples/quickstart/shop", to: "examples/quickstart/ring", ok: true},
		{from: "injectors", to: "targets/lab", test: true, ok: true},
		{from: "injectors", to: "targets/docker/dockertest", test: true, ok: true},
		{from: "examples/process", to: "experiments", test: true, ok: true},

		{from: "experiments", to: "experiments/runner"},
		{from: "experiments/runner", to: "scheduler"},
		{from: "experiments/runner", to: "targets/docker"},
		{from: "experiments/units", to: "experiments/secrets"},
		{from: "experiments/probes", to: "targets"},
		{from: "experiments/probes", to: "experiments"},
		{from: "injectors", to: "experiments"},
		{from: "injectors", to: "experiments/verifier"},
		{from: "injectors", to: "targets/lab"},
		{from: "injectors/packets", to: "injectors"},
		{from: "reports", to: "injectors"},
		{from: "targets/docker", to: "targets/lab"},
		{from: "targets/lab", to: "injectors", test: true},
		{from: "targets/docker", to: "targets/docker/dockertest"},
		{from: "scheduler", to: "cmd/squall"},
		{from: "examples/process", to: "experiments"},
		{from: "experiments/magic", to: "experiments/units"},
		{from: "cmd/squall", to: "experiments/magic"},
	} {
		f := goFile{pkg: tc.from, test: tc.test}
		if err := h.allowed(f, tc.to); (err == nil) != tc.ok {
			t.Errorf("%s → %s (test %t): got %v, want allowed %t", tc.from, tc.to, tc.test, err, tc.ok)
		}
	}
}

func TestTopLevelHoldsOnlyTheHouse(t *testing.T) {
	entries, err := os.ReadDir(moduleRoot)
	if err != nil {
		t.Fatal(err)
	}
	ignored := ignoredAtTop(t)
	for _, e := range entries {
		name := e.Name()
		switch {
		case strings.HasPrefix(name, "."), slices.Contains(topLevel, name), ignored(name):
		default:
			t.Errorf("%s stands at the top level; only %s and dot-files belong there", name, strings.Join(topLevel, ", "))
		}
	}
}

func TestFoldersSayWhatTheyHold(t *testing.T) {
	err := filepath.WalkDir(moduleRoot, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || !d.IsDir() || p == moduleRoot:
			return err
		case strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case slices.Contains(nameless, d.Name()):
			t.Errorf("%s: a folder is named for what it holds, not %q", p, d.Name())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// allowed returns why f may not import the package to, or nil.
func (h house) allowed(f goFile, to string) error {
	if f.pkg == "examples" || strings.HasPrefix(f.pkg, "examples/") {
		if f.test || strings.HasPrefix(to, "examples/") {
			return nil
		}
		return fmt.Errorf("the systems in examples know nothing of Squall; only their tests do")
	}
	from, target := room(f.pkg), room(to)
	switch {
	case from == "":
		return fmt.Errorf("%s has no place in the house; add it to storeys", f.pkg)
	case target == "":
		return fmt.Errorf("%s has no place in the house; add it to storeys", to)
	case servesTests(to):
		if !f.test {
			return fmt.Errorf("%s only serves tests", to)
		}
		return nil
	}
	if d := h.driver(to); d != "" && !within(f.pkg, d) && !f.test && from != "cmd" {
		return fmt.Errorf("drivers are constructed in cmd and nowhere else")
	}
	if from == target {
		return indoors(f, to)
	}
	return outdoors(f, from, target)
}

// indoors judges an import that stays in one room. What lies below injectors
// are the kernel's mechanisms, which know no faults.
func indoors(f goFile, to string) error {
	if to == "injectors" && f.pkg != to && !f.test {
		return fmt.Errorf("a mechanism knows no faults")
	}
	return nil
}

// outdoors judges an import from one room into another.
func outdoors(f goFile, from, to string) error {
	lower := storey(to) < storey(from)
	switch {
	case !lower && slices.Contains(neighbours[from], to):
		return nil
	case !lower:
		return fmt.Errorf("imports point down only, and %s does not stand below %s", to, from)
	}
	if only, ok := leaves[from]; ok && !f.test && !slices.Contains(only, to) {
		return fmt.Errorf("%s imports nothing but %s", from, strings.Join(only, " and "))
	}
	return nil
}

// room is the longest entry of storeys that pkg is or lies in; "" without one.
// The folders below experiments are rooms of their own.
func room(pkg string) string {
	best := ""
	for _, s := range storeys {
		for _, r := range s {
			if within(pkg, r) && len(r) > len(best) {
				best = r
			}
		}
	}
	if best == "experiments" && pkg != best {
		return ""
	}
	return best
}

func storey(room string) int {
	return slices.IndexFunc(storeys, func(s []string) bool { return slices.Contains(s, room) })
}

// driver is the driver that pkg is or lies in, or "".
func (h house) driver(pkg string) string {
	i := slices.IndexFunc(h.drivers, func(d string) bool { return within(pkg, d) })
	if i < 0 {
		return ""
	}
	return h.drivers[i]
}

func within(pkg, dir string) bool { return pkg == dir || strings.HasPrefix(pkg, dir+"/") }

// servesTests reports whether pkg exists for tests, as its name says.
func servesTests(pkg string) bool { return strings.HasSuffix(path.Base(pkg), "test") }

// readHouse parses the imports of every Go file of the module.
func readHouse(t *testing.T) house {
	t.Helper()
	var h house
	err := filepath.WalkDir(moduleRoot, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != moduleRoot && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(p) != ".go":
			return nil
		}
		f, err := readFile(p)
		h.files = append(h.files, f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	h.drivers = driversOf(h.files)
	return h
}

// driversOf returns the packages below targets that have the methods of a driver.
func driversOf(files []goFile) []string {
	methods := map[string][]string{}
	for _, f := range files {
		if path.Dir(f.pkg) == "targets" && !f.test {
			methods[f.pkg] = append(methods[f.pkg], f.methods...)
		}
	}
	var found []string
	for pkg, has := range methods {
		if slices.Contains(has, "Find") && slices.Contains(has, "Open") && slices.Contains(has, "Selector") {
			found = append(found, pkg)
		}
	}
	slices.Sort(found)
	return found
}

func readFile(p string) (goFile, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.SkipObjectResolution)
	if err != nil {
		return goFile{}, err
	}
	rel, err := filepath.Rel(moduleRoot, p)
	if err != nil {
		return goFile{}, err
	}
	rel = filepath.ToSlash(rel)
	f := goFile{path: rel, pkg: path.Dir(rel)}
	f.test = strings.HasSuffix(rel, "_test.go") || servesTests(f.pkg)
	for _, spec := range parsed.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return goFile{}, err
		}
		if to, ok := strings.CutPrefix(name, modulePath+"/"); ok {
			f.imports = append(f.imports, to)
		}
	}
	for _, decl := range parsed.Decls {
		if method, ok := decl.(*ast.FuncDecl); ok && method.Recv != nil {
			f.methods = append(f.methods, method.Name.Name)
		}
	}
	return f, nil
}

// ignoredAtTop reads the patterns of .gitignore that apply to the top level.
func ignoredAtTop(t *testing.T) func(name string) bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(moduleRoot, ".gitignore"))
	if err != nil {
		t.Fatal(err)
	}
	var patterns []string
	for line := range strings.Lines(string(text)) {
		line = strings.Trim(strings.TrimSpace(line), "/")
		if line != "" && !strings.HasPrefix(line, "#") {
			patterns = append(patterns, line)
		}
	}
	return func(name string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool {
			ok, err := path.Match(p, name)
			return err == nil && ok
		})
	}
}

package experiments

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/squall-chaos/squall/targets"
)

// Options is what a file is read with.
type Options struct {
	Drivers  []targets.Driver            // whose selectors and sections files may use
	Vars     map[string]string           // values of variables, before all others
	VarFiles []string                    // files with values of variables, the last one first
	Getenv   func(string) (string, bool) // the environment; nil: that of this process
}

// Load reads experiments from files and from folders, in which it takes all
// *.yaml, *.yml and *.json files below, sorted by path. A file may hold several
// documents. It returns the experiments in that order, or Problems with every
// mistake of every file. It resolves variables, but no secrets.
func Load(paths []string, o Options) ([]*Experiment, error) {
	l := loader{options: o, declared: map[string]bool{}}
	given, problems := readGiven(o)
	l.given, l.problems = given, problems
	files, problems := expand(paths)
	l.problems = append(l.problems, problems...)
	for _, f := range files {
		l.file(f)
	}
	l.unknownVars()
	if len(l.problems) == 0 && len(l.experiments) == 0 {
		l.problems = Problems{{Message: "no experiment file was named"}}
	}
	if len(l.problems) > 0 {
		return nil, l.problems.sorted()
	}
	return l.experiments, nil
}

// loader reads the files of one command.
type loader struct {
	options     Options
	given       given
	declared    map[string]bool // names of variables of any document
	broken      bool            // a document could not be read, so its variables are not known
	experiments []*Experiment
	problems    Problems
}

func (l *loader) file(name string) {
	s, err := read(name)
	if err == nil {
		err = l.source(s)
	}
	if err != nil {
		l.broken = true
		l.problems = append(l.problems, problemsOf(err)...)
	}
}

func (l *loader) source(s *source) error {
	docs, err := parse(s)
	if err != nil {
		return err
	}
	for i, n := range docs {
		l.document(s, i, n)
	}
	if len(docs) == 0 {
		return Problem{File: s.name, Message: "the file holds nothing but comments: an experiment needs at least title, targets, probes, hypothesis and method"}
	}
	return nil
}

// parse reads the documents of a file, without empty ones.
func parse(s *source) ([]*node, error) {
	if s.json() {
		return parseJSON(s)
	}
	return parseYAML(s)
}

func problemsOf(err error) Problems {
	var ps Problems
	if errors.As(err, &ps) {
		return ps
	}
	var p Problem
	if errors.As(err, &p) {
		return Problems{p}
	}
	return Problems{{Message: err.Error()}}
}

// document decodes one document and checks it.
func (l *loader) document(s *source, index int, root *node) {
	d := &decoder{source: s, problems: &l.problems, drivers: l.options.Drivers}
	if root.kind != mapping {
		l.broken = true
		d.fail(root, "an experiment is a mapping of keys such as title, targets, probes, hypothesis and method; got %s", root.got())
		return
	}
	var e *Experiment
	failed := d.failed(func() {
		decl := d.declare(root, l.given)
		for name := range decl.Variables {
			l.declared[name] = true
		}
		d.expander = expander{variables: decl.values, secrets: decl.Secrets, why: decl.why}
		doc := &draft{d: d, root: root}
		doc.declarations = decl.declarations
		doc.decode()
		doc.check()
		if len(l.problems) == 0 {
			e = doc.experiment(decl.values)
			e.File, e.Document, e.Source = s.name, index, s.text
		}
	})
	if !failed && e != nil {
		l.experiments = append(l.experiments, e)
	}
}

// unknownVars refuses values for variables that no document declares.
func (l *loader) unknownVars() {
	if l.broken {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(l.options.Vars)) {
		if l.declared[name] {
			continue
		}
		known := slices.Sorted(maps.Keys(l.declared))
		p := Problem{Offending: name, Suggestion: nearest(name, known)}
		p.Message = fmt.Sprintf("--var %s: no experiment declares a variable of that name", name)
		if p.Suggestion == "" && len(known) > 0 {
			p.Message += ": known are " + strings.Join(known, ", ")
		}
		l.problems = append(l.problems, p)
	}
}

// draft is a document that is being read.
type draft struct {
	document
	d        *decoder
	root     *node
	sections map[string]targets.Section
}

// decode fills the document in and the sections that drivers have in it.
func (x *draft) decode() {
	x.sections = map[string]targets.Section{}
	others := map[string]func(entry){}
	for _, driver := range x.d.drivers {
		s, ok := driver.(targets.Sectioned)
		if !ok {
			continue
		}
		others[s.Name()] = func(e entry) { x.section(s, e.value) }
	}
	// The declarations have been read already.
	rest := *x.root
	rest.entries = slices.DeleteFunc(slices.Clone(rest.entries), func(e entry) bool {
		return e.key.text == "variables" || e.key.text == "secrets"
	})
	x.d.object(&rest, "", []any{&x.document}, others)
}

// section decodes a driver's own part of the file. What stands for the driver's
// directory and for secrets is left in it.
func (x *draft) section(driver targets.Sectioned, n *node) {
	d := *x.d
	d.expander.hidden, d.expander.again, d.expander.builtin = true, true, []string{driver.Name()}
	s := driver.Section()
	x.sections[driver.Name()] = s
	if d.failed(func() { d.decode(n, reflect.ValueOf(s), driver.Name()) }) {
		d.validatePart(n, s, driver.Name())
		return
	}
	d.validate(n, s, driver.Name())
}

// driverNames lists the drivers for messages.
func (d *decoder) driverNames() string {
	var names []string
	for _, driver := range d.drivers {
		names = append(names, driver.Name())
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

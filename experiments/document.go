package experiments

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/squall-chaos/squall/experiments/probes"
	"github.com/squall-chaos/squall/experiments/units"
	"github.com/squall-chaos/squall/experiments/verifier"
	"github.com/squall-chaos/squall/targets"
)

// document is an experiment as a file writes it. Drivers' own sections stand
// beside its keys.
type document struct {
	Title        string  `yaml:"title" jsonschema:"required" jsonschema_description:"one line for people"`
	Description  string  `yaml:"description,omitempty" jsonschema_description:"why, and what is expected"`
	Tags         tags    `yaml:"tags,omitempty" jsonschema_description:"to choose experiments by"`
	Seed         *uint64 `yaml:"seed,omitempty" jsonschema_description:"of all random choices; default: drawn, printed and stored"`
	declarations `yaml:",inline"`
	Targets      table[targetEntry]     `yaml:"targets,omitempty" jsonschema_description:"groups of what can be disturbed, by name"`
	Probes       table[probeEntry]      `yaml:"probes" jsonschema:"required" jsonschema_description:"what is measured, by name"`
	Hypothesis   table[hypothesisEntry] `yaml:"hypothesis" jsonschema:"required" jsonschema_description:"what is claimed of a probe, by its name"`
	Guards       table[claims]          `yaml:"guards,omitempty" jsonschema_description:"what aborts the run once it is broken, by the probe's name"`
	Timing       Timing                 `yaml:"timing,omitempty" jsonschema_description:"how long is measured before and after"`
	Limits       Limits                 `yaml:"limits,omitempty" jsonschema_description:"what the run may not exceed"`
	Method       []stepEntry            `yaml:"method" jsonschema:"required,minItems=1" jsonschema_description:"the steps, one after another"`
}

// tags is a list of words.
type tags []string

// table is a mapping with names of the author's choice, in the file's order.
type table[T any] []row[T]

type row[T any] struct {
	name  string
	key   *node
	node  *node
	value T
}

func (t *table[T]) decode(d *decoder, n *node) {
	if n.kind != mapping {
		d.fail(n, "want a mapping of names to what they stand for, got %s", n.got())
		return
	}
	d.duplicates(n)
	for _, e := range n.entries {
		r := row[T]{name: e.key.text, key: e.key, node: e.value}
		if !entryName.MatchString(r.name) {
			d.fail(e.key, "%q is not a name: use letters, digits, _, - and ., beginning with a letter or digit", shorten(r.name))
		}
		d.decode(e.value, reflect.ValueOf(&r.value).Elem(), r.name)
		*t = append(*t, r)
	}
}

var entryName = regexp.MustCompile(`^[\p{L}\p{N}_][\p{L}\p{N}_.-]*$`)

func (t table[T]) names() []string {
	var names []string
	for _, r := range t {
		names = append(names, r.name)
	}
	return names
}

// targetEntry is one group: a driver's name with a selector, and pick.
type targetEntry struct {
	driver   string
	selector targets.Selector
	pick     *Pick
	node     *node // of the selector
}

func (t *targetEntry) decode(d *decoder, n *node) {
	var own struct {
		Pick *Pick `yaml:"pick,omitempty"`
	}
	options := map[string]func(entry){}
	for _, driver := range d.drivers {
		options[driver.Name()] = func(e entry) {
			if t.driver != "" {
				d.fail(e.key, "one group selects from one driver: %s is named already", t.driver)
				return
			}
			t.driver, t.selector, t.node = driver.Name(), driver.Selector(), e.value
			if d.failed(func() { d.decode(e.value, reflect.ValueOf(t.selector), driver.Name()) }) {
				d.validatePart(e.value, t.selector, driver.Name())
				return
			}
			d.validate(e.value, t.selector, driver.Name())
		}
	}
	unknown := d.failed(func() { d.object(n, "a target group", []any{&own}, options) })
	t.pick = own.Pick
	if t.driver == "" && !unknown {
		d.fail(n, "a target group says how its targets are found: write one of %s", d.driverNames())
	}
}

// probeEntry is one probe: a kind with its settings, and what all probes have.
type probeEntry struct {
	kind  string
	probe probes.Probe
	rate  *units.Rate
	from  string
	node  *node // of the settings
	fresh func(map[string]string) (probes.Probe, error)
}

// probeKeys are what all probes have.
type probeKeys struct {
	Rate   *units.Rate `yaml:"rate,omitempty" jsonschema_description:"how often it measures; default 10/s, and 1/s for exec and state"`
	From   string      `yaml:"from,omitempty" jsonschema_description:"the target group, or driver section, in whose network it starts"`
	Expect *later      `yaml:"expect,omitempty" jsonschema_description:"what a good reading is"`
}

// later keeps a node to be decoded when its type is known.
type later struct{ node *node }

func (l *later) decode(_ *decoder, n *node) { l.node = n }

func (p *probeEntry) decode(d *decoder, n *node) {
	var (
		own   probeKeys
		kind  probes.Kind
		kinds = map[string]func(entry){}
	)
	for _, k := range probes.Kinds() {
		kinds[k.Name] = func(e entry) {
			if p.kind != "" {
				d.fail(e.key, "one probe measures one thing: %s is named already", p.kind)
				return
			}
			kind, p.kind, p.node = k, k.Name, e.value
		}
	}
	unknown := d.failed(func() { d.object(n, "a probe", []any{&own}, kinds) })
	p.rate, p.from = own.Rate, own.From
	if p.kind == "" {
		if !unknown {
			d.fail(n, "a probe says what it measures: write one of %s", strings.Join(probeKinds(), ", "))
		}
		return
	}
	if p.from != "" && !dials(p.kind) {
		d.fail(n.at("from"), "from: a probe of kind %s opens no connection that could start elsewhere: leave it out", p.kind)
	}
	p.probe = d.probe(kind, p.node, own.Expect)
	p.fresh = func(values map[string]string) (probes.Probe, error) {
		var problems Problems
		real := *d
		real.problems = &problems
		real.expander.values = values
		probe := real.probe(kind, p.node, own.Expect)
		if len(problems) > 0 {
			return nil, problems
		}
		return probe, nil
	}
}

// probe decodes and validates one probe.
func (d *decoder) probe(k probes.Kind, settings *node, expect *later) probes.Probe {
	hidden := *d
	hidden.expander.hidden = true
	p := k.New()
	failed := hidden.failed(func() {
		hidden.decode(settings, reflect.ValueOf(p), k.Name)
		if expect == nil {
			return
		}
		into := p.Expect()
		if into == nil {
			d.fail(expect.node, "a probe of kind %s has no expectations: leave expect out", k.Name)
			return
		}
		hidden.decode(expect.node, reflect.ValueOf(into), "expect")
	})
	// Expectations are written beside the settings, but validated with them.
	both := *settings
	if expect != nil {
		both.entries = append(slices.Clone(both.entries), entry{key: expect.node, value: expect.node})
		both.entries[len(both.entries)-1].key = &node{text: "expect", line: expect.node.line, col: expect.node.col}
	}
	if failed {
		d.validatePart(&both, p, "")
		return p
	}
	d.validate(&both, p, "")
	return p
}

func probeKinds() []string {
	var names []string
	for _, k := range probes.Kinds() {
		names = append(names, k.Name)
	}
	return names
}

// dials reports whether probes of that kind open connections.
func dials(kind string) bool { return kind != "exec" && kind != "state" }

// hypothesisEntry is what is claimed of one probe.
type hypothesisEntry struct {
	Steady   claims        `yaml:"steady" jsonschema:"required" jsonschema_description:"holds before anything is disturbed, and again after"`
	During   claims        `yaml:"during,omitempty" jsonschema_description:"holds while the method runs"`
	Recovery recoveryClaim `yaml:"recovery,omitempty" jsonschema_description:"how soon steady holds again after the last fault, such as '<= 10s'"`
}

type recoveryClaim struct {
	claim verifier.Claim
	set   bool
}

func (r *recoveryClaim) decode(d *decoder, n *node) {
	if n.kind != scalar || n.null() {
		d.fail(n, `recovery: want a bound such as "<= 10s", got %s`, n.got())
		return
	}
	text, ok := d.text(n)
	if !ok {
		return
	}
	c, err := verifier.ParseRecovery(text)
	if err != nil {
		d.fail(n, "%s", prefixed("recovery", err.Error()))
		return
	}
	r.claim, r.set = c, true
}

// claims are what is said of a probe's metrics: a mapping of metrics to bounds,
// one or a list of them.
type claims []claim

type claim struct {
	verifier.Claim
	node *node
}

func (c *claims) decode(d *decoder, n *node) {
	if n.kind != mapping || len(n.entries) == 0 {
		d.fail(n, `want metrics with bounds, such as {success: ">= 99%%"}, got %s`, n.gotEmpty())
		return
	}
	d.duplicates(n)
	for _, e := range n.entries {
		if !slices.Contains(verifier.Metrics(), e.key.text) {
			d.unknownMetric(e.key)
			continue
		}
		bounds := []*node{e.value}
		if e.value.kind == sequence && len(e.value.items) > 0 {
			bounds = e.value.items
		}
		for _, b := range bounds {
			c.add(d, e.key.text, b)
		}
	}
}

func (c *claims) add(d *decoder, metric string, n *node) {
	if n.kind != scalar || n.null() {
		d.fail(n, `%s: want a bound such as ">= 99%%", got %s`, metric, n.got())
		return
	}
	text, ok := d.text(n)
	if !ok {
		return
	}
	parsed, err := verifier.ParseClaim(metric, text)
	if err != nil {
		d.fail(n, "%s", prefixed(metric, err.Error()))
		return
	}
	*c = append(*c, claim{parsed, n})
}

func (d *decoder) unknownMetric(key *node) {
	near := nearest(key.text, verifier.Metrics())
	message := fmt.Sprintf("unknown metric %q", shorten(key.text))
	if near == "" {
		message += ": use one of " + strings.Join(verifier.Metrics(), ", ")
	}
	d.suggest(key, near, "%s", message)
}

// gotEmpty is got, that says so when a list or mapping is empty.
func (n *node) gotEmpty() string {
	if n.kind != scalar && len(n.items)+len(n.entries) == 0 {
		return "an empty one"
	}
	return n.got()
}

func (c claims) plain() []verifier.Claim {
	var out []verifier.Claim
	for _, one := range c {
		out = append(out, one.Claim)
	}
	return out
}

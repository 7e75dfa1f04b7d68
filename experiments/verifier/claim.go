package verifier

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/squall-chaos/squall/experiments/units"
)

// Op is how a claim compares.
type Op string

// The comparisons.
const (
	AtMost  Op = "<="
	AtLeast Op = ">="
	Below   Op = "<"
	Above   Op = ">"
	Equal   Op = "=="
)

// ops is in the order in which they must be looked for.
var ops = []Op{AtMost, AtLeast, Equal, Below, Above}

// met reports whether got compares to want as o says. NaN never does.
func (o Op) met(got, want float64) bool {
	switch o {
	case AtMost:
		return got <= want
	case AtLeast:
		return got >= want
	case Below:
		return got < want
	case Above:
		return got > want
	case Equal:
		return got == want
	default:
		return false
	}
}

// Bound is the right-hand side of a claim.
type Bound struct {
	Value    float64 // in Unit; or a factor, if Relative
	Relative bool    // Value is a multiple of the same metric in the baseline
	Unit     Unit    // of the metric
}

// Claim is one thing said of one metric of one probe, such as "p99 <= 250ms".
// The zero Claim holds nothing: it is always unknown.
type Claim struct {
	Metric string
	Op     Op
	Bound  Bound
	Over   time.Duration // it holds over every span of this length; 0: over the window as a whole
}

var (
	overPart     = regexp.MustCompile(`^(.*?)\s+over\s+(\S+)$`)
	relativePart = regexp.MustCompile(`^(?:([0-9]*\.?[0-9]+)\s*x\s+)?baseline$`)
)

// ParseClaim reads what a file says of a metric: a comparison, a bound in the
// metric's unit or as a multiple of the baseline ("<= 1.5x baseline"), and
// optionally the span over which it must hold (">= 20% over 5s").
func ParseClaim(name, bound string) (Claim, error) {
	m, ok := metricOf(name)
	if !ok {
		return Claim{}, fmt.Errorf("unknown metric %q: use one of %s", name, strings.Join(Metrics(), ", "))
	}
	c, err := parse(m, bound)
	if err != nil {
		return Claim{}, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

// ParseRecovery reads the bound of a recovery claim, such as "<= 10s". Nothing
// but "at most" makes sense for it. Its metric is "recovery".
func ParseRecovery(bound string) (Claim, error) {
	c, err := parse(recovery, bound)
	if err == nil && c.Over != 0 {
		err = errors.New(`"over" makes no sense here: write for example "<= 10s"`)
	}
	if err != nil {
		return Claim{}, fmt.Errorf("recovery: %w", err)
	}
	return c, nil
}

func parse(m metric, bound string) (Claim, error) {
	text := strings.TrimSpace(bound)
	c := Claim{Metric: m.name, Bound: Bound{Unit: m.unit}}
	for _, o := range ops {
		if rest, ok := strings.CutPrefix(text, string(o)); ok {
			c.Op, text = o, strings.TrimSpace(rest)
			break
		}
	}
	if c.Op == "" {
		return Claim{}, fmt.Errorf("%q has no comparison: write for example %q", bound, m.example())
	}
	if !slices.Contains(m.ops, c.Op) {
		return Claim{}, fmt.Errorf("%q makes no sense for it: write for example %q", c.Op, m.example())
	}
	if p := overPart.FindStringSubmatch(text); p != nil {
		var over units.Duration
		if err := over.UnmarshalText([]byte(p[2])); err != nil {
			return Claim{}, err
		}
		if over <= 0 {
			return Claim{}, errors.New(`"over" needs a span of more than zero`)
		}
		text, c.Over = p[1], over.D()
	}
	if p := relativePart.FindStringSubmatch(text); p != nil {
		return c.relative(m, p[1])
	}
	return c.absolute(m, text)
}

func (c Claim) relative(m metric, factor string) (Claim, error) {
	if m.absoluteOnly {
		return Claim{}, fmt.Errorf("it cannot be a multiple of the baseline: write for example %q", m.example())
	}
	c.Bound.Relative, c.Bound.Value = true, 1
	if factor != "" {
		f, err := strconv.ParseFloat(factor, 64)
		if err != nil || f <= 0 || math.IsInf(f, 0) {
			return Claim{}, fmt.Errorf("%q is no multiple: write for example \"1.5x baseline\"", factor)
		}
		c.Bound.Value = f
	}
	return c, nil
}

func (c Claim) absolute(m metric, text string) (Claim, error) {
	v, err := m.unit.parse(text)
	switch {
	case err != nil:
		return Claim{}, fmt.Errorf("%w; for example %q", err, m.example())
	case m.unit == Percent && v > 100:
		return Claim{}, fmt.Errorf("%q is more than everything: write for example %q", text, m.example())
	case m.positive && v == 0:
		return Claim{}, fmt.Errorf("nothing can be that short: to allow no failure at all, write failures: %q", "<= 0")
	case m.count && v != math.Trunc(v):
		return Claim{}, fmt.Errorf("%q is not a whole number: write for example %q", text, m.example())
	}
	c.Bound.Value = v
	return c, nil
}

// String is the claim as a file would write it: "p99 <= 250ms".
func (c Claim) String() string { return c.Metric + " " + c.Wanted() }

// Wanted is the right-hand side with its comparison: "<= 250ms over 5s".
func (c Claim) Wanted() string {
	b := c.Bound.Unit.format(c.Bound.Value)
	if c.Bound.Relative {
		b = strconv.FormatFloat(c.Bound.Value, 'f', -1, 64) + "x baseline"
	}
	s := string(c.Op) + " " + b
	if c.Over > 0 {
		s += " over " + units.Duration(c.Over).String()
	}
	return s
}

// Relative reports whether c can be judged only beside a baseline.
func (c Claim) Relative() bool { return c.Bound.Relative }

// fewest is the least number of readings on which any claim is judged: below
// it, one reading more or less changes every share by more than a tenth.
const fewest = 10

// MinSamples is how many readings a window needs before c can be held in it.
//
// For success >= t it is as many as are needed for one failure to be allowed
// at all, 1/(1-t), but no more than 100; for a percentile q as many as are
// needed for one reading to lie above it, 1/(1-q); for values 3; and never less
// than 10 of the others. Percentiles count good readings only.
func (c Claim) MinSamples() int {
	m, _ := metricOf(c.Metric)
	switch {
	case m.value != nil:
		return 3
	case m.permille > 0:
		return max(fewest, ceilDiv(1000, 1000-m.permille))
	case m.name == "success" && !c.Bound.Relative && c.Op != AtMost && c.Op != Below:
		missing := 100 - c.Bound.Value
		if missing < 1 {
			return 100
		}
		return max(fewest, int(math.Ceil(100/missing-1e-9)))
	default:
		return fewest
	}
}

// Trailing is how long the window should be over which c is watched while a run
// lasts, as a guard is: Over, or else 5 s, or twice an outage's limit if that is
// longer.
func (c Claim) Trailing() time.Duration {
	if c.Over > 0 {
		return c.Over
	}
	if c.Metric == "outage" {
		return max(5*time.Second, 2*seconds(c.Bound.Value))
	}
	return 5 * time.Second
}

// TrailingAt is Trailing, or longer if readings at that rate need longer to say
// anything: a guard on a shorter window would never break.
func (c Claim) TrailingAt(rate units.Rate) time.Duration {
	if c.Over > 0 {
		return c.Over
	}
	return max(c.Trailing(), SteadyWindow([]Claim{c}, rate))
}

// Judgeable says why c can never be held or broken on readings at that rate,
// however long they are taken; nil if it can.
func (c Claim) Judgeable(rate units.Rate) error {
	interval := rate.Interval()
	if have := int(c.Over.Seconds() * rate.PerSecond()); c.Over > 0 && have < c.MinSamples() {
		return fmt.Errorf("%s: there are only %d readings in %s at %s, and this claim needs %d: raise the probe's rate or the span",
			c, have, units.Duration(c.Over), rate, c.MinSamples())
	}
	if limit := seconds(c.Bound.Value / 2); c.Metric == "outage" && interval > limit {
		return fmt.Errorf("%s: readings %s apart are too coarse for it: raise the probe's rate to at least one every %s",
			c, units.Duration(interval), units.Duration(limit))
	}
	return nil
}

// SteadyWindow is how long a window must be so that all claims can be judged on
// readings at that rate, with the share of them missing that Judge puts up with;
// at least 1 s.
func SteadyWindow(claims []Claim, rate units.Rate) time.Duration {
	need := time.Second
	for _, c := range claims {
		n := float64(c.MinSamples())/(1-missingShare) + 2
		need = max(need, c.Over, time.Duration(n*float64(rate.Interval())))
		if c.Metric == "outage" {
			need = max(need, seconds(c.Bound.Value))
		}
	}
	return need
}

// seconds is s as a duration, to the nearest nanosecond.
func seconds(s float64) time.Duration {
	return time.Duration(math.Round(s * float64(time.Second)))
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// text reads s into a unit's own type.
func text(u encoding.TextUnmarshaler, s string) error { return u.UnmarshalText([]byte(s)) }

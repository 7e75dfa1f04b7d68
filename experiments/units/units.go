// Package units holds the quantities an experiment file can state: durations,
// percentages, sizes and rates. Every one needs its unit when it is written
// down, so that a bare number is an error and never a guess.
//
// The package is the vocabulary that all others share. It knows no files, no
// faults and no probes, and imports nothing else of Squall.
package units

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/invopop/jsonschema"
)

// Duration is a span of time, written with units: "300ms", "1m30s", "2d".
// The zero value is no time at all.
type Duration time.Duration

// D is d as the standard library has it.
func (d Duration) D() time.Duration { return time.Duration(d) }

// Seconds is d in seconds.
func (d Duration) Seconds() float64 { return time.Duration(d).Seconds() }

// String is the shortest form that reads back as d: "1m30s", "20s", "1.5s".
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText writes d as String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a duration with units. Negative durations are refused.
func (d *Duration) UnmarshalText(b []byte) error {
	s := strings.TrimSpace(string(b))
	if _, err := strconv.ParseFloat(s, 64); err == nil && s != "0" {
		return fmt.Errorf("duration %q has no unit: write %ss or %sms", s, s, s)
	}
	if days, rest, ok := strings.Cut(s, "d"); ok {
		if n, err := strconv.ParseFloat(days, 64); err == nil {
			var tail time.Duration
			if rest != "" {
				if tail, err = time.ParseDuration(rest); err != nil {
					return fmt.Errorf("%q is not a duration: write for example 300ms, 20s or 5m", s)
				}
			}
			return d.set(s, n*float64(24*time.Hour)+float64(tail))
		}
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%q is not a duration: write for example 300ms, 20s or 5m", s)
	}
	return d.set(s, float64(v))
}

func (d *Duration) set(s string, ns float64) error {
	switch {
	case math.IsNaN(ns) || ns < 0:
		return fmt.Errorf("duration %q is negative", s)
	case ns > math.MaxInt64/2:
		return fmt.Errorf("duration %q is too long", s)
	}
	*d = Duration(ns)
	return nil
}

// JSONSchema describes the written form.
func (Duration) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{
		Type:        "string",
		Pattern:     `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h|d))+$|^0$|\$\{`,
		Description: "a duration with its unit, such as 300ms, 20s or 5m",
		Examples:    []any{"300ms", "20s", "5m"},
	}
}

// Percent is a share of a whole in percent, written with its sign: "80%",
// "99.9%". It is never negative; its upper bound is the field's own matter.
type Percent float64

// Fraction is p as a share of one.
func (p Percent) Fraction() float64 { return float64(p) / 100 }

// String is p with its sign.
func (p Percent) String() string { return strconv.FormatFloat(float64(p), 'f', -1, 64) + "%" }

// MarshalText writes p as String does.
func (p Percent) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a number followed by a percent sign.
func (p *Percent) UnmarshalText(b []byte) error {
	s := strings.TrimSpace(string(b))
	num, ok := strings.CutSuffix(s, "%")
	if !ok {
		if _, err := strconv.ParseFloat(s, 64); err == nil {
			return fmt.Errorf("percentage %q has no unit: write %s%%", s, s)
		}
		return fmt.Errorf("%q is not a percentage: write for example 80%%", s)
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(num), 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Errorf("%q is not a percentage: write for example 80%%", s)
	}
	if v < 0 {
		return fmt.Errorf("percentage %q is negative", s)
	}
	*p = Percent(v)
	return nil
}

// JSONSchema describes the written form.
func (Percent) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{
		Type: "string", Pattern: `^[0-9]+(\.[0-9]+)?%$|\$\{`,
		Description: "a percentage with its sign, such as 80%", Examples: []any{"80%", "99.9%"},
	}
}

// Bytes is a size, written with its unit: "64MiB", "10MB", "512B".
type Bytes int64

var byteUnits = []struct {
	suffix string
	n      float64
}{
	{"KiB", 1 << 10},
	{"MiB", 1 << 20},
	{"GiB", 1 << 30},
	{"TiB", 1 << 40},
	{"kB", 1e3},
	{"KB", 1e3},
	{"MB", 1e6},
	{"GB", 1e9},
	{"TB", 1e12},
	{"B", 1},
}

// String is b in the largest binary unit that divides it.
func (b Bytes) String() string {
	for i := 3; i >= 0; i-- {
		if u := byteUnits[i]; b != 0 && int64(b)%int64(u.n) == 0 {
			return strconv.FormatInt(int64(b)/int64(u.n), 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(b), 10) + "B"
}

// MarshalText writes b as String does.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads a number followed by a unit of size.
func (b *Bytes) UnmarshalText(t []byte) error {
	s := strings.TrimSpace(string(t))
	for _, u := range byteUnits {
		num, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(num), 64)
		if err != nil {
			break
		}
		if math.IsNaN(v) || v < 0 || v*u.n > math.MaxInt64/2 {
			return fmt.Errorf("size %q is out of range", s)
		}
		*b = Bytes(v * u.n)
		return nil
	}
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return fmt.Errorf("size %q has no unit: write %sMiB or %sB", s, s, s)
	}
	return fmt.Errorf("%q is not a size: write for example 64MiB or 10MB", s)
}

// JSONSchema describes the written form.
func (Bytes) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{
		Type: "string", Pattern: `^[0-9]+(\.[0-9]+)? ?([KMGT]iB|[kKMGT]?B)$|\$\{`,
		Description: "a size with its unit, such as 64MiB", Examples: []any{"64MiB", "10MB"},
	}
}

// Rate is how often something happens, written as a count over a unit of
// time: "20/s", "90/m", "10/h". The zero value never happens.
type Rate struct {
	N   float64       // events
	Per time.Duration // in this time; a second, minute or hour
}

var ratePer = map[string]time.Duration{"s": time.Second, "m": time.Minute, "min": time.Minute, "h": time.Hour}

// PerSecond is r in events a second.
func (r Rate) PerSecond() float64 {
	if r.Per <= 0 {
		return 0
	}
	return r.N / r.Per.Seconds()
}

// Interval is the time from one event to the next; 0 for a zero rate.
func (r Rate) Interval() time.Duration {
	if r.N <= 0 {
		return 0
	}
	return time.Duration(float64(r.Per) / r.N)
}

// IsZero reports whether r is unset.
func (r Rate) IsZero() bool { return r == Rate{} }

// String is r as it is written in a file.
func (r Rate) String() string {
	unit := "s"
	switch r.Per {
	case time.Minute:
		unit = "m"
	case time.Hour:
		unit = "h"
	}
	return strconv.FormatFloat(r.N, 'f', -1, 64) + "/" + unit
}

// MarshalText writes r as String does.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a count over a unit of time.
func (r *Rate) UnmarshalText(b []byte) error {
	s := strings.TrimSpace(string(b))
	num, unit, ok := strings.Cut(s, "/")
	v, err := strconv.ParseFloat(strings.TrimSpace(num), 64)
	if !ok && err == nil {
		return fmt.Errorf("rate %q has no unit: write %s/s", s, s)
	}
	per := ratePer[strings.TrimSpace(unit)]
	if !ok || err != nil || per == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Errorf("%q is not a rate: write for example 20/s or 90/m", s)
	}
	if v <= 0 {
		return errors.New("a rate must be more than zero")
	}
	*r = Rate{N: v, Per: per}
	return nil
}

// JSONSchema describes the written form.
func (Rate) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{
		Type: "string", Pattern: `^[0-9]+(\.[0-9]+)?/(s|m|min|h)$|\$\{`,
		Description: "a rate with its unit of time, such as 20/s", Examples: []any{"20/s", "90/m"},
	}
}

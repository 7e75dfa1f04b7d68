package units

import (
	"encoding"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestDurationsReadAsWritten(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"300ms": 300 * time.Millisecond, "20s": 20 * time.Second, "1m30s": 90 * time.Second, "1.5h": 90 * time.Minute,
		"2d": 48 * time.Hour, "1d12h": 36 * time.Hour, "0": 0, "0s": 0, " 5m ": 5 * time.Minute, "10us": 10 * time.Microsecond,
	} {
		var d Duration
		if err := d.UnmarshalText([]byte(in)); err != nil || d.D() != want {
			t.Errorf("%q: got %v, %v; want %v", in, d.D(), err, want)
		}
		var back Duration
		if err := back.UnmarshalText([]byte(d.String())); err != nil || back != d {
			t.Errorf("%q: written as %q and read back as %v, %v", in, d, back, err)
		}
	}
}

func TestDurationsAreWrittenShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		90 * time.Second: "1m30s", 5 * time.Minute: "5m", 2 * time.Hour: "2h", 0: "0s", 1500 * time.Millisecond: "1.5s",
		time.Hour + time.Second: "1h0m1s", 10 * time.Hour: "10h", 10 * time.Minute: "10m",
	} {
		if got := Duration(d).String(); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}

func TestRoundTrips(t *testing.T) {
	for _, c := range []struct {
		in   string
		into interface {
			encoding.TextUnmarshaler
			encoding.TextMarshaler
		}
		want string
	}{
		{"80%", new(Percent), "80%"},
		{"99.9 %", new(Percent), "99.9%"},
		{"0%", new(Percent), "0%"},
		{"64MiB", new(Bytes), "64MiB"},
		{"1024KiB", new(Bytes), "1MiB"},
		{"10MB", new(Bytes), "10000000B"},
		{"512B", new(Bytes), "512B"},
		{"0B", new(Bytes), "0B"},
		{"1.5 GiB", new(Bytes), "1536MiB"},
		{"20/s", new(Rate), "20/s"},
		{"90/m", new(Rate), "90/m"},
		{"90/min", new(Rate), "90/m"},
		{"0.5/h", new(Rate), "0.5/h"},
	} {
		if err := c.into.UnmarshalText([]byte(c.in)); err != nil {
			t.Errorf("%q: %v", c.in, err)
			continue
		}
		if got, err := c.into.MarshalText(); err != nil || string(got) != c.want {
			t.Errorf("%q: written as %q, %v; want %q", c.in, got, err, c.want)
		}
		if err := c.into.UnmarshalText([]byte(c.want)); err != nil {
			t.Errorf("%q: read back: %v", c.want, err)
		}
	}
}

func TestBadQuantitiesSayWhatToWrite(t *testing.T) {
	for _, c := range []struct {
		into encoding.TextUnmarshaler
		in   string
		want string
	}{
		{new(Duration), "20", "has no unit: write 20s or 20ms"},
		{new(Duration), "1.5", "has no unit"},
		{new(Duration), "-5s", "is negative"},
		{new(Duration), "20 parsecs", "is not a duration"},
		{new(Duration), "", "is not a duration"},
		{new(Duration), "1d5", "is not a duration"},
		{new(Duration), "999999999h", "is not a duration"},
		{new(Duration), "99999999999d", "is too long"},
		{new(Duration), "NaNd", "is negative"},
		{new(Percent), "80", "has no unit: write 80%"},
		{new(Percent), "eighty%", "is not a percentage"},
		{new(Percent), "-1%", "is negative"},
		{new(Percent), "NaN%", "is not a percentage"},
		{new(Percent), "Inf%", "is not a percentage"},
		{new(Bytes), "64", "has no unit: write 64MiB or 64B"},
		{new(Bytes), "64 bananas", "is not a size"},
		{new(Bytes), "-1MiB", "is out of range"},
		{new(Bytes), "NaNB", "is out of range"},
		{new(Bytes), "99999999999TiB", "is out of range"},
		{new(Rate), "20", "has no unit: write 20/s"},
		{new(Rate), "20/d", "is not a rate"},
		{new(Rate), "0/s", "more than zero"},
		{new(Rate), "-1/s", "more than zero"},
		{new(Rate), "Inf/s", "is not a rate"},
		{new(Rate), "fast", "is not a rate"},
	} {
		err := c.into.UnmarshalText([]byte(c.in))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%T %q: got %v, want an error with %q", c.into, c.in, err, c.want)
		}
	}
}

func TestRatesAndShares(t *testing.T) {
	r := Rate{N: 90, Per: time.Minute}
	if r.PerSecond() != 1.5 || r.Interval() != time.Minute/90 || r.IsZero() {
		t.Errorf("90/m: %v a second, every %v", r.PerSecond(), r.Interval())
	}
	var none Rate
	if none.PerSecond() != 0 || none.Interval() != 0 || !none.IsZero() {
		t.Error("the zero rate happens")
	}
	if Percent(80).Fraction() != 0.8 {
		t.Error("80% is not 0.8")
	}
}

// What the schema's patterns take and what the types take must agree.
func TestPatternsAgreeWithTheTypes(t *testing.T) {
	texts := []string{
		"300ms", "20s", "1m30s", "0", "20", "", "2d", "80%", "80", "99.9%", "64MiB", "10 MB", "64", "1kB", "20/s", "90/min", "5/d",
	}
	for _, c := range []struct {
		pattern string
		fresh   func() encoding.TextUnmarshaler
	}{
		{Duration(0).JSONSchema().Pattern, func() encoding.TextUnmarshaler { return new(Duration) }},
		{Percent(0).JSONSchema().Pattern, func() encoding.TextUnmarshaler { return new(Percent) }},
		{Bytes(0).JSONSchema().Pattern, func() encoding.TextUnmarshaler { return new(Bytes) }},
		{Rate{}.JSONSchema().Pattern, func() encoding.TextUnmarshaler { return new(Rate) }},
	} {
		for _, s := range texts {
			read, matched := c.fresh().UnmarshalText([]byte(s)) == nil, regexp.MustCompile(c.pattern).MatchString(s)
			if read != matched {
				t.Errorf("%T %q: read %v, pattern %v", c.fresh(), s, read, matched)
			}
		}
	}
}

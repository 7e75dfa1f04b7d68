package reports

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/squall-chaos/squall/experiments/units"
)

func TestWriteAndReadGiveTheSame(t *testing.T) {
	for _, name := range samples {
		want := sample(t, name)
		path := filepath.Join(t.TempDir(), FileName)
		if err := Write(path, want); err != nil {
			t.Fatal(err)
		}
		got, err := Read(filepath.Dir(path)) // a run's directory will do
		if err != nil {
			t.Fatal(err)
		}
		if err := Write(path+"2", got); err != nil {
			t.Fatal(err)
		}
		a, _ := os.ReadFile(path)
		b, _ := os.ReadFile(path + "2")
		if diff := cmp.Diff(string(a), string(b)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if text(t, want, TextOptions{}) != text(t, got, TextOptions{}) {
			t.Errorf("%s: reads back as something else", name)
		}
	}
}

func TestWriteTakesNumbersThatJSONCannotHold(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	r := &Result{
		Verdict: Inconclusive, Duration: nan,
		Checks: []Check{{Value: inf}, {Value: nan}},
		Faults: []Fault{{Coping: &Coping{Detected: &nan, Recovered: &inf}}},
		Probes: []Probe{{Rate: units.Rate{}, Latency: map[string]float64{"p50": nan, "p99": 1}, Points: []Point{{P50: nan, Value: &nan}}}},
	}
	path := filepath.Join(t.TempDir(), FileName)
	if err := Write(path, r); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.Checks[0].Value != math.MaxFloat64 || got.Checks[1].Value != 0 || got.Faults[0].Coping.Detected != nil || len(got.Probes[0].Latency) != 1 {
		t.Errorf("read back %+v", got)
	}
	if !math.IsNaN(r.Duration) || r.Faults[0].Coping.Detected == nil {
		t.Error("Write changed the result it was given")
	}
	raw, _ := os.ReadFile(path)
	if strings.Contains(string(raw), `"targets": null`) {
		t.Error("a nil list is not stored as an empty one")
	}
}

func TestWriteReplacesWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	if err := Write(path, &Result{Verdict: Held}); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v", info.Mode())
	}
	if err := os.Mkdir(filepath.Join(dir, "taken"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Write(filepath.Join(dir, "taken"), &Result{Verdict: Held}); err == nil {
		t.Error("a directory was replaced")
	}
	left, _ := filepath.Glob(filepath.Join(dir, ".*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestReadSaysWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct{ content, want string }{
		"newer":      {`{"version": 9, "verdict": "held"}`, "has version 9 and this squall reads up to version 1"},
		"torn":       {`{"version": 1, "verd`, "cut short"},
		"other json": {`{"hello": 1}`, "not a stored result"},
		"list":       {`[]`, "not a stored result"},
		"empty":      {``, "not a stored result"},
		"wrong type": {`{"version": 1, "verdict": "held", "checks": 3}`, "checks"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.json")
			if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			r, err := Read(path)
			if err == nil || !strings.Contains(err.Error(), c.want) || r != nil {
				t.Errorf("got %v, %v; want an error with %q", r, err, c.want)
			}
		})
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "squall runs") {
		t.Errorf("missing: %v", err)
	}
}

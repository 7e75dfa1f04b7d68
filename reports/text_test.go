package reports

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var samples = []string{"held", "deviated", "inconclusive", "aborted", "unrecovered", "hostile"}

func sample(t *testing.T, name string) *Result {
	t.Helper()
	r, err := Read(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func text(t *testing.T, r *Result, o TextOptions) string {
	t.Helper()
	var b bytes.Buffer
	if err := Text(&b, r, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got), run with -update if it should:\n%s", path, diff)
	}
}

func TestTextIsAsTheGoldenFiles(t *testing.T) {
	for _, name := range samples {
		for _, width := range []int{80, 200} {
			t.Run(fmt.Sprintf("%s at %d", name, width), func(t *testing.T) {
				got := text(t, sample(t, name), TextOptions{Width: width})
				golden(t, filepath.Join("testdata", fmt.Sprintf("%s.%d.txt", name, width)), got)
			})
		}
	}
}

func TestTextKeepsToTheWidthAndIsInert(t *testing.T) {
	for _, name := range samples {
		r := sample(t, name)
		for width := 40; width <= 220; width += 9 {
			for i, line := range strings.Split(text(t, r, TextOptions{Width: width}), "\n") {
				if n := ansi.StringWidth(line); n > width && !strings.Contains(line, r.Directory) && !strings.Contains(line, Inert(r.Replay)) && !strings.Contains(line, Inert(r.Directory)) {
					t.Errorf("%s at %d, line %d is %d wide: %q", name, width, i+1, n, line)
				}
				if strings.TrimRight(line, " ") != line {
					t.Errorf("%s at %d, line %d ends in spaces: %q", name, width, i+1, line)
				}
				if Inert(line) != line {
					t.Errorf("%s at %d, line %d is not inert: %q", name, width, i+1, line)
				}
			}
		}
	}
}

func TestTextWithoutColorHoldsNoEscapesAndWithColorSaysTheSame(t *testing.T) {
	for _, name := range samples {
		r := sample(t, name)
		plain := text(t, r, TextOptions{Width: 80})
		colored := text(t, r, TextOptions{Width: 80, Color: true})
		if strings.ContainsRune(plain, 0x1b) {
			t.Errorf("%s: escapes without colour", name)
		}
		if !strings.Contains(colored, "\x1b[") {
			t.Errorf("%s: no colour", name)
		}
		if diff := cmp.Diff(plain, ansi.Strip(colored)); diff != "" {
			t.Errorf("%s: colour changes more than colour:\n%s", name, diff)
		}
	}
}

func TestTextOfAnEmptyResult(t *testing.T) {
	got := text(t, &Result{}, TextOptions{})
	if !strings.Contains(got, "does not know this verdict") {
		t.Errorf("an empty result looks like a verdict:\n%s", got)
	}
}

func TestInert(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                "plain",
		"a\nb\tc\rd\u2028e":    "a b c d e",
		"\x1b[31mred\x1b[0m":   "␛[31mred␛[0m",
		"bell\x07 del\x7f":     "bell␇ del␡",
		"\u009b31m":            "\ufffd31m",
		"\u202egpj.exe\u202c":  "gpj.exe",
		"a\u200db\ufe0fc":      "abc",
		"\xff\xfe":             "\ufffd\ufffd",
		"e\u0301\u0302\u0303x": "e\u0301\u0302x",
		"日本":                   "日本",
	} {
		if got := Inert(in); got != want {
			t.Errorf("Inert(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzInert(f *testing.F) {
	f.Add("\x1b]8;;http://x\x07link\x1b\\ \u202e日本\xff")
	f.Fuzz(func(t *testing.T, s string) {
		out := Inert(s)
		if ansi.Strip(out) != out {
			t.Errorf("Inert(%q) = %q still holds escape sequences", s, out)
		}
		if again := Inert(out); again != out {
			t.Errorf("Inert(Inert(%q)) = %q, not %q", s, again, out)
		}
	})
}

func TestSparklineTellsFailuresWithoutColour(t *testing.T) {
	points := []Point{{T: 0, OK: 5, P99: .01}, {T: 1, OK: 5, P99: .16}, {T: 2, OK: 4, Failed: 1, P99: .01}, {T: 3, Failed: 5}, {T: 5, Unmeasured: 2}}
	var got strings.Builder
	for _, c := range Sparkline(points, 0, 6, 6) {
		got.WriteString(c.Glyph)
	}
	if got.String() != "▁█!×·?" {
		t.Errorf("got %q", got.String())
	}
	merged := Sparkline(points, 0, 6, 3)
	if merged[1].Mark != MarkSome {
		t.Errorf("a failure vanished when columns were merged: %+v", merged)
	}
}

func TestSeconds(t *testing.T) {
	for in, want := range map[float64]string{
		0: "0s", .0004: "0.4ms", .002: "2ms", .0124: "12ms", .9999: "1s", 1.24: "1.2s", 59.96: "1m0s", 125: "2m5s", -1: "-1s", 1e300: "–",
	} {
		if got := Seconds(in); got != want {
			t.Errorf("Seconds(%v) = %q, want %q", in, got, want)
		}
	}
}

package experiments_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/squall-chaos/squall/experiments"
	"github.com/squall-chaos/squall/targets"
)

func pick(t *testing.T, s string) experiments.Pick {
	t.Helper()
	var p experiments.Pick
	if s == "" {
		return p
	}
	if err := p.UnmarshalText([]byte(s)); err != nil {
		t.Fatal(err)
	}
	return p
}

func numbered(n int) []targets.Target {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("t%03d", i))
	}
	return targetsOf(names...)
}

func TestPickTakesAsManyAsItSays(t *testing.T) {
	for _, c := range []struct {
		pick      string
		of, taken int
	}{
		{"", 1, 1},
		{"all", 1, 1},
		{"all", 7, 7},
		{"one", 7, 1},
		{"3", 7, 3},
		{"7", 7, 7},
		{"50%", 3, 1}, // never more than asked…
		{"34%", 3, 1},
		{"67%", 3, 2},
		{"1%", 3, 1}, // …but never none
		{"100%", 3, 3},
		{"29%", 100, 29},
		{"99.9%", 3, 2},
	} {
		got, err := pick(t, c.pick).Choose(numbered(c.of), 1, "g")
		if err != nil || len(got) != c.taken {
			t.Errorf("%q of %d: got %v, %v; want %d", c.pick, c.of, namesOf(got), err, c.taken)
		}
	}
}

func TestPickNeverWidens(t *testing.T) {
	for _, c := range []struct {
		pick string
		of   int
		want error
		text string
	}{
		{"", 0, experiments.ErrNoTargets, ""},
		{"all", 0, experiments.ErrNoTargets, ""},
		{"100%", 0, experiments.ErrNoTargets, ""},
		{"", 2, experiments.ErrPickNeeded, "2 match (t000, t001); write pick: all, one"},
		{"", 9, experiments.ErrPickNeeded, "t004, …)"},
		{"3", 2, experiments.ErrTooFew, "2 match, pick asks for 3"},
	} {
		got, err := pick(t, c.pick).Choose(numbered(c.of), 1, "g")
		if !errors.Is(err, c.want) || got != nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%q of %d: got %v, %v", c.pick, c.of, namesOf(got), err)
		}
	}
}

func TestTheChoiceDependsOnSeedNameAndCandidatesAlone(t *testing.T) {
	all := numbered(10)
	first, err := pick(t, "3").Choose(all, 7, "g")
	if err != nil {
		t.Fatal(err)
	}
	backwards := slices.Clone(all)
	slices.Reverse(backwards)
	again, err := pick(t, "3").Choose(backwards, 7, "g")
	if err != nil || !slices.Equal(namesOf(first), namesOf(again)) {
		t.Errorf("another order chose %v, not %v: %v", namesOf(again), namesOf(first), err)
	}
	if namesOf(backwards)[0] != "t009" {
		t.Error("the candidates were reordered in place")
	}
	if names := namesOf(first); !slices.IsSorted(names) {
		t.Errorf("%v is not sorted", names)
	}
	if got := namesOf(first); !slices.Equal(got, []string{"t000", "t001", "t008"}) {
		t.Errorf("seed 7 chose %v: the same seed no longer gives the same storm", got)
	}
}

// Every target is chosen about equally often, over seeds and over names.
func TestTheDrawIsFair(t *testing.T) {
	count := map[string]int{}
	for seed := range uint64(1000) {
		for _, name := range []string{"a", "b"} {
			got, err := pick(t, "one").Choose(numbered(5), seed, name)
			if err != nil {
				t.Fatal(err)
			}
			count[got[0].Name()]++
		}
	}
	for _, target := range numbered(5) {
		if n := count[target.Name()]; n < 320 || n > 480 {
			t.Errorf("%s was chosen %d times of 2000", target.Name(), n)
		}
	}
}

func TestBadPicks(t *testing.T) {
	for _, s := range []string{"", "0", "-1", "none", "1.5", "0%", "101%", "x%", "%", "99999999999999999999"} {
		var p experiments.Pick
		if err := p.UnmarshalText([]byte(s)); err == nil {
			t.Errorf("%q was taken as %v", s, p)
		}
	}
}

package experiments

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/squall-chaos/squall/experiments/units"
	"github.com/squall-chaos/squall/targets"
)

// Errors of choosing targets. ErrNoTargets makes a run inconclusive; the others
// are for the author of the file.
var (
	ErrNoTargets  = errors.New("nothing matches")
	ErrPickNeeded = errors.New("several targets match and the file does not say how many to take")
	ErrTooFew     = errors.New("fewer targets match than pick asks for")
	ErrTooMany    = errors.New("more targets would be disturbed than limits.targets allows")
)

// Pick says how many of the targets that match are taken: all, one, a count or a
// percentage. The zero value takes one only when one matches.
type Pick struct {
	All   bool
	Count int           // if more than 0
	Share units.Percent // if more than 0
}

// UnmarshalText reads "all", "one", a count such as "3", or a percentage such as
// "50%".
func (p *Pick) UnmarshalText(b []byte) error {
	s := strings.TrimSpace(string(b))
	switch s {
	case "all":
		*p = Pick{All: true}
		return nil
	case "one":
		*p = Pick{Count: 1}
		return nil
	}
	if strings.HasSuffix(s, "%") {
		var share units.Percent
		if err := share.UnmarshalText([]byte(s)); err != nil {
			return err
		}
		if share <= 0 || share > 100 {
			return fmt.Errorf("%s is not between 0%% and 100%%", s)
		}
		*p = Pick{Share: share}
		return nil
	}
	n, err := strconv.Atoi(s)
	switch {
	case err != nil:
		return fmt.Errorf("%q is neither all, one, a count nor a percentage: write for example pick: 1", s)
	case n < 1:
		return fmt.Errorf("%s takes nothing: write at least 1", s)
	}
	*p = Pick{Count: n}
	return nil
}

// String is p as a file writes it; empty for the zero value.
func (p Pick) String() string {
	switch {
	case p.All:
		return "all"
	case p.Count > 0:
		return strconv.Itoa(p.Count)
	case p.Share > 0:
		return p.Share.String()
	}
	return ""
}

// MarshalText writes p as String does.
func (p Pick) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// JSONSchema describes the written form.
func (Pick) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{
		Description: "how many of the matching targets are taken; must be written when more than one matches",
		AnyOf: []*jsonschema.Schema{
			{Type: "string", Pattern: `^(all|one|[1-9][0-9]*|[0-9]+(\.[0-9]+)?%)$|\$\{`},
			{Type: "integer", Minimum: "1"},
		},
	}
}

// Choose takes as many of the candidates as p says. The candidates are sorted by
// name before the draw, and the draw depends on the seed and the group's name
// alone, so that another group does not change it. A percentage is rounded down,
// but never to none. What is chosen is sorted by name.
func (p Pick) Choose(candidates []targets.Target, seed uint64, name string) ([]targets.Target, error) {
	sorted := sortTargets(candidates)
	n, err := p.amount(sorted)
	if err != nil {
		return nil, err
	}
	if n == len(sorted) {
		return sorted, nil
	}
	order := drawer(seed, "pick", name).Perm(len(sorted))[:n]
	slices.Sort(order)
	chosen := make([]targets.Target, n)
	for i, at := range order {
		chosen[i] = sorted[at]
	}
	return chosen, nil
}

// sortTargets returns ts in order of their names.
func sortTargets(ts []targets.Target) []targets.Target {
	sorted := slices.Clone(ts)
	slices.SortStableFunc(sorted, func(a, b targets.Target) int {
		return cmp.Or(cmp.Compare(a.Name(), b.Name()), cmp.Compare(a.Ref().ID, b.Ref().ID))
	})
	return sorted
}

func (p Pick) amount(candidates []targets.Target) (int, error) {
	n := len(candidates)
	switch {
	case n == 0:
		return 0, ErrNoTargets
	case p.All:
		return n, nil
	case p.Count > n:
		return 0, fmt.Errorf("%w: %d match, pick asks for %d", ErrTooFew, n, p.Count)
	case p.Count > 0:
		return p.Count, nil
	case p.Share > 0:
		// A share such as 29% has no exact binary form; 29% of 100 are 29.
		return max(1, int(math.Floor(p.Share.Fraction()*float64(n)+1e-9))), nil
	case n == 1:
		return 1, nil
	}
	return 0, fmt.Errorf("%w: %d match (%s); write pick: all, one, a count or a percentage", ErrPickNeeded, n, someNames(candidates))
}

// someNames lists the first few names.
func someNames(ts []targets.Target) string {
	const most = 5
	var names []string
	for _, t := range ts[:min(most, len(ts))] {
		names = append(names, t.Name())
	}
	if len(ts) > most {
		names = append(names, "…")
	}
	return strings.Join(names, ", ")
}

// drawer is the source of randomness for one purpose of a run.
func drawer(seed uint64, purpose, name string) *rand.Rand {
	h := sha256.New()
	_ = binary.Write(h, binary.BigEndian, seed) // a hash takes everything
	h.Write([]byte(purpose + "\x00" + name))
	sum := h.Sum(nil)
	return rand.New(rand.NewPCG(binary.BigEndian.Uint64(sum), binary.BigEndian.Uint64(sum[8:])))
}

package experiments_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/squall-chaos/squall/experiments"
)

// FuzzLoad: whatever a file holds, Load returns experiments that can be planned,
// or Problems that can be printed.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/bad/*", "testdata/good/*", "testdata/plan.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatal(pattern, err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, ".want") {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text, filepath.Ext(name) == ".json")
		}
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte, asJSON bool) {
		name := filepath.Join(dir, "e.yaml")
		if asJSON {
			name = filepath.Join(dir, "e.json")
		}
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		es, err := experiments.Load([]string{name}, options())
		if err != nil {
			var problems experiments.Problems
			if !errors.As(err, &problems) || err.Error() == "" || es != nil {
				t.Fatalf("got %v, %v", es, err)
			}
			return
		}
		for _, e := range es {
			if e.Title == "" || len(e.Hypothesis) == 0 || len(e.Method) == 0 || len(e.Probes) == 0 {
				t.Fatalf("an experiment that cannot hold: %+v", e)
			}
			if p, _ := experiments.Resolve(t.Context(), e, world(boxNames...), 1); p == nil {
				t.Fatal("no plan")
			}
		}
	})
}

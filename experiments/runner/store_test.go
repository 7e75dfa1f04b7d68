package runner

import (
	"os"
	"testing"
	"time"
)

func TestStoreThatIsTheParentItselfNeedsNoLinks(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		_, made, err := Store{Runs: dir}.Create(time.Now(), "one", dir)
		if err != nil {
			t.Fatal(err)
		}
		if st, err := os.Lstat(made); err != nil || !st.IsDir() {
			t.Errorf("%s is no directory: %v", made, err)
		}
	}
	if runs, err := (Store{Runs: dir}).List(); err != nil || len(runs) != 2 {
		t.Errorf("runs %v, %v", runs, err)
	}
}

package injectors

import (
	"os"
	"strings"
	"time"
)

// Failpoints are where a crash is hardest to survive. With
// SQUALL_FAILPOINT=NAME=PATH in its environment, the first agent that comes to
// NAME creates PATH and stays there until it is killed or PATH.go appears. Tests
// use it to kill processes at an exact point.
const (
	pointPlanned   = "planned"   // journal written, nothing applied yet
	pointApplied   = "applied"   // applied, the journal does not know yet
	pointReverting = "reverting" // about to undo
	pointReverted  = "reverted"  // undone, the journal does not know yet
)

func failpoint(name string) {
	path, ok := strings.CutPrefix(os.Getenv("SQUALL_FAILPOINT"), name+"=")
	if !ok {
		return
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return // somebody was here before
	}
	f.Close()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if _, err := os.Stat(path + ".go"); err == nil {
			return
		}
	}
}

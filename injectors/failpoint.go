package injectors

import (
	"os"
	"strings"
)

// Failpoints are where a crash is hardest to survive. With
// SQUALL_FAILPOINT=NAME=PATH in its environment, the first agent that comes to
// NAME creates PATH and stays there for good, until it is killed. Tests use it to
// kill processes at an exact point.
const (
	pointPlanned   = "planned"   // journal written, nothing applied yet
	pointApplied   = "applied"   // applied, the journal does not know yet
	pointReverting = "reverting" // about to undo, the first of several
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
	select {}
}

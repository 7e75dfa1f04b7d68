package verifier

import (
	"time"

	"github.com/squall-chaos/squall/reports"
)

// FaultSpan is when a fault was in force.
type FaultSpan struct {
	Start, End time.Duration
	Until      time.Duration // where the readings stop saying something of this fault: the start of the next one, or the run's end
}

// Cope tells how the subjects went through one fault.
func Cope(subjects []Subject, f FaultSpan) reports.Coping { return reports.Coping{} }

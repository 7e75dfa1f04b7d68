package injectors

import "context"

func init() {
	register(Kind{
		Name: "pause", For: ForRequired, New: func() Spec { return &Pause{} },
		Doc: "freezes the target with all it runs, connections stay open; then lets it go on",
	})
}

// Pause freezes a target: it keeps its memory and its connections and does
// nothing. It has no parameters.
type Pause struct{}

// Validate accepts every Pause.
func (*Pause) Validate() error { return nil }

func (*Pause) String() string { return "" }

func (*Pause) plan(ctx context.Context, r Request) ([]change, error) {
	return planEach(ctx, r, func(v victim) (change, error) { return &freeze{subject: v.subject}, nil })
}

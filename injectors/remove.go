package injectors

import (
	"context"
	"fmt"

	"github.com/squall-chaos/squall/targets"
)

func init() {
	register(Kind{
		Name: "remove", For: ForOptional, New: func() Spec { return &Remove{} },
		Doc: "deletes the target, a container, but not its volumes; with for: it is created again",
	})
}

// Remove ends a target at once and deletes it, leaving its volumes. Brought back,
// it has the same configuration, name, networks and volumes; what it had written
// outside of its volumes is lost. It has no parameters.
type Remove struct{}

// Validate accepts every Remove.
func (*Remove) Validate() error { return nil }

func (*Remove) String() string { return "" }

func (*Remove) plan(ctx context.Context, r Request) ([]change, error) {
	for _, t := range r.Targets {
		if _, ok := t.(targets.Remover); !ok {
			return nil, fmt.Errorf("remove: %s is a target of driver %s, which cannot be removed: use kill", t.Name(), t.Ref().Driver)
		}
	}
	return planDown(ctx, r, down{Manner: byRemove})
}

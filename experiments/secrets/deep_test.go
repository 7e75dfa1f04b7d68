package secrets

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDeepRedactsEveryStringAndNoNumber(t *testing.T) {
	type inner struct {
		S *string
		M map[string][]any
		T time.Time
	}
	type outer struct {
		A [2]string
		I any
		N int
		P *inner
	}
	text := "it is 12345678"
	at := time.Now()
	in := outer{A: [2]string{"12345678", "x"}, I: []string{"a12345678"}, N: 12345678, P: &inner{S: &text, M: map[string][]any{"12345678": {"12345678", 12345678}}, T: at}}
	r := NewRedactor(map[string]string{"pin": "12345678"})
	mark := r.String("12345678")
	said := "it is " + mark
	want := outer{A: [2]string{mark, "x"}, I: []string{"a" + mark}, N: 12345678, P: &inner{S: &said, M: map[string][]any{mark: {mark, 12345678}}, T: at}}
	if diff := cmp.Diff(want, Deep(r, in)); diff != "" {
		t.Error(diff)
	}
	if text != "it is 12345678" || in.A[0] != "12345678" {
		t.Error("the original was changed")
	}
}

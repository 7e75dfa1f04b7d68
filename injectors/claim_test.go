package injectors

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

func TestClaimRefusesTheSecondAndNamesTheHolder(t *testing.T) {
	h := Holder{Run: "20260101-000000-first", Experiment: "the first", Dir: t.TempDir(), PID: os.Getpid(), Since: time.Now()}
	first, err := take(t.Context(), t.Name()+"/state", h)
	if err != nil {
		t.Fatal(err)
	}
	_, err = take(t.Context(), t.Name()+"/state", Holder{Run: "second"})
	if !errors.Is(err, ErrClaimed) || !strings.Contains(err.Error(), h.Run) {
		t.Errorf("second: %v", err)
	}
	holders, err := Holders(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, got := range holders {
		found = found || got.Dir == h.Dir
	}
	if !found {
		t.Errorf("Holders does not list %v", h)
	}
	first.drop()
	again, err := take(t.Context(), t.Name()+"/state", h)
	if err != nil {
		t.Fatalf("after it was dropped: %v", err)
	}
	again.drop()
}

func TestParseSignal(t *testing.T) {
	for _, good := range []string{"KILL", "SIGKILL", "kill", "9"} {
		if sig, err := parseSignal(good); err != nil || sig != 9 {
			t.Errorf("%s: %v %v", good, sig, err)
		}
	}
	for _, bad := range []string{"", "KIL", "0", "-9", "99"} {
		if sig, err := parseSignal(bad); err == nil {
			t.Errorf("%s: %v", bad, sig)
		}
	}
}

func TestEndingKeepsOnlyTheEnd(t *testing.T) {
	var e ending
	for range 100 {
		if n, err := e.Write([]byte(strings.Repeat("x", 1000) + "\n")); n != 1001 || err != nil {
			t.Fatal(n, err)
		}
	}
	_, _ = e.Write([]byte("the last\n"))
	if got := lastLine(e); got != "the last" || len(e) > 16<<10 {
		t.Errorf("%q, %d bytes", got, len(e))
	}
}

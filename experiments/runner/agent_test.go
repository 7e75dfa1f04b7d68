package runner

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/squall-chaos/squall/injectors"
)

// startAgent starts an agent in dir that ends with the test.
func startAgent(t *testing.T, dir string, deadline time.Time) (*injectors.Agent, []injectors.Undone) {
	t.Helper()
	a, undone, err := injectors.StartAgent(t.Context(), injectors.AgentOptions{Dir: dir, Run: "one", Deadline: deadline})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		a.Kill()
		<-a.Gone()
	})
	return a, undone
}

func TestAgentTellsWhatItCannotTakeOver(t *testing.T) {
	dir := t.TempDir()
	journal := `{"stage":"planned","id":"1/x","change":{"id":"1/x","kind":"nonsense","target":"x"}}` + "\nnonsense\n"
	if err := os.WriteFile(filepath.Join(dir, injectors.JournalName), []byte(journal), 0o600); err != nil {
		t.Fatal(err)
	}
	_, undone := startAgent(t, dir, time.Time{})
	if len(undone) != 2 || undone[0].Clean() || undone[1].Clean() {
		t.Errorf("undone %+v, want two that could not be", undone)
	}
}

func TestAgentTellsThatItsDeadlinePassed(t *testing.T) {
	a, _ := startAgent(t, t.TempDir(), time.Now().Add(100*time.Millisecond))
	select {
	case why := <-a.Closed():
		if why != "the run's deadline passed" {
			t.Errorf("closed, because %s", why)
		}
	case <-time.After(20 * time.Second):
		t.Error("the run was not told")
	}
}

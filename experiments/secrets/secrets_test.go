package secrets

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestResolveReadsWhereTheRefSays(t *testing.T) {
	t.Setenv("SQUALL_TEST_TOKEN", "from env")
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("from file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, ref := range map[string]Ref{"from env": {Env: "SQUALL_TEST_TOKEN"}, "from file": {File: file}} {
		if got, err := Resolve(ref); err != nil || got != want {
			t.Errorf("%s: got %q, %v", ref, got, err)
		}
	}
}

func TestResolveSaysWhatToSet(t *testing.T) {
	t.Setenv("SQUALL_TEST_SHORT", "abc")
	t.Setenv("SQUALL_TEST_EMPTY", "")
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		ref     Ref
		want    string
		missing bool
	}{
		{Ref{Env: "SQUALL_TEST_UNSET"}, "set the environment variable SQUALL_TEST_UNSET", true},
		{Ref{Env: "SQUALL_TEST_EMPTY"}, "set the environment variable", true},
		{Ref{Env: "SQUALL_TEST_SHORT"}, "shorter than 4 characters", false},
		{Ref{File: filepath.Join(dir, "none")}, "write it to the file", true},
		{Ref{File: dir}, "not a regular file", true},
		{Ref{File: empty}, "is empty", true},
		{Ref{}, "write {env: NAME} or {file: PATH}", false},
		{Ref{Env: "A", File: "b"}, "not both", false},
		{Ref{Env: "A=B"}, "is not the name", false},
	} {
		_, err := Resolve(c.ref)
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, ErrMissing) != c.missing {
			t.Errorf("%+v: got %v, want %q, missing %v", c.ref, err, c.want, c.missing)
		}
		if err != nil && strings.Contains(err.Error(), "abc") {
			t.Errorf("%+v: the error tells the value: %v", c.ref, err)
		}
	}
}

func TestResolveAllNamesEverySecretThatIsMissing(t *testing.T) {
	t.Setenv("SQUALL_TEST_TOKEN", "there")
	values, err := ResolveAll(map[string]Ref{"a": {Env: "SQUALL_TEST_NONE1"}, "b": {Env: "SQUALL_TEST_NONE2"}, "c": {Env: "SQUALL_TEST_TOKEN"}})
	if err == nil || !strings.Contains(err.Error(), "secret a") || !strings.Contains(err.Error(), "secret b") || values["c"] != "there" {
		t.Errorf("got %v, %v", values, err)
	}
}

func TestExpand(t *testing.T) {
	values := map[string]string{"a": "1", "b": "${a}"}
	for in, want := range map[string]string{
		"plain": "plain", "${a}": "1", "x${a}y${a}": "x1y1", "$${a}": "${a}", "$$${a}": "$${a}", "${b}": "${a}", "$a {a}": "$a {a}", "$": "$", "": "",
		"${a}$${a}${a}": "1${a}1",
	} {
		if got, err := Expand(in, values); err != nil || got != want {
			t.Errorf("%q: got %q, %v; want %q", in, got, err, want)
		}
	}
	for in, want := range map[string]string{"${c}": "is not known", "x ${a": "no closing brace", "${}": "is not known"} {
		if _, err := Expand(in, values); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", in, err, want)
		}
	}
}

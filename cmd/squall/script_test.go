package main

import (
	"encoding/base64"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts holds the program to what its command line promises. Beside the
// usual commands, scripts have
//
//	exits CODE COMMAND…   run a command that must end with this exit code
//	garbage FILE SIZE     make a file of printable nonsense
//	nowhere TEXT PATH…    no file at or below the paths, nor the last output, has the text, in any form in which it could hide
//
// With -update, what cmp compares with standard output is rewritten.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", UpdateScripts: *update, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("XDG_STATE_HOME", filepath.Join(e.WorkDir, "state"))
			for _, name := range []string{"NO_COLOR", "CI", "DOCKER_HOST", "BASE_URL"} {
				e.Setenv(name, "")
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "garbage": garbage, "nowhere": nowhere,
		},
	})
}

// exits runs a command until it was not in want of a processor.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND…")
	}
	for try := 1; ; try++ {
		err := ts.Exec(args[1], args[2:]...)
		var exit *exec.ExitError
		code := 0
		if errors.As(err, &exit) {
			code = exit.ExitCode()
		} else if err != nil {
			ts.Fatalf("%v", err)
		}
		if strconv.Itoa(code) == args[0] {
			return
		}
		if got := (ended{stdout: ts.ReadFile("stdout") + ts.ReadFile("stderr")}); try == 5 || !got.starved() {
			ts.Fatalf("exit code %d, wanted %s", code, args[0])
		}
		ts.Check(os.RemoveAll(filepath.Join(ts.Getenv("XDG_STATE_HOME"), "squall")))
		if i := slices.Index(args, "--out"); i > 0 {
			ts.Check(os.RemoveAll(ts.MkAbs(args[i+1])))
		}
	}
}

func garbage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: garbage FILE SIZE")
	}
	size, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Repeat("-{ [: &x *y ? ! | \n", size/19+1)[:size]), 0o600))
}

func nowhere(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: nowhere TEXT PATH…")
	}
	text := args[0]
	forms := []string{
		text, url.QueryEscape(text), url.PathEscape(text), strings.ReplaceAll(text, `"`, `\"`), strings.ReplaceAll(text, `"`, `\\\"`),
		base64.StdEncoding.EncodeToString([]byte(text)), base64.RawURLEncoding.EncodeToString([]byte(text)),
	}
	look := func(where, in string) {
		for _, f := range forms {
			if strings.Contains(in, f) {
				ts.Fatalf("%s has the secret, as %q", where, f)
			}
		}
	}
	look("stdout", ts.ReadFile("stdout"))
	look("stderr", ts.ReadFile("stderr"))
	seen := 0
	for _, root := range args[1:] {
		ts.Check(filepath.WalkDir(ts.MkAbs(root), func(path string, d os.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			seen++
			b, err := os.ReadFile(path)
			look(path, string(b))
			return err
		}))
	}
	if len(args) > 1 && seen == 0 {
		ts.Fatalf("there is no file to look into")
	}
}

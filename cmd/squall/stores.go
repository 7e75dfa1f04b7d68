package main

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/squall-chaos/squall/experiments/runner"
	"github.com/squall-chaos/squall/injectors"
)

// stores are where runs of this machine may be: the user's own store and, for
// root, everybody's.
func stores() ([]runner.Store, error) {
	own, err := runner.DefaultStore(os.Getenv)
	if err != nil {
		return nil, err
	}
	all := []runner.Store{own}
	if os.Getuid() != 0 {
		return all, nil
	}
	for _, home := range homes() {
		s, err := runner.DefaultStore(func(key string) string {
			if key == "HOME" {
				return home
			}
			return ""
		})
		if err == nil && !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all, nil
}

// homes are the home folders of passwd(5).
func homes() []string {
	f, err := os.Open("/etc/passwd")
	if err != nil {
		return nil
	}
	defer f.Close()
	var dirs []string
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if field := strings.Split(sc.Text(), ":"); len(field) > 5 && filepath.IsAbs(field[5]) {
			dirs = append(dirs, field[5])
		}
	}
	return dirs
}

// runDirs are the directories of all runs that can be found on this machine: in
// the stores, and those of live agents wherever they are.
func runDirs(ctx context.Context) ([]runner.Stored, error) {
	all, err := stores()
	if err != nil {
		return nil, err
	}
	var dirs []runner.Stored
	known := map[string]bool{}
	add := func(s runner.Stored) {
		if !known[s.Dir] {
			known[s.Dir] = true
			dirs = append(dirs, s)
		}
	}
	for i, s := range all {
		runs, err := s.List()
		if err != nil && i == 0 {
			return nil, err
		}
		for _, r := range runs {
			add(r)
		}
	}
	holders, err := injectors.Holders(ctx)
	if err != nil {
		return nil, err
	}
	for _, h := range holders {
		add(runner.Stored{Name: h.Run, Dir: h.Dir})
	}
	return dirs, nil
}

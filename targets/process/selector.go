package process

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Selector names processes. All fields that are set must match; at least one must
// be set. Patterns know *, ? and [ranges], and * matches slashes too.
type Selector struct {
	PID     int    `yaml:"pid,omitempty"`     // one process by its ID; never 1
	Name    string `yaml:"name,omitempty"`    // pattern of the process's name, or of the last part of its first argument
	Exe     string `yaml:"exe,omitempty"`     // pattern of the path of its executable
	Command string `yaml:"command,omitempty"` // regular expression (RE2) that its arguments, joined by spaces, contain
	User    string `yaml:"user,omitempty"`    // name or number of the user it runs as
	Cgroup  string `yaml:"cgroup,omitempty"`  // pattern of the path of one of its cgroups
}

// Validate implements targets.Selector.
func (s *Selector) Validate() error {
	if *s == (Selector{}) {
		return errors.New("a process selector needs at least one of pid, name, exe, command, user or cgroup")
	}
	var errs []error
	if s.PID < 0 {
		errs = append(errs, fmt.Errorf("pid %d is not a process", s.PID))
	}
	if s.PID == 1 {
		errs = append(errs, errors.New("pid 1 is the machine's first process: it is never disturbed"))
	}
	for _, p := range []struct{ field, pattern string }{{"name", s.Name}, {"exe", s.Exe}, {"cgroup", s.Cgroup}} {
		if _, err := path.Match(p.pattern, ""); err != nil {
			errs = append(errs, fmt.Errorf("%s %q is not a pattern: close its bracket or write \\[", p.field, p.pattern))
		}
	}
	if _, err := regexp.Compile(s.Command); err != nil {
		errs = append(errs, fmt.Errorf("command %q is not a regular expression: %w", s.Command, err))
	}
	return errors.Join(errs...)
}

// String implements targets.Selector.
func (s *Selector) String() string {
	var words []string
	add := func(key, value string) {
		if value != "" {
			words = append(words, key+" "+value)
		}
	}
	if s.PID != 0 {
		add("pid", strconv.Itoa(s.PID))
	}
	add("name", s.Name)
	add("exe", s.Exe)
	add("command", s.Command)
	add("user", s.User)
	add("cgroup", s.Cgroup)
	return strings.Join(words, ", ")
}

// matcher is a selector made ready for many processes.
type matcher struct {
	*Selector
	command *regexp.Regexp
	uid     int // -1 for any
}

func (s *Selector) compile() (matcher, error) {
	m := matcher{Selector: s, uid: -1}
	var err error
	if m.command, err = regexp.Compile(s.Command); err != nil || s.User == "" {
		return m, err
	}
	if m.uid, err = strconv.Atoi(s.User); err == nil {
		return m, nil
	}
	u, err := user.Lookup(s.User)
	if err != nil {
		return m, fmt.Errorf("user %q: %w: write a name or a number from /etc/passwd", s.User, err)
	}
	m.uid, err = strconv.Atoi(u.Uid)
	return m, err
}

func (m matcher) matches(st stat) bool {
	return (m.PID == 0 || m.PID == st.pid) && m.matchesName(st) && m.matchesCommand(st.pid) &&
		m.matchesExe(st.pid) && m.matchesUser(st.pid) && m.matchesCgroup(st.pid)
}

func (m matcher) matchesName(st stat) bool {
	if m.Name == "" || match(m.Name, st.comm) {
		return true
	}
	argv, err := readArgv(st.pid)
	return err == nil && len(argv) > 0 && match(m.Name, filepath.Base(argv[0]))
}

func (m matcher) matchesCommand(pid int) bool {
	if m.Command == "" {
		return true
	}
	argv, err := readArgv(pid)
	return err == nil && m.command.MatchString(strings.Join(argv, " "))
}

func (m matcher) matchesExe(pid int) bool {
	if m.Exe == "" {
		return true
	}
	exe, err := os.Readlink(procPath(pid, "exe"))
	return err == nil && match(m.Exe, strings.TrimSuffix(exe, deleted))
}

func (m matcher) matchesUser(pid int) bool {
	if m.uid < 0 {
		return true
	}
	uid, err := readUID(pid)
	return err == nil && uid == m.uid
}

func (m matcher) matchesCgroup(pid int) bool {
	if m.Cgroup == "" {
		return true
	}
	groups, err := readCgroups(pid)
	return err == nil && slices.ContainsFunc(groups, func(g cgroup) bool { return match(m.Cgroup, g.Path) })
}

// match is path.Match for names in which a slash is nothing special.
func match(pattern, s string) bool {
	ok, _ := path.Match(strings.ReplaceAll(pattern, "/", "\x00"), strings.ReplaceAll(s, "/", "\x00"))
	return ok
}

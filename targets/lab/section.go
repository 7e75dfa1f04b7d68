package lab

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/invopop/jsonschema"
	"golang.org/x/sys/unix"

	"github.com/squall-chaos/squall/experiments/units"
)

// maxHosts keeps within the ports of one Linux bridge (1023).
const maxHosts = 1000

// Section is the part of an experiment file under "lab:". In its commands ${lab}
// stands for the lab's own directory.
type Section struct {
	Build Commands        `yaml:"build,omitempty" json:"build,omitempty"`   // run once, in order, before the hosts start, on this machine in the file's directory
	Hosts map[string]Host `yaml:"hosts" json:"hosts" jsonschema:"required"` // by name; a name is a DNS label in lower case
}

// Host is one command that runs as a host of the lab's network, or several when
// Replicas is given.
type Host struct {
	Run        []string          `yaml:"run" json:"run" jsonschema:"required,minItems=1"`                                             // command and arguments, no shell
	Replicas   *int              `yaml:"replicas,omitempty" json:"replicas,omitempty"`                                                // hosts NAME-1 to NAME-N; absent: one host called NAME
	Env        map[string]string `yaml:"env,omitempty" json:"env,omitempty"`                                                          // added to PATH, HOME, LANG and SQUALL_HOST
	Dir        string            `yaml:"dir,omitempty" json:"dir,omitempty"`                                                          // working directory, relative to the file; default: the file's
	Ready      *Ready            `yaml:"ready,omitempty" json:"ready,omitempty"`                                                      // what must be so before the experiment begins
	Restart    string            `yaml:"restart,omitempty" json:"restart,omitempty" jsonschema:"enum=no,enum=always,enum=on-failure"` // no (default), always, on-failure
	StopSignal string            `yaml:"stop_signal,omitempty" json:"stop_signal,omitempty"`                                          // asks the host to end; default TERM
}

// Ready is a condition that a host meets once it can serve. Exactly one of TCP,
// HTTP and Log is given.
type Ready struct {
	TCP     string         `yaml:"tcp,omitempty" json:"tcp,omitempty"`         // ":8080": it accepts connections
	HTTP    string         `yaml:"http,omitempty" json:"http,omitempty"`       // ":7000/health": it answers with a status from 200 to 399
	Log     string         `yaml:"log,omitempty" json:"log,omitempty"`         // this text stands in its log
	Timeout units.Duration `yaml:"timeout,omitempty" json:"timeout,omitempty"` // default 10s
}

// Commands are command lines, each a list of arguments without a shell. In a
// file, one command may be written as a single list.
type Commands [][]string

// UnmarshalYAML reads one command line or a list of them.
func (c *Commands) UnmarshalYAML(unmarshal func(any) error) error {
	var one []string
	if unmarshal(&one) == nil {
		*c = Commands{one}
		return nil
	}
	var many [][]string
	if err := unmarshal(&many); err != nil {
		return errors.New("build must be a command as a list of words, or a list of such commands: write for example [go, build, ./shop]")
	}
	*c = many
	return nil
}

// JSONSchema describes both written forms.
func (Commands) JSONSchema() *jsonschema.Schema {
	word := &jsonschema.Schema{Type: "string"}
	argv := &jsonschema.Schema{Type: "array", Items: word}
	return &jsonschema.Schema{
		OneOf:       []*jsonschema.Schema{argv, {Type: "array", Items: argv}},
		Description: "a command as a list of words, or a list of such commands",
	}
}

// Restart policies.
const (
	restartNo        = "no"
	restartAlways    = "always"
	restartOnFailure = "on-failure"
)

var hostName = regexp.MustCompile(`^[a-z]([a-z0-9-]*[a-z0-9])?$`)

// Validate returns all that is wrong with the section, each error beginning with
// the place in it, such as "hosts.api: run: …".
func (s *Section) Validate() error {
	var errs []error
	for i, argv := range s.Build {
		if err := validArgv(argv); err != nil {
			errs = append(errs, fmt.Errorf("build: command %d: %w", i+1, err))
		}
	}
	if len(s.Hosts) == 0 {
		errs = append(errs, errors.New("hosts: a lab needs at least one host"))
	}
	total := 0
	for _, name := range slices.Sorted(maps.Keys(s.Hosts)) {
		h := s.Hosts[name]
		for _, err := range h.validate(name) {
			errs = append(errs, fmt.Errorf("hosts.%s: %w", name, err))
		}
		total += max(1, len(h.names(name)))
	}
	if total > maxHosts {
		return errors.Join(append(errs, fmt.Errorf("hosts: %d hosts are more than the %d that one lab can have", total, maxHosts))...)
	}
	return errors.Join(append(errs, s.duplicates()...)...)
}

func (s *Section) duplicates() []error {
	var errs []error
	from := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(s.Hosts)) {
		for _, name := range s.Hosts[key].names(key) {
			if first, taken := from[name]; taken {
				errs = append(errs, fmt.Errorf("hosts: %s and %s both make a host called %s: rename one", first, key, name))
			}
			from[name] = key
		}
	}
	return errs
}

func (h Host) validate(name string) []error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch {
	case !hostName.MatchString(name):
		add("%q cannot be a host's name: use lower-case letters, digits and dashes, beginning with a letter", name)
	case len(name) > 58:
		add("the name is longer than 58 characters")
	case name == "localhost":
		add("localhost is every host's own name: choose another")
	}
	if h.Replicas != nil && (*h.Replicas < 1 || *h.Replicas > maxHosts) {
		add("replicas is %d: it must be from 1 to %d; leave it out for a single host without a number", *h.Replicas, maxHosts)
	}
	if err := validArgv(h.Run); err != nil {
		add("run: %w", err)
	}
	if !slices.Contains([]string{"", restartNo, restartAlways, restartOnFailure}, h.Restart) {
		add("restart: %q is not a policy: write no, always or on-failure", h.Restart)
	}
	if _, err := parseSignal(h.StopSignal); err != nil {
		add("stop_signal: %w", err)
	}
	for k, v := range h.Env {
		if k == "" || strings.ContainsAny(k, "=\x00") || strings.Contains(v, "\x00") {
			add("env: %q=%q cannot be an environment variable", k, v)
		}
	}
	if strings.Contains(h.Dir, "\x00") {
		add("dir: %q cannot be a path", h.Dir)
	}
	if err := h.Ready.validate(); err != nil {
		add("ready: %w", err)
	}
	return errs
}

func (r *Ready) validate() error {
	if r == nil {
		return nil
	}
	given := 0
	for _, s := range []string{r.TCP, r.HTTP, r.Log} {
		if s != "" {
			given++
		}
	}
	if given != 1 {
		return fmt.Errorf("%d conditions are given: write exactly one of tcp, http and log", given)
	}
	if r.TCP != "" {
		return validPort("tcp", r.TCP, "")
	}
	if r.HTTP != "" {
		port, path, _ := strings.Cut(r.HTTP, "/")
		return validPort("http", port, "/"+path)
	}
	return nil
}

func validPort(key, s, path string) error {
	port, ok := strings.CutPrefix(s, ":")
	if n, err := strconv.ParseUint(port, 10, 16); !ok || err != nil || n == 0 {
		return fmt.Errorf("%s: %q has no port of the host: write for example %q", key, s+path, ":8080"+path)
	}
	return nil
}

func validArgv(argv []string) error {
	if len(argv) == 0 || argv[0] == "" {
		return errors.New("there is no command: write it as a list of words, such as [./server, -port, \"80\"]")
	}
	for _, a := range argv {
		if strings.Contains(a, "\x00") {
			return fmt.Errorf("%q contains a zero byte", a)
		}
	}
	return nil
}

// parseSignal reads TERM, SIGTERM or 15. Empty is SIGTERM.
func parseSignal(s string) (syscall.Signal, error) {
	if s == "" {
		return syscall.SIGTERM, nil
	}
	if n, err := strconv.Atoi(s); err == nil && n > 0 && n < 65 {
		return syscall.Signal(n), nil
	}
	name := strings.ToUpper(s)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	if sig := unix.SignalNum(name); sig != 0 {
		return sig, nil
	}
	return 0, fmt.Errorf("%q is not a signal: write for example TERM, INT or QUIT", s)
}

// names are the names of the hosts that h makes under its key.
func (h Host) names(key string) []string {
	if h.Replicas == nil {
		return []string{key}
	}
	var names []string
	for i := range min(*h.Replicas, maxHosts) {
		names = append(names, key+"-"+strconv.Itoa(i+1))
	}
	return names
}

// declared is one host after replicas were counted out.
type declared struct {
	name string
	key  string // in the section
	Host
}

// flatten returns all hosts, sorted by name.
func (s *Section) flatten() []declared {
	var all []declared
	for key, h := range s.Hosts {
		for _, name := range h.names(key) {
			all = append(all, declared{name: name, key: key, Host: h})
		}
	}
	slices.SortFunc(all, func(a, b declared) int { return strings.Compare(a.name, b.name) })
	return all
}

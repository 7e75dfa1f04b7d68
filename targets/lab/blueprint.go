package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/squall-chaos/squall/targets"
)

// blueprint resolves all that depends on this machine: variables, paths,
// environment.
func (w *World) blueprint(o targets.StartOptions) (blueprint, error) {
	p := blueprint{Dir: o.Dir}
	var errs []error
	wrong := map[string]bool{} // replicas are all wrong alike
	for _, d := range w.hosts {
		h, err := d.resolve(o)
		if err != nil && !wrong[d.key] {
			wrong[d.key] = true
			errs = append(errs, fmt.Errorf("lab host %s: %w", d.key, err))
		}
		p.Hosts = append(p.Hosts, h)
	}
	return p, errors.Join(errs...)
}

func (d declared) resolve(o targets.StartOptions) (hostPlan, error) {
	argv, err := expandAll(o, d.Run)
	if err != nil {
		return hostPlan{}, err
	}
	dir, err := expand(o, d.Dir)
	if err != nil {
		return hostPlan{}, err
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(o.FileDir, dir)
	}
	env, err := d.environ(o)
	if err != nil {
		return hostPlan{}, err
	}
	if argv[0], err = lookPath(argv[0], dir, env["PATH"]); err != nil {
		return hostPlan{}, err
	}
	sig, err := parseSignal(d.StopSignal)
	plan := hostPlan{Name: d.name, Argv: argv, Dir: dir, Restart: d.Restart, StopSignal: sig}
	for _, k := range slices.Sorted(maps.Keys(env)) {
		plan.Env = append(plan.Env, k+"="+env[k])
	}
	return plan, err
}

// environ is what a host sees: little of the user's own environment, so that an
// experiment does not depend on the shell that it was started from.
func (d declared) environ(o targets.StartOptions) (map[string]string, error) {
	env := map[string]string{"SQUALL_HOST": d.name}
	for _, k := range []string{"PATH", "HOME", "LANG"} {
		if v, ok := os.LookupEnv(k); ok {
			env[k] = v
		}
	}
	for k, v := range d.Env {
		var err error
		if env[k], err = expand(o, v); err != nil {
			return nil, err
		}
	}
	return env, nil
}

// lookPath finds a command as the host will: a path relative to its directory,
// or a bare name in its PATH.
func lookPath(name, dir, path string) (string, error) {
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		if err := executable(name); err != nil {
			return "", fmt.Errorf("run: %w", err)
		}
		return name, nil
	}
	for _, p := range filepath.SplitList(path) {
		if f := filepath.Join(p, name); filepath.IsAbs(f) && executable(f) == nil {
			return f, nil
		}
	}
	return "", fmt.Errorf("run: %q is not in PATH: write a path, such as \"${lab}/%s\" or \"./%s\"", name, name, name)
}

func executable(file string) error {
	fi, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s does not exist: check what run and build say", file)
	case err != nil:
		return err
	case fi.IsDir() || fi.Mode()&0o111 == 0:
		return fmt.Errorf("%s cannot be executed", file)
	}
	return nil
}

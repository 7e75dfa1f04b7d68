package dockertest

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// debianPackage is one package that apt would install.
type debianPackage struct {
	name, version, sha256 string
	depends               []string // the first choice of each dependency
}

// debianClosure returns the named packages and the libraries that they and
// these need, sorted by name. Dependencies other than libraries (users to create,
// services to register) are of no use in an image of one program.
func debianClosure(ctx context.Context, names []string) ([]debianPackage, error) {
	seen := map[string]bool{}
	var all []debianPackage
	for next := names; len(next) > 0; {
		found, err := debianShow(ctx, next)
		if err != nil {
			return nil, err
		}
		for _, n := range next {
			seen[n] = true
		}
		next = nil
		for _, p := range found {
			all = append(all, p)
			for _, d := range p.depends {
				if strings.HasPrefix(d, "lib") && !seen[d] && !slices.Contains(next, d) {
					next = append(next, d)
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b debianPackage) int { return strings.Compare(a.name, b.name) })
	return all, nil
}

// debianShow asks apt's lists, without network, for the packages' candidates.
func debianShow(ctx context.Context, names []string) ([]debianPackage, error) {
	cmd := exec.CommandContext(ctx, "apt-cache", append([]string{"show", "--no-all-versions", "--"}, names...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("needs the Debian packages %s in apt's lists: %w; run apt-get update",
			strings.Join(names, ", "), withStderr(err))
	}
	var found []debianPackage
	for stanza := range strings.SplitSeq(string(out), "\n\n") {
		if p := parseStanza(stanza); p.name != "" {
			found = append(found, p)
		}
	}
	if len(found) != len(names) {
		return nil, fmt.Errorf("needs the Debian packages %s: apt knows only %d of %d; run apt-get update",
			strings.Join(names, ", "), len(found), len(names))
	}
	return found, nil
}

func parseStanza(stanza string) debianPackage {
	var p debianPackage
	lines := bufio.NewScanner(strings.NewReader(stanza))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), ": ")
		switch key {
		case "Package":
			p.name = value
		case "Version":
			p.version = value
		case "SHA256":
			p.sha256 = value
		case "Depends", "Pre-Depends":
			for dep := range strings.SplitSeq(value, ",") {
				first, _, _ := strings.Cut(dep, "|")
				first, _, _ = strings.Cut(strings.TrimSpace(first), " ")
				first, _, _ = strings.Cut(first, ":")
				p.depends = append(p.depends, first)
			}
		}
	}
	return p
}

// debianDownload returns the packages' files, downloading those that the user's
// cache does not have. Files in the cache are named by their content, so
// that tests that run at once do not disturb each other.
func debianDownload(ctx context.Context, debs []debianPackage) ([]string, error) {
	dir, err := debianCache()
	if err != nil {
		return nil, err
	}
	var files, absent []string
	for _, d := range debs {
		file := filepath.Join(dir, d.sha256+".deb")
		files = append(files, file)
		if _, err := os.Stat(file); err != nil {
			absent = append(absent, d.name+"="+d.version)
		}
	}
	if len(absent) > 0 {
		if err := aptDownload(ctx, dir, absent); err != nil {
			return nil, err
		}
	}
	for i, file := range files {
		if _, err := os.Stat(file); err != nil {
			return nil, fmt.Errorf("apt downloaded another %s than its lists promise; run apt-get update", debs[i].name)
		}
	}
	return files, nil
}

func debianCache() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		base = filepath.Join(os.TempDir(), fmt.Sprintf("squall-test-%d", os.Getuid()))
	}
	dir := filepath.Join(base, "squall-test", "debian")
	return dir, os.MkdirAll(dir, 0o755)
}

// aptDownload downloads packages into dir, each named for its content.
func aptDownload(ctx context.Context, dir string, packages []string) error {
	tmp, err := os.MkdirTemp(dir, "download-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"download", "-qq", "--"}, packages...)...)
	cmd.Dir = tmp
	if _, err := cmd.Output(); err != nil {
		return fmt.Errorf("needs the Debian packages %s: %w; run apt-get update", strings.Join(packages, ", "), withStderr(err))
	}
	files, err := filepath.Glob(filepath.Join(tmp, "*.deb"))
	if err != nil {
		return err
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		if err := os.Rename(file, filepath.Join(dir, hex.EncodeToString(sum[:])+".deb")); err != nil {
			return err
		}
	}
	return nil
}

// layer collects packages' files in one tar.
type layer struct {
	out   *tar.Writer
	paths map[string]bool   // all that is in it; the engine refuses a path twice
	has   map[string]bool   // base names of the same
	needs map[string]string // library → a file that is linked with it
}

// add copies the files of a package, without its documentation.
func (l layer) add(ctx context.Context, deb string) error {
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", deb)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	copied := l.copy(tar.NewReader(pipe))
	_, _ = io.Copy(io.Discard, pipe) // so that dpkg-deb ends by itself
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return copied
}

func (l layer) copy(in *tar.Reader) error {
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		h.Name = strings.TrimPrefix(h.Name, "./")
		if h.Name == "" || l.paths[h.Name] || documentation(h.Name) {
			continue
		}
		l.paths[h.Name] = true
		content, err := io.ReadAll(in)
		if err != nil {
			return err
		}
		l.has[path.Base(h.Name)] = true
		l.link(h.Name, content)
		if err := l.out.WriteHeader(h); err != nil {
			return err
		}
		if _, err := l.out.Write(content); err != nil {
			return err
		}
	}
}

func documentation(name string) bool {
	for _, dir := range []string{"usr/share/doc/", "usr/share/man/", "usr/share/locale/", "usr/share/lintian/"} {
		if strings.HasPrefix(name, dir) {
			return true
		}
	}
	return false
}

// link notes which libraries a program or library needs. Plugins that programs
// load only when asked to (in folders of their own) may lack theirs.
func (l layer) link(name string, content []byte) {
	dir := path.Base(path.Dir(name))
	if !strings.HasSuffix(dir, "bin") && !strings.HasSuffix(dir, "-linux-gnu") {
		return
	}
	file, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return // a script, or text
	}
	libs, err := file.ImportedLibraries()
	if err != nil {
		return
	}
	for _, lib := range libs {
		l.needs[lib] = name
	}
}

// withStderr adds what a command wrote to the error it ended with.
func withStderr(err error) error {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && len(exit.Stderr) > 0 {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return err
}

// Package secrets keeps values that a file only refers to. A secret never
// stands in a file, a plan or a journal: those hold a Ref, and whoever needs the
// value resolves it again. Everything that is written for people passes through
// a Redactor.
package secrets

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"
)

// MinLength is the least number of bytes of a secret. A shorter one could not be
// redacted by value: it would occur in harmless text everywhere.
const MinLength = 4

// maxLength bounds a secret read from a file, so that a wrong path does not read
// a disk.
const maxLength = 64 << 10

// ErrMissing says that a secret's value is not where its Ref says.
var ErrMissing = errors.New("the secret is not set")

// Ref says where a secret's value is. Exactly one of the fields is set.
type Ref struct {
	Env  string `yaml:"env,omitempty" json:"env,omitempty"`   // name of an environment variable
	File string `yaml:"file,omitempty" json:"file,omitempty"` // path of a file; one trailing newline is not part of the value
}

// Validate says whether exactly one place is named.
func (r Ref) Validate() error {
	switch {
	case r.Env == "" && r.File == "":
		return errors.New("a secret says where its value is: write {env: NAME} or {file: PATH}")
	case r.Env != "" && r.File != "":
		return errors.New("a secret has one place: write env or file, not both")
	case strings.ContainsAny(r.Env, "=\x00 "):
		return fmt.Errorf("env: %q is not the name of an environment variable", r.Env)
	}
	return nil
}

// String is where the value is, for messages.
func (r Ref) String() string {
	if r.File != "" {
		return "file " + r.File
	}
	return "environment variable " + r.Env
}

// Resolve reads the value that r refers to, now. The error says what to set, and
// wraps ErrMissing when there is no value. It never contains the value.
func Resolve(r Ref) (string, error) {
	if err := r.Validate(); err != nil {
		return "", err
	}
	if r.Env != "" {
		v, ok := os.LookupEnv(r.Env)
		if !ok || v == "" {
			return "", fmt.Errorf("%w: set the environment variable %s", ErrMissing, r.Env)
		}
		return acceptable(r, v)
	}
	b, err := readFile(r.File)
	if err != nil {
		return "", fmt.Errorf("%w: write it to the file %s (%w)", ErrMissing, r.File, err)
	}
	v := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if v == "" {
		return "", fmt.Errorf("%w: the file %s is empty", ErrMissing, r.File)
	}
	return acceptable(r, v)
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if s, err := f.Stat(); err != nil || !s.Mode().IsRegular() {
		return nil, errors.Join(err, errors.New("not a regular file"))
	}
	return io.ReadAll(io.LimitReader(f, maxLength+1))
}

func acceptable(r Ref, v string) (string, error) {
	switch {
	case len(v) < MinLength:
		return "", fmt.Errorf("the secret in %s is shorter than %d characters: it could not be kept out of the output; use a longer one, or a variable if it is not secret", r, MinLength)
	case len(v) > maxLength:
		return "", fmt.Errorf("the secret in %s is longer than %d KiB: is it the right one?", r, maxLength>>10)
	case !utf8.ValidString(v) || strings.ContainsRune(v, 0):
		return "", fmt.Errorf("the secret in %s is not text", r)
	}
	return v, nil
}

// ResolveAll resolves every reference. All errors are joined, each with the
// secret's name.
func ResolveAll(refs map[string]Ref) (map[string]string, error) {
	values := make(map[string]string, len(refs))
	var errs []error
	for _, name := range sortedNames(refs) {
		v, err := Resolve(refs[name])
		if err != nil {
			errs = append(errs, fmt.Errorf("secret %s: %w", name, err))
			continue
		}
		values[name] = v
	}
	return values, errors.Join(errs...)
}

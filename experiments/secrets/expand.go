package secrets

import (
	"fmt"
	"slices"
	"strings"
)

// Expand replaces every ${name} in s by its value, and $${ by a literal ${. A
// name without a value is an error.
func Expand(s string, values map[string]string) (string, error) {
	return Replace(s, func(name string) (string, error) {
		v, ok := values[name]
		if !ok {
			return "", fmt.Errorf("%q is not known: it is neither a variable nor a secret of the file", "${"+name+"}")
		}
		return v, nil
	})
}

// Replace replaces every ${name} in s by what value returns for the name, and
// $${ by a literal ${. What it puts in is not looked at again. It stops at the
// first error, and an unclosed ${ is one.
func Replace(s string, value func(name string) (string, error)) (string, error) {
	if !strings.Contains(s, "${") {
		return s, nil
	}
	var b strings.Builder
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			b.WriteString(s)
			return b.String(), nil
		}
		if i > 0 && s[i-1] == '$' {
			b.WriteString(s[:i-1] + "${")
			s = s[i+2:]
			continue
		}
		end := strings.IndexByte(s[i:], '}')
		if end < 0 {
			return "", fmt.Errorf("%q has no closing brace: write ${name}, or $${ for a literal ${", s[i:min(len(s), i+40)])
		}
		v, err := value(s[i+2 : i+end])
		if err != nil {
			return "", err
		}
		b.WriteString(s[:i] + v)
		s = s[i+end+1:]
	}
}

func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

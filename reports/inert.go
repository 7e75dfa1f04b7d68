package reports

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxMarks is how many combining marks may follow one letter. No language needs
// more; stacked text that would run over the neighbouring lines does.
const maxMarks = 2

// Inert returns s as one line that is safe to show in a terminal, whatever it
// holds. Titles, names, errors and what a program printed all come from outside
// and may try to move the cursor, to recolour or to rearrange a line.
//
// Line breaks and tabs become spaces. Control characters become the visible
// pictures of themselves, so that an escape sequence is seen and not obeyed.
// Characters that only rearrange or join others (bidirectional overrides, zero
// width joiners, variation selectors, byte order marks) are left out, because
// terminals disagree about the width of what follows. Bytes that are not UTF-8
// become U+FFFD.
func Inert(s string) string {
	if plainASCII(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	marks := 0
	for _, r := range s {
		if unicode.In(r, unicode.Mn, unicode.Me) && !selectsVariation(r) {
			if marks++; marks <= maxMarks {
				b.WriteRune(r)
			}
			continue
		}
		if r = inertRune(r); r >= 0 {
			b.WriteRune(r)
			marks = 0
		}
	}
	return b.String()
}

// InertAll is Inert for each of list.
func InertAll(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = Inert(s)
	}
	return out
}

func plainASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

func selectsVariation(r rune) bool { return unicode.Is(unicode.Variation_Selector, r) }

// inertRune is what stands for r; negative: nothing.
func inertRune(r rune) rune {
	switch {
	case r == '\n', r == '\t', r == '\r', r == '\v', r == '\f', r == '\u0085', r == '\u2028', r == '\u2029':
		return ' '
	case r < ' ':
		return 0x2400 + r // the control pictures block
	case r == 0x7f:
		return 0x2421
	case r == utf8.RuneError, unicode.Is(unicode.Cc, r):
		return utf8.RuneError
	case unicode.Is(unicode.Cf, r), selectsVariation(r), r == '\u115f', r == '\u1160', r == '\u3164', r == '\uffa0':
		return -1
	}
	return r
}

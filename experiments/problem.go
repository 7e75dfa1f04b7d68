package experiments

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Problem is one mistake in a file. Line and Column count from 1, columns in
// characters; 0 means that the problem has no place in the text.
type Problem struct {
	File       string
	Line       int
	Column     int
	Offending  string // the text that is wrong, as written
	Message    string
	Suggestion string // what was probably meant; may be empty
	source     string // the line of the file
}

// Error is the problem on one line, "file:line:col: message (did you mean …?)",
// and below it the offending line of the file with a mark, if there is one.
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	if p.File != "" {
		b.WriteString(": ")
	}
	b.WriteString(p.Message)
	if p.Suggestion != "" {
		fmt.Fprintf(&b, " (did you mean %q?)", p.Suggestion)
	}
	if p.Line > 0 && p.source != "" {
		b.WriteString("\n" + p.excerpt())
	}
	return b.String()
}

// excerptWidth is how many characters of a line an excerpt shows at most.
const excerptWidth = 100

func (p Problem) excerpt() string {
	line := []rune(strings.ReplaceAll(p.source, "\t", " "))
	col := min(max(p.Column-1, 0), len(line))
	from := 0
	if len(line) > excerptWidth {
		from = max(0, col-excerptWidth/2)
	}
	to := min(len(line), from+excerptWidth)
	shown := string(line[from:to])
	mark := max(1, min(utf8.RuneCountInString(firstLine(p.Offending)), to-col))
	number := fmt.Sprintf("%6d | ", p.Line)
	gutter := strings.Repeat(" ", len(number)-2) + "| "
	return number + strings.TrimRight(shown, " ") + "\n" + gutter + strings.Repeat(" ", col-from) + strings.Repeat("^", mark)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// Problems are all mistakes of all files, in order of file and place. It is the
// error that Load returns; callers find it with errors.As.
type Problems []Problem

// Error is all problems, one below the other.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// sorted orders by place within each file, keeps the order of files, and leaves
// out what was said twice.
func (ps Problems) sorted() Problems {
	order := map[string]int{}
	for _, p := range ps {
		if _, ok := order[p.File]; !ok {
			order[p.File] = len(order)
		}
	}
	slices.SortStableFunc(ps, func(a, b Problem) int {
		if a.File != b.File {
			return order[a.File] - order[b.File]
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return slices.CompactFunc(ps, func(a, b Problem) bool {
		return a.File == b.File && a.Line == b.Line && a.Column == b.Column && a.Message == b.Message
	})
}

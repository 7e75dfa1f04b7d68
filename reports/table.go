package reports

import (
	"strings"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"
	"github.com/rivo/uniseg"
)

// cell is one field of a table.
type cell struct {
	text  string
	style lipgloss.Style
	right bool // aligned to the right
}

// table lays out rows in aligned columns. The first row is the head.
type table struct {
	rows [][]cell
}

const (
	columnGap = 2
	minColumn = 8 // a wider column may be narrowed to this
)

// lines renders t within width by wrapping the cells of the widest columns, or,
// when that does not do, by writing every row as running text.
func (t table) lines(width int) []string {
	widths, fits := t.widths(width)
	var out []string
	if !fits {
		for _, row := range t.rows[1:] {
			out = append(out, t.prose(row, width)...)
		}
		return out
	}
	for _, row := range t.rows {
		out = append(out, renderRow(row, widths)...)
	}
	return out
}

// prose is row as text, each field after what the head calls it.
func (t table) prose(row []cell, width int) []string {
	var parts []string
	for i, c := range row {
		parts = append(parts, strings.TrimSpace(t.rows[0][i].text+" "+c.text))
	}
	lines := Wrap(strings.Join(parts, " "), width-2)
	for i := range lines {
		if i > 0 {
			lines[i] = "  " + lines[i]
		}
		lines[i] = row[0].style.Render(lines[i])
	}
	return lines
}

// widths finds a width for every column, and whether they fit.
func (t table) widths(width int) ([]int, bool) {
	var widths []int
	for _, row := range t.rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], ansi.StringWidth(c.text))
		}
	}
	total := columnGap * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	for ; total > width; total-- {
		widest := 0
		for i, w := range widths {
			if w > widths[widest] {
				widest = i
			}
		}
		if len(widths) == 0 || widths[widest] <= minColumn {
			return widths, false
		}
		widths[widest]--
	}
	return widths, true
}

func renderRow(row []cell, widths []int) []string {
	wrapped := make([][]string, len(row))
	height := 1
	for i, c := range row {
		wrapped[i] = Wrap(c.text, widths[i])
		height = max(height, len(wrapped[i]))
	}
	out := make([]string, height)
	for y := range out {
		var b strings.Builder
		pending := 0 // spaces owed; those at the end of a line are never paid
		for i, c := range row {
			text := ""
			if y < len(wrapped[i]) {
				text = wrapped[i][y]
			}
			space := max(0, widths[i]-ansi.StringWidth(text))
			if c.right {
				pending += space
			}
			if text != "" {
				b.WriteString(strings.Repeat(" ", pending))
				b.WriteString(c.style.Render(text))
				pending = 0
			}
			if !c.right {
				pending += space
			}
			pending += columnGap
		}
		out[y] = b.String()
	}
	return out
}

// Wrap breaks inert text into lines of at most width cells, at spaces where it
// can, and within words that are wider than a line. It returns at least one line.
func Wrap(text string, width int) []string {
	var lines []string
	line, room := "", width
	for word := range strings.FieldsSeq(text) {
		w := ansi.StringWidth(word)
		if line != "" && w+1 <= room {
			line, room = line+" "+word, room-w-1
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		pieces := chop(word, width)
		lines = append(lines, pieces[:len(pieces)-1]...)
		line = pieces[len(pieces)-1]
		room = width - ansi.StringWidth(line)
	}
	return append(lines, line)
}

// chop cuts a word into pieces of at most width cells, never within a character.
func chop(word string, width int) []string {
	var pieces []string
	piece, used, state := "", 0, -1
	for word != "" {
		var c string
		c, word, _, state = uniseg.FirstGraphemeClusterInString(word, state)
		w := ansi.StringWidth(c)
		if used > 0 && used+w > width {
			pieces, piece, used = append(pieces, piece), "", 0
		}
		piece, used = piece+c, used+w
	}
	return append(pieces, piece)
}

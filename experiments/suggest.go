package experiments

import "strings"

// nearest is the one of the candidates that text was probably meant to be, or
// "" when none is near.
func nearest(text string, candidates []string) string {
	const tooLong = 64
	if text == "" || len(text) > tooLong {
		return ""
	}
	lower := strings.ToLower(text)
	best, least := "", 1+max(1, len(text)/3)
	for _, c := range candidates {
		if d := distance(lower, strings.ToLower(c), least); d < least {
			best, least = c, d
		}
	}
	return best
}

// Nearest returns the one of the candidates that text most probably was meant to
// be, or nothing when none is near.
func Nearest(text string, candidates []string) string { return nearest(text, candidates) }

// distance is how many letters must be added, left out, changed or swapped with
// the next to make b of a (optimal string alignment); most if it is at least
// that.
func distance(a, b string, most int) int {
	s, t := []rune(a), []rune(b)
	if len(s)-len(t) >= most || len(t)-len(s) >= most {
		return most
	}
	var before, last, row []int
	for j := 0; j <= len(t); j++ {
		last = append(last, j)
	}
	for i := 1; i <= len(s); i++ {
		row = make([]int, len(t)+1)
		row[0] = i
		for j := 1; j <= len(t); j++ {
			cost := 1
			if s[i-1] == t[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return min(last[len(t)], most)
}

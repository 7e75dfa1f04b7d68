package secrets

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Mask stands where a secret was.
const Mask = "‹secret›"

// Redactor takes the values of secrets out of what is written, in the forms in
// which they usually appear: as they are, escaped for JSON, for a URL's query or
// path, and in base64, alone or behind a user's name as in basic authentication.
// A nil Redactor, and one without values, changes nothing. It is safe for
// concurrent use.
type Redactor struct {
	forms   []string // longest first
	replace *strings.Replacer
}

// NewRedactor returns a Redactor for values. Values shorter than MinLength are
// left out: Resolve refuses them.
func NewRedactor(values map[string]string) *Redactor {
	seen := map[string]bool{}
	for _, v := range values {
		if len(v) < MinLength {
			continue
		}
		for _, f := range formsOf(v) {
			seen[f] = true
		}
	}
	r := &Redactor{}
	for f := range seen {
		if len(f) >= MinLength {
			r.forms = append(r.forms, f)
		}
	}
	// The longest first: a secret that contains another is taken out whole.
	slices.SortFunc(r.forms, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	pairs := make([]string, 0, 2*len(r.forms))
	for _, f := range r.forms {
		pairs = append(pairs, f, Mask)
	}
	r.replace = strings.NewReplacer(pairs...)
	return r
}

// formsOf lists how v may appear in text.
func formsOf(v string) []string {
	forms := []string{
		v, url.QueryEscape(v), url.PathEscape(v),
		strings.ReplaceAll(url.QueryEscape(v), "+", "%20"),
		(&url.URL{Path: v}).EscapedPath(), url.User(v).String(),
	}
	for _, html := range []bool{true, false} {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(html)
		_ = e.Encode(v) // text always encodes
		quoted := strings.TrimSuffix(b.String(), "\n")
		forms = append(forms, quoted[1:len(quoted)-1])
	}
	forms = append(forms, base64Forms(v)...)
	// Text that quotes text escapes twice.
	for _, f := range slices.Clone(forms) {
		q, _ := json.Marshal(f)
		forms = append(forms, string(q[1:len(q)-1]))
	}
	return forms
}

// base64Forms lists what base64 makes of v at each of the three places where it
// may begin within what is encoded, without the characters at the ends that
// also depend on its neighbours.
func base64Forms(v string) []string {
	var forms []string
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		whole := enc.EncodeToString([]byte(v))
		forms = append(forms, whole, strings.TrimRight(whole, "="))
		for shift := range 3 {
			s := enc.WithPadding(base64.NoPadding).EncodeToString(append(make([]byte, shift), v...))
			first := (shift*8 + 5) / 6 // the first character that depends on v alone
			last := (shift + len(v)) * 8 / 6
			if core := s[first:last]; len(core) >= 2*MinLength {
				forms = append(forms, core)
			}
		}
	}
	return forms
}

// String returns s without secrets.
func (r *Redactor) String(s string) string {
	if r == nil || len(r.forms) == 0 {
		return s
	}
	return r.replace.Replace(s)
}

// Strings returns the elements of list without secrets, as a new list.
func (r *Redactor) Strings(list []string) []string {
	out := slices.Clone(list)
	for i, s := range out {
		out[i] = r.String(s)
	}
	return out
}

// Bytes returns b without secrets; b itself is not changed.
func (r *Redactor) Bytes(b []byte) []byte {
	if r == nil || len(r.forms) == 0 {
		return b
	}
	return []byte(r.replace.Replace(string(b)))
}

// Error returns err with its text redacted; errors.Is and As still see err. It
// returns nil for nil.
func (r *Redactor) Error(err error) error {
	if err == nil || r == nil || len(r.forms) == 0 {
		return err
	}
	if text := r.String(err.Error()); text != err.Error() {
		return redacted{text: text, err: err}
	}
	return err
}

type redacted struct {
	text string
	err  error
}

func (r redacted) Error() string { return r.text }
func (r redacted) Unwrap() error { return r.err }

// Writer returns a writer that passes on to w what is written to it, without
// secrets, also those that are split across writes. It holds back only an end
// that may be the beginning of a secret; Close passes that on too, and does not
// close w. It is safe for concurrent use.
func (r *Redactor) Writer(w io.Writer) io.WriteCloser { return &writer{r: r, w: w} }

type writer struct {
	mu   sync.Mutex
	r    *Redactor
	w    io.Writer
	held []byte
}

// Write accepts all of p; an error is that of the underlying writer.
func (w *writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.r == nil || len(w.r.forms) == 0 {
		return w.w.Write(p)
	}
	w.held = append(w.held, p...)
	done, rest := w.r.split(string(w.held))
	w.held = append(w.held[:0], rest...)
	if done == "" {
		return len(p), nil
	}
	if _, err := io.WriteString(w.w, done); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close passes on what is held back.
func (w *writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.held) == 0 {
		return nil
	}
	rest := w.r.String(string(w.held))
	w.held = nil
	_, err := io.WriteString(w.w, rest)
	return err
}

// split returns what of s can be said for sure, redacted, and the rest, which
// begins where a secret may begin that has not been written to its end.
func (r *Redactor) split(s string) (done, rest string) {
	from := max(0, len(s)-r.longest()+1)
	for cut := from; cut < len(s); cut++ {
		if !r.begins(s[cut:]) {
			continue
		}
		// What is complete before the cut may reach across it.
		if end := r.lastEnd(s, cut); end > cut {
			cut = end - 1
			continue
		}
		return r.String(s[:cut]), s[cut:]
	}
	return r.String(s), ""
}

func (r *Redactor) longest() int { return len(r.forms[0]) }

func (r *Redactor) begins(tail string) bool {
	for _, f := range r.forms {
		if len(tail) < len(f) && strings.HasPrefix(f, tail) {
			return true
		}
	}
	return false
}

// lastEnd is where the last secret ends that begins before cut and that the
// replacement will find whole.
func (r *Redactor) lastEnd(s string, cut int) int {
	for i := 0; i < cut; {
		n := 0
		for _, f := range r.forms {
			if strings.HasPrefix(s[i:], f) {
				n = len(f)
				break
			}
		}
		if n == 0 {
			i++
			continue
		}
		if i += n; i > cut {
			return i
		}
	}
	return cut
}

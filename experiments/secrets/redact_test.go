package secrets

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
)

var values = map[string]string{
	"token":  `p@ss"wörd/<&>+%\ 1`,
	"prefix": "hunter2",
	"longer": "hunter2hunter2-and-more",
	"lines":  "line one\nline two",
}

// disguises are the forms in which a value is likely to be written.
func disguises(v string) map[string]string {
	quoted, _ := json.Marshal(v)
	twice, _ := json.Marshal(string(quoted))
	header := "Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+v))
	return map[string]string{
		"raw": v, "json": string(quoted), "json in json": string(twice), "go": fmt.Sprintf("%q", map[string]string{"v": string(quoted)}),
		"query": "https://x/?a=" + url.QueryEscape(v) + "&b=1", "path": "https://x/" + url.PathEscape(v) + "/y",
		"url":      (&url.URL{Scheme: "https", Host: "x", Path: "/" + v}).String(),
		"userinfo": (&url.URL{Scheme: "https", Host: "x", User: url.UserPassword("me", v)}).Redacted() + url.UserPassword("me", v).String(),
		"base64":   base64.StdEncoding.EncodeToString([]byte(v)), "raw base64": base64.RawStdEncoding.EncodeToString([]byte(v)),
		"url base64": base64.URLEncoding.EncodeToString([]byte(v)), "basic": header, "bearer": "Authorization: Bearer " + v,
	}
}

// left says whether text still tells v in any form.
func left(text, v string) bool {
	for _, f := range formsOf(v) {
		if strings.Contains(text, f) {
			return true
		}
	}
	return false
}

func TestNoFormOfASecretIsLeft(t *testing.T) {
	r := NewRedactor(values)
	for _, v := range values {
		for how, text := range disguises(v) {
			got := r.String("before " + text + " after")
			if left(got, v) || !strings.Contains(got, Mask) {
				t.Errorf("%s of %q: %q", how, v, got)
			}
			if !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") {
				t.Errorf("%s of %q: what is around it is gone: %q", how, v, got)
			}
		}
	}
}

func TestALongerSecretIsTakenOutWhole(t *testing.T) {
	if got := NewRedactor(values).String("x hunter2hunter2-and-more y"); got != "x "+Mask+" y" {
		t.Errorf("got %q", got)
	}
}

func TestBase64AtEveryPlace(t *testing.T) {
	r := NewRedactor(values)
	for _, before := range []string{"", "a", "ab", "abc", "user:"} {
		for _, after := range []string{"", "x", "xy"} {
			text := base64.StdEncoding.EncodeToString([]byte(before + values["longer"] + after))
			if got := r.String(text); !strings.Contains(got, Mask) {
				t.Errorf("%q, %q: %q", before, after, got)
			}
		}
	}
}

func TestANilRedactorChangesNothing(t *testing.T) {
	for _, r := range []*Redactor{nil, NewRedactor(nil), NewRedactor(map[string]string{"short": "abc"})} {
		err := errors.New("abc")
		if r.String("abc") != "abc" || string(r.Bytes([]byte("abc"))) != "abc" || !errors.Is(r.Error(err), err) || r.Strings([]string{"abc"})[0] != "abc" {
			t.Error("something changed")
		}
		var b bytes.Buffer
		w := r.Writer(&b)
		if _, err := w.Write([]byte("abc")); err != nil || b.String() != "abc" {
			t.Errorf("wrote %q, %v", b.String(), err)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAnErrorKeepsWhatItIs(t *testing.T) {
	r := NewRedactor(values)
	err := r.Error(fmt.Errorf("dial hunter2: %w", os.ErrNotExist))
	if err.Error() != "dial "+Mask+": file does not exist" || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if r.Error(nil) != nil {
		t.Error("an error of nothing")
	}
}

// Whatever the text is and however it is split, the writer writes what String
// makes of the whole.
func TestAWriterCatchesWhatIsSplit(t *testing.T) {
	r := NewRedactor(values)
	rng := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"hunter", "hunter2", "hunter2hunter2-and-mor", "hunter2hunter2-and-more", values["token"], "line one\nline", "line one\nline two", " ", "h", "2", "\n", "text "}
	for range 2000 {
		var whole strings.Builder
		for range rng.IntN(8) + 1 {
			whole.WriteString(pieces[rng.IntN(len(pieces))])
		}
		var b bytes.Buffer
		w := r.Writer(&b)
		for rest := whole.String(); rest != ""; {
			n := min(len(rest), 1+rng.IntN(9))
			if m, err := w.Write([]byte(rest[:n])); m != n || err != nil {
				t.Fatalf("wrote %d of %d: %v", m, n, err)
			}
			rest = rest[n:]
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if want := r.String(whole.String()); b.String() != want {
			t.Fatalf("%q: wrote %q, want %q", whole.String(), b.String(), want)
		}
	}
}

func TestAWriterHoldsBackNoMoreThanItMust(t *testing.T) {
	var b bytes.Buffer
	w := NewRedactor(values).Writer(&b)
	fmt.Fprintln(w, "nothing to hide here")
	if b.String() != "nothing to hide here\n" {
		t.Errorf("held back: %q", b.String())
	}
	fmt.Fprint(w, "my hunt")
	if b.String() != "nothing to hide here\nmy " {
		t.Errorf("held back: %q", b.String())
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestAWriterTellsErrors(t *testing.T) {
	w := NewRedactor(values).Writer(broken{})
	if _, err := w.Write([]byte("plain text\n")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestAWriterTakesManyAtOnce(t *testing.T) {
	var b bytes.Buffer
	w := NewRedactor(values).Writer(&b)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 100 {
				fmt.Fprint(w, "say hunter2 now\n")
			}
		})
	}
	group.Wait()
	if got := strings.Count(b.String(), "say "+Mask+" now\n"); got != 800 {
		t.Errorf("%d of 800 lines", got)
	}
}

func BenchmarkRedact(b *testing.B) {
	r := NewRedactor(values)
	line := strings.Repeat("an ordinary line of output without secrets ", 4)
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		r.String(line)
	}
}

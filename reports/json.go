package reports

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"github.com/squall-chaos/squall/experiments/units"
)

// FileName is the name of a stored Result in the directory of its run.
const FileName = "result.json"

// Write stores r at path, as Encode writes it, readable by its owner only. The
// file appears whole or not at all, and is on the disk when Write returns.
func Write(path string, r *Result) error {
	var b bytes.Buffer
	if err := Encode(&b, r); err != nil {
		return err
	}
	if err := replaceFile(path, b.Bytes()); err != nil {
		return fmt.Errorf("storing the result: %w", err)
	}
	return nil
}

// Encode writes r as JSON. Lists that are nil are written as empty lists.
// Numbers that JSON cannot hold are written as the nearest that it can: an
// infinity as the largest number, what is not a number as null or, where there
// is no null, as 0.
func Encode(w io.Writer, r *Result) error {
	clean, _ := storable(reflect.ValueOf(r).Elem())
	doc := clean.Interface().(Result)
	if doc.Version == 0 {
		doc.Version = Version
	}
	text, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the result: %w", err)
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// Read reads a stored Result. path may also name the directory of a run. A
// result of a newer version than this program knows is refused.
func Read(path string) (*Result, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, FileName)
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("result %s: %w: squall runs lists the runs that have one", path, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("result: %w", err)
	}
	return parse(path, text)
}

func parse(path string, text []byte) (*Result, error) {
	var head struct {
		Version *int    `json:"version"`
		Verdict Verdict `json:"verdict"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, fmt.Errorf("result %s: not a stored result, or one that was cut short: %w", path, err)
	}
	switch {
	case head.Version == nil || *head.Version < 1 || head.Verdict == "":
		return nil, fmt.Errorf("result %s: this JSON is not a stored result (no version or no verdict); name a run's directory or its %s", path, FileName)
	case *head.Version > Version:
		return nil, fmt.Errorf("result %s has version %d and this squall reads up to version %d; read it with the squall that wrote it, or a newer one", path, *head.Version, Version)
	}
	var r Result
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("result %s: %w", path, err)
	}
	return &r, nil
}

// replaceFile puts text at path by renaming a finished file over it.
func replaceFile(path string, text []byte) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(text); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

var textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()

// storable returns a copy of v with which encoding/json succeeds. It reports
// false when v is a float that is not a number.
func storable(v reflect.Value) (reflect.Value, bool) {
	out := reflect.New(v.Type()).Elem()
	switch v.Kind() {
	case reflect.Float64:
		f := v.Float()
		out.SetFloat(finite(f))
		return out, !math.IsNaN(f)
	case reflect.Pointer:
		if !v.IsNil() {
			if e, ok := storable(v.Elem()); ok {
				out.Set(reflect.New(v.Type().Elem()))
				out.Elem().Set(e)
			}
		}
	case reflect.Slice:
		out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			e, _ := storable(v.Index(i))
			out.Index(i).Set(e)
		}
	case reflect.Map:
		out.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
		for k, e := range v.Seq2() {
			if e, ok := storable(e); ok {
				out.SetMapIndex(k, e)
			}
		}
	case reflect.Struct:
		out.Set(v)
		if rate, ok := v.Interface().(units.Rate); ok && !(rate.PerSecond() > 0) {
			out.SetZero() // such a rate could not be read back
		}
		if v.Type() == reflect.TypeFor[time.Time]() || v.Type().Implements(textMarshaler) {
			break
		}
		for i := range v.NumField() {
			e, _ := storable(v.Field(i))
			out.Field(i).Set(e)
		}
	default:
		out.Set(v)
	}
	return out, true
}

func finite(f float64) float64 {
	switch {
	case math.IsNaN(f):
		return 0
	case math.IsInf(f, 1):
		return math.MaxFloat64
	case math.IsInf(f, -1):
		return -math.MaxFloat64
	}
	return f
}

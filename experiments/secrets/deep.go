package secrets

import "reflect"

// Deep returns a copy of v in which every string, wherever it is, is without
// secrets; also the keys of maps. Numbers stay as they are, even if they look like
// a secret's value. Unexported fields are copied as they are.
func Deep[T any](r *Redactor, v T) T {
	if r == nil || len(r.forms) == 0 {
		return v
	}
	return r.deep(reflect.ValueOf(&v).Elem()).Interface().(T)
}

func (r *Redactor) deep(v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	switch v.Kind() {
	case reflect.String:
		out.SetString(r.String(v.String()))
	case reflect.Pointer:
		if !v.IsNil() {
			out.Set(reflect.New(v.Type().Elem()))
			out.Elem().Set(r.deep(v.Elem()))
		}
	case reflect.Interface:
		if !v.IsNil() {
			out.Set(r.deep(v.Elem()))
		}
	case reflect.Slice:
		if !v.IsNil() {
			out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		}
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			out.Index(i).Set(r.deep(v.Index(i)))
		}
	case reflect.Map:
		if !v.IsNil() {
			out.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
		}
		for it := v.MapRange(); it.Next(); {
			out.SetMapIndex(r.deep(it.Key()), r.deep(it.Value()))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				out.Field(i).Set(r.deep(v.Field(i)))
			}
		}
	}
	return out
}

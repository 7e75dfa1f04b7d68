// Package secrets keeps values that a file only refers to. A secret never
// stands in a file, a plan or a journal: those hold a Ref, and whoever needs the
// value resolves it again. Everything that is written for people passes through
// a Redactor.
package secrets

// Ref says where a secret's value is. Exactly one of the fields is set.
type Ref struct {
	Env  string `yaml:"env,omitempty" json:"env,omitempty"`   // name of an environment variable
	File string `yaml:"file,omitempty" json:"file,omitempty"` // path of a file; one trailing newline is not part of the value
}

// Package verifier turns readings into verdicts on claims. It is pure: no
// clocks, no goroutines, no files; the same readings always give the same
// judgement.
package verifier

// Package verifier turns readings into verdicts. A Series holds what one probe
// read, a Claim says what a file expects of it, Judge lays the one on a Window
// of the other, and Verdict rolls everything of a run up into one word.
//
// It is pure: no clocks, no goroutines, no files; the same readings always give
// the same judgement. Where readings are missing, few or not what a claim is
// about, the answer is "unknown", never "held".
package verifier

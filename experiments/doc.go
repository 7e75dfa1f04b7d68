// Package experiments reads experiment files: it turns text into an Experiment
// that is complete, typed and checked, or into Problems that say where each
// mistake is and what was probably meant. It also chooses the targets an
// experiment disturbs and makes the Plan of what will happen, from nothing but
// the file, the seed and the world.
//
// The package touches nothing: it reads files and asks drivers what exists.
// Running an experiment is the matter of package runner.
//
// The types to know are Experiment, Problems and Plan.
package experiments

package main

import (
	"crypto/rand"
	"encoding/binary"

	"github.com/spf13/cobra"

	"github.com/squall-chaos/squall/experiments"
)

// seedFlag is --seed.
type seedFlag struct{ value uint64 }

func (s *seedFlag) register(c *cobra.Command) {
	c.Flags().Uint64Var(&s.value, "seed", 0, "`NUMBER` from which every random choice derives; default the file's, else drawn and printed")
}

// of is the seed for e: the flag's, else the file's, else a new one.
func (s *seedFlag) of(c *cobra.Command, e *experiments.Experiment) uint64 {
	switch {
	case c.Flags().Changed("seed"):
		return s.value
	case e.Seed != nil:
		return *e.Seed
	}
	var b [8]byte
	rand.Read(b[:])                              // never fails
	return uint64(binary.BigEndian.Uint32(b[:])) // short enough to be said aloud
}

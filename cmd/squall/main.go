// Command squall injects faults into running systems, watches how they cope,
// puts everything back, and says with evidence whether they held.
package main

import (
	"io"
	"log"
	"os"

	"github.com/squall-chaos/squall/targets/lab"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == lab.InitCommand {
		os.Exit(lab.InitMain(os.Args[2:]))
	}
	log.SetOutput(io.Discard) // libraries write there, into the middle of the live view
	os.Exit(execute(os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
}

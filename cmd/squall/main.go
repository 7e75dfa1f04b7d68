// Command squall injects faults into running systems, watches how they cope,
// puts everything back, and says with evidence whether they held.
package main

import (
	"os"

	"github.com/squall-chaos/squall/targets/lab"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == lab.InitCommand {
		os.Exit(lab.InitMain(os.Args[2:]))
	}
	os.Exit(execute(os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
}

package main

import (
	"github.com/squall-chaos/squall/injectors"
	"github.com/squall-chaos/squall/targets"
	"github.com/squall-chaos/squall/targets/docker"
	"github.com/squall-chaos/squall/targets/lab"
	"github.com/squall-chaos/squall/targets/process"
)

// allDrivers are all the kinds of targets that this program knows. Making them
// touches nothing.
func allDrivers() []targets.Driver {
	return []targets.Driver{docker.New(docker.Options{}), lab.New(), process.New()}
}

func byName(all []targets.Driver) injectors.Drivers {
	m := injectors.Drivers{}
	for _, d := range all {
		m[d.Name()] = d
	}
	return m
}

package docker

import (
	"os"
	"regexp"
)

// idPattern is a container ID as a part of a path.
var idPattern = regexp.MustCompile(`\b[0-9a-f]{64}\b`)

// ownContainers returns the IDs of all containers that this process may run in:
// they stand in the paths of its cgroups, and of the files that an engine mounts
// into a container (/etc/hostname and its like, below …/containers/ID/).
func ownContainers() []string {
	var ids []string
	for _, path := range []string{"/proc/self/cgroup", "/proc/self/mountinfo"} {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		ids = append(ids, containersIn(string(b))...)
	}
	return ids
}

// mounted is a path of the kind that an engine mounts into a container.
var mounted = regexp.MustCompile(`/containers/([0-9a-f]{64})/(?:hostname|hosts|resolv\.conf) /etc/`)

func containersIn(text string) []string {
	var ids []string
	for _, m := range mounted.FindAllStringSubmatch(text, -1) {
		ids = append(ids, m[1])
	}
	for _, m := range cgroupLine.FindAllString(text, -1) {
		ids = append(ids, idPattern.FindAllString(m, -1)...)
	}
	return ids
}

// cgroupLine is a line of /proc/PID/cgroup (cgroups(7)).
var cgroupLine = regexp.MustCompile(`(?m)^\d+:[^:]*:/.*$`)

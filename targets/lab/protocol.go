package lab

import (
	"syscall"
	"time"

	"github.com/squall-chaos/squall/targets"
)

// controlName is the control socket in a lab's directory. A client connects,
// writes one request as a line of JSON, reads one reply and disconnects; what
// disconnects early is given up.
const controlName = "control"

// op is what a client can ask of a lab's init.
type op string

const (
	opList    op = "list"
	opState   op = "state"  // the reply carries a pidfd of the host's first process, if it runs
	opSocket  op = "socket" // the reply carries a new socket in the host's network
	opSignal  op = "signal"
	opKill    op = "kill"
	opStop    op = "stop"
	opStart   op = "start"
	opPause   op = "pause"
	opUnpause op = "unpause"
	opRestart op = "restart"
)

type request struct {
	Op      op             `json:"op"`
	Host    string         `json:"host,omitempty"` // empty for opList, and for opSocket outside of all hosts
	Signal  syscall.Signal `json:"signal,omitempty"`
	Grace   time.Duration  `json:"grace,omitempty"`
	Network string         `json:"network,omitempty"` // tcp4, tcp6, udp4 or udp6
}

type reply struct {
	Error string      `json:"error,omitempty"`
	Gone  bool        `json:"gone,omitempty"` // Error says that the host does not exist
	Hosts []hostState `json:"hosts,omitempty"`
}

// hostState is a host as its supervisor sees it.
type hostState struct {
	Name     string         `json:"name"`
	V4       string         `json:"v4"`
	V6       string         `json:"v6,omitempty"` // empty where the kernel has no IPv6
	Epoch    string         `json:"epoch"`
	Status   targets.Status `json:"status"`
	ExitCode int            `json:"exit_code,omitempty"`
	Restarts int            `json:"restarts,omitempty"`
	Started  time.Time      `json:"started,omitzero"`
	Detail   string         `json:"detail,omitempty"`
}

// blueprint is what the init needs to run a lab; the starting process sends it.
type blueprint struct {
	Dir   string     `json:"dir"` // for logs and the table of hosts
	Hosts []hostPlan `json:"hosts"`
}

// hostPlan is one host with everything resolved.
type hostPlan struct {
	Name       string         `json:"name"`
	Argv       []string       `json:"argv"` // the first is a path
	Env        []string       `json:"env"`
	Dir        string         `json:"dir"`
	Restart    string         `json:"restart,omitempty"`
	StopSignal syscall.Signal `json:"stop_signal"`
}

// greeting is what the init says once all hosts were started, or could not be.
type greeting struct {
	Error string `json:"error,omitempty"`
}

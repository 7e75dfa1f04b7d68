package main

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/squall-chaos/squall/injectors"
	"github.com/squall-chaos/squall/targets/lab"
)

// TestMain lets the test program be what the tests start: squall itself, when it
// is called so or by a command that squall gives itself, and the processes that
// squall disturbs. Nobody calls a test program with such a first argument.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case injectors.AgentCommand, lab.InitCommand, idleCommand:
			main()
		case roleIdle, roleStubborn, roleServe:
			act(os.Args[1], os.Args[2:])
		}
	}
	// Most tests here wait for processes: how many may do so at the same time is no
	// matter of processors.
	_ = flag.Set("test.parallel", "8")
	testscript.Main(m, map[string]func(){"squall": main})
}

// The parts that the test program can play as a target.
const (
	roleIdle     = "test-idle"     // handles SIGHUP and goes on; ends at SIGTERM
	roleStubborn = "test-stubborn" // ignores SIGTERM
	roleServe    = "test-serve"    // answers HTTP at the address that follows
)

func act(role string, args []string) {
	switch role {
	case roleIdle:
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	case roleStubborn:
		signal.Ignore(syscall.SIGTERM)
	case roleServe:
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
		l, err := net.Listen("tcp", args[0])
		if err == nil {
			err = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }))
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	select {}
}

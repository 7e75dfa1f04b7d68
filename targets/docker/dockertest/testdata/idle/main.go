// Command idle is the only program in the containers of tests: it waits, and
// does what its flags say.
package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	serve := flag.String("http", "", "serve HTTP at this address: / tells the host's name")
	grace := flag.Duration("term-after", 0, "how long after SIGTERM to exit")
	code := flag.Int("term-code", 0, "exit code after SIGTERM")
	deaf := flag.Bool("ignore-term", false, "do not exit on SIGTERM")
	crash := flag.Duration("crash-after", 0, "exit with code 1 after this time; 0 is never")
	flag.Parse()

	terms := make(chan os.Signal, 1)
	signal.Notify(terms, syscall.SIGTERM)
	failed := make(chan error, 1)
	if *serve != "" {
		http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
			host, _ := os.Hostname()
			fmt.Fprintln(w, host)
		})
		go func() { failed <- http.ListenAndServe(*serve, nil) }()
	}
	var crashed <-chan time.Time
	if *crash > 0 {
		crashed = time.After(*crash)
	}
	fmt.Println("ready")
	for {
		select {
		case <-terms:
			if !*deaf {
				time.Sleep(*grace)
				os.Exit(*code)
			}
		case err := <-failed:
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		case <-crashed:
			os.Exit(1)
		}
	}
}

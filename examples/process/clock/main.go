// Command clock is a plain process: it tells the time over HTTP, keeps nothing,
// and is watched over by nobody.
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8071", "address to serve HTTP on")
	flag.Parse()
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "It is %s.\n", time.Now().Format(time.TimeOnly))
	})
	server := &http.Server{Addr: *listen, ReadHeaderTimeout: 5 * time.Second}
	log.SetFlags(0)
	log.Fatalln("clock:", server.ListenAndServe())
}

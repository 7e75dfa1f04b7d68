// Command writer is a small service that keeps its data in Redis, as an
// application would: it asks the sentinels which server is the primary and
// writes to that one.
//
//	PUT /write   writes one record; 200 once the primary and -copies replicas have it
//	GET /lost    how many of the acknowledged records are no longer there
//	GET /nodes   which server is what, as the servers themselves say
//
// It tries each thing once: who asks it sees every failure.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	listen := flag.String("listen", ":8080", "address to serve HTTP on")
	sentinels := flag.String("sentinels", "", "addresses of the sentinels, separated by commas")
	nodes := flag.String("nodes", "", "addresses of the servers, separated by commas")
	primary := flag.String("primary", "records", "the sentinels' name for the primary")
	copies := flag.Int("copies", 1, "replicas that must have a record before it is acknowledged")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, *listen, store{
		records: newRecords(*primary, strings.Split(*sentinels, ","), *copies),
		nodes:   strings.Split(*nodes, ","),
	}); err != nil {
		log.SetFlags(0)
		log.Println("writer:", err)
		os.Exit(1)
	}
}

// store is what the service keeps its data in.
type store struct {
	records *records
	nodes   []string
}

// serve answers requests until ctx ends.
func serve(ctx context.Context, listen string, s store) error {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /write", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(s.records.write(r.Context()))
	})
	mux.HandleFunc("GET /lost", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(s.records.lost(r.Context()))
	})
	mux.HandleFunc("GET /nodes", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(rolesOf(r.Context(), s.nodes), nil)
	})
	server := &http.Server{Addr: listen, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.ListenAndServe(); ctx.Err() == nil {
		return err
	}
	return nil
}

// answer writes a value as JSON, or why there is none.
func answer(w http.ResponseWriter) func(v any, err error) {
	return func(v any, err error) {
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			v = map[string]string{"error": err.Error()}
		}
		_ = json.NewEncoder(w).Encode(v)
	}
}

// Command shop is a very small shop: replicas of an api that knows prices, and a
// gateway that spreads requests over them. It is what the quickstart's
// experiments disturb.
//
//	shop api     -listen :7000
//	shop gateway -listen :8080 -backends api-1:7000,api-2:7000 -retries 2
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "shop:", err)
		os.Exit(1)
	}
}

// run serves until ctx is done.
func run(ctx context.Context, args []string, log io.Writer) error {
	if len(args) == 0 {
		return errors.New("say what to be: shop api, or shop gateway")
	}
	flags := flag.NewFlagSet("shop "+args[0], flag.ContinueOnError)
	flags.SetOutput(log)
	switch args[0] {
	case "api":
		listen := flags.String("listen", ":"+envOr("PORT", "7000"), "`address` to serve on; its default port is $PORT")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return serve(ctx, *listen, api(envOr("SQUALL_HOST", "api")))
	case "gateway":
		o := options{log: log}
		listen := flags.String("listen", ":8080", "`address` to serve on")
		backends := flags.String("backends", "", "addresses of the api's replicas, `host:port,…`")
		flags.IntVar(&o.retries, "retries", 2, "how often a request that failed is tried again, on another replica each time")
		flags.DurationVar(&o.timeout, "timeout", 250*time.Millisecond, "how long one try may take")
		flags.DurationVar(&o.health, "health", 500*time.Millisecond, "how often each replica is asked whether it is well")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		o.backends = strings.FieldsFunc(*backends, func(r rune) bool { return r == ',' || r == ' ' })
		g, err := newGateway(o)
		if err != nil {
			return err
		}
		go g.pool.watch(ctx, o.health)
		return serve(ctx, *listen, g.routes())
	}
	return fmt.Errorf("%q is nothing a shop has: say shop api, or shop gateway", args[0])
}

// serve answers on address until ctx is done, and then finishes what it began.
func serve(ctx context.Context, address string, h http.Handler) error {
	s := &http.Server{Addr: address, Handler: h, ReadHeaderTimeout: 5 * time.Second}
	drained := make(chan error, 1)
	go func() {
		<-ctx.Done()
		patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		drained <- s.Shutdown(patience)
	}()
	if err := s.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-drained
}

func envOr(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

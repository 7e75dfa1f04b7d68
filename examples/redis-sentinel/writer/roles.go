package main

import (
	"context"
	"net"
	"sync"

	"github.com/redis/go-redis/v9"
)

// roles is what the servers say they are.
type roles struct {
	Roles     map[string]string `json:"roles"`     // by host: primary, replica, resyncing or away
	Primaries int               `json:"primaries"` // how many say that they are one
	Replicas  int               `json:"replicas"`  // how many follow a primary and have caught up
}

// rolesOf asks all servers at once. One that does not answer is away.
func rolesOf(ctx context.Context, nodes []string) roles {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	said := make([]string, len(nodes))
	var all sync.WaitGroup
	for i, node := range nodes {
		all.Go(func() { said[i] = roleOf(ctx, node) })
	}
	all.Wait()
	r := roles{Roles: map[string]string{}}
	for i, node := range nodes {
		host, _, err := net.SplitHostPort(node)
		if err != nil {
			host = node
		}
		r.Roles[host] = said[i]
		switch said[i] {
		case "primary":
			r.Primaries++
		case "replica":
			r.Replicas++
		}
	}
	return r
}

// roleOf asks one server for its role. A new connection each time shows what is
// so now, not what was when the last one was opened.
func roleOf(ctx context.Context, node string) string {
	client := redis.NewClient(&redis.Options{Addr: node, MaxRetries: -1, DialTimeout: patience})
	defer client.Close()
	answer, err := client.Do(ctx, "ROLE").Slice()
	if err != nil || len(answer) == 0 {
		return "away"
	}
	switch {
	case answer[0] == "master":
		return "primary"
	case len(answer) > 3 && answer[3] == "connected":
		return "replica"
	default:
		return "resyncing"
	}
}

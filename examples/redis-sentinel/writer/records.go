package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// patience is how long the service waits for a server. It is short, so that a
// server that is gone is noticed rather than waited for.
const patience = 500 * time.Millisecond

// records writes numbered records to whoever is the primary and remembers which
// ones were acknowledged.
type records struct {
	client *redis.Client
	key    string // the hash that holds this process's records
	copies int

	mu           sync.Mutex
	next         int
	acknowledged map[string]struct{}
}

func newRecords(primary string, sentinels []string, copies int) *records {
	return &records{
		client: redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName:    primary,
			SentinelAddrs: sentinels,
			MaxRetries:    -1,
			DialTimeout:   patience,
			ReadTimeout:   2 * patience, // WAIT alone may take one
			WriteTimeout:  patience,
		}),
		key:          "records:" + strconv.FormatInt(time.Now().UnixNano(), 36),
		copies:       copies,
		acknowledged: map[string]struct{}{},
	}
}

type written struct {
	Record int `json:"record"`
	Copies int `json:"copies"` // replicas that have it
}

// write stores the next record. An error leaves open whether it was stored.
func (r *records) write(ctx context.Context) (written, error) {
	r.mu.Lock()
	r.next++
	n := r.next
	r.mu.Unlock()

	field := strconv.Itoa(n)
	var wait *redis.Cmd
	_, err := r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.HSet(ctx, r.key, field, time.Now().Format(time.RFC3339Nano))
		wait = p.Do(ctx, "WAIT", r.copies, patience.Milliseconds())
		return nil
	})
	if err != nil {
		return written{}, fmt.Errorf("write record %d: %w", n, err)
	}
	copies, err := wait.Int()
	if err != nil {
		return written{}, fmt.Errorf("write record %d: %w", n, err)
	}
	if copies < r.copies {
		return written{}, fmt.Errorf("write record %d: %d of %d replicas have it", n, copies, r.copies)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.acknowledged[field] = struct{}{}
	return written{Record: n, Copies: copies}, nil
}

type losses struct {
	Acknowledged int `json:"acknowledged"`
	Lost         int `json:"lost"`
}

// lost compares what was acknowledged with what the present primary has.
func (r *records) lost(ctx context.Context) (losses, error) {
	r.mu.Lock()
	acknowledged := maps.Clone(r.acknowledged)
	r.mu.Unlock()

	there, err := r.client.HKeys(ctx, r.key).Result()
	if err != nil {
		return losses{}, fmt.Errorf("read records: %w", err)
	}
	l := losses{Acknowledged: len(acknowledged)}
	slices.Sort(there)
	for field := range acknowledged {
		if _, ok := slices.BinarySearch(there, field); !ok {
			l.Lost++
		}
	}
	return l, nil
}

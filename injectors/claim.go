package injectors

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A claim on a resource is an abstract Unix socket (unix(7)) whose name is made
// from the resource: the kernel lets one process bind it, whoever runs it and
// wherever its files are, and frees it when that process ends. Whoever connects
// is told the holder.
const claimPrefix = "@squall/claim/"

func claimName(resource string) string {
	sum := sha256.Sum256([]byte(resource))
	return fmt.Sprintf("%s%x", claimPrefix, sum[:12])
}

type claim struct{ l net.Listener }

// ErrClaimed says that somebody else holds what was to be disturbed.
var ErrClaimed = errors.New("already being disturbed")

// take claims a resource for h. It wraps ErrClaimed and names the holder when the
// resource is taken.
func take(ctx context.Context, resource string, h Holder) (*claim, error) {
	name := claimName(resource)
	l, err := net.Listen("unix", name)
	if errors.Is(err, unix.EADDRINUSE) {
		return nil, fmt.Errorf("%s is %w by %s", strings.TrimSuffix(resource, "/state"), ErrClaimed, askHolder(ctx, name))
	}
	if err != nil {
		return nil, fmt.Errorf("claim %s: %w", resource, err)
	}
	go answer(l, h)
	return &claim{l}, nil
}

// answer tells everybody who connects who the holder is, until l is closed.
func answer(l net.Listener, h Holder) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_ = c.SetDeadline(time.Now().Add(time.Second))
		_ = json.NewEncoder(c).Encode(h)
		c.Close()
	}
}

func (c *claim) drop() { c.l.Close() }

// heldBy says who holds a resource, for a message; nothing when nobody does.
func heldBy(ctx context.Context, resource string) string {
	name := claimName(resource)
	if _, err := holderOf(ctx, name); err != nil {
		return ""
	}
	return ": it is " + ErrClaimed.Error() + " by " + askHolder(ctx, name)
}

// askHolder asks a claim who holds it, for a message.
func askHolder(ctx context.Context, name string) string {
	h, err := holderOf(ctx, name)
	if err != nil {
		return "another run of squall"
	}
	return fmt.Sprintf("run %s (%q, agent process %d): wait for it, or undo it with squall recover %s", h.Run, h.Experiment, h.PID, h.Run)
}

func holderOf(ctx context.Context, name string) (Holder, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var (
		d net.Dialer
		h Holder
	)
	c, err := d.DialContext(ctx, "unix", name)
	if err != nil {
		return h, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	return h, json.NewDecoder(c).Decode(&h)
}

// Holders returns the agents that hold claims on this machine now, whoever runs
// them, each once. It reads /proc/net/unix and asks each claim.
func Holders(ctx context.Context) ([]Holder, error) {
	f, err := os.Open("/proc/net/unix")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []Holder
	seen := map[string]bool{}
	for sc := bufio.NewScanner(f); sc.Scan(); {
		i := strings.Index(sc.Text(), claimPrefix)
		if i < 0 {
			continue
		}
		h, err := holderOf(ctx, strings.TrimSpace(sc.Text()[i:]))
		if err != nil || seen[h.Dir] {
			continue
		}
		seen[h.Dir] = true
		all = append(all, h)
	}
	return all, nil
}

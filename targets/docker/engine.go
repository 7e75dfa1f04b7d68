package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/versions"
	"github.com/docker/docker/client"
)

// oldest is the oldest version of the engine's API that is spoken: Docker 20.10.
const oldest = "1.41"

// engine is a connection to a Docker engine.
type engine struct {
	*client.Client
	endpoint endpoint
}

// connect returns the engine, which answered at least once.
func (d *driver) connect(ctx context.Context) (*engine, error) {
	d.mu.Lock()
	known := d.engine
	d.mu.Unlock()
	if known != nil {
		return known, nil
	}
	e, err := dial(ctx, d.options)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.engine == nil {
		d.engine = e
	}
	return d.engine, nil
}

func dial(ctx context.Context, o Options) (*engine, error) {
	at, err := o.endpoint()
	if err != nil {
		return nil, fmt.Errorf("docker: %w", err)
	}
	transport := &http.Transport{
		TLSClientConfig:     at.tls,
		MaxIdleConns:        64, // many containers are disturbed at once
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     30 * time.Second,
	}
	cli, err := client.NewClientWithOpts(
		client.WithHTTPClient(&http.Client{Transport: transport, CheckRedirect: client.CheckRedirect}),
		client.WithHost(at.host), client.WithVersionFromEnv(), client.WithAPIVersionNegotiation())
	if err != nil {
		return nil, fmt.Errorf("docker: engine at %s (from %s): %w", at.host, at.from, err)
	}
	e := &engine{cli, at}
	ping, err := cli.Ping(ctx)
	if err != nil {
		return nil, e.fail(ctx, "ask the engine", err)
	}
	cli.NegotiateAPIVersionPing(ping)
	if versions.LessThan(cli.ClientVersion(), oldest) {
		return nil, fmt.Errorf("docker: the engine at %s speaks API %s, and %s is needed: upgrade it to Docker 20.10 or later",
			at.host, cli.ClientVersion(), oldest)
	}
	return e, nil
}

// inspect reads a container. Every part of the answer that others use is there.
func (e *engine) inspect(ctx context.Context, id string) (container.InspectResponse, error) {
	c, err := e.ContainerInspect(ctx, id)
	if err == nil && (c.ContainerJSONBase == nil || c.State == nil || c.Config == nil || c.HostConfig == nil) {
		err = errors.New("the engine's answer is incomplete")
	}
	return c, err
}

// fail wraps an error of the engine with what was done, and says what to do when
// no engine answered.
func (e *engine) fail(ctx context.Context, doing string, err error) error {
	if !client.IsErrConnectionFailed(err) || ctx.Err() != nil {
		return fmt.Errorf("docker: %s: %w", doing, err)
	}
	at := fmt.Sprintf("%s (from %s)", e.endpoint.host, e.endpoint.from)
	switch cause := e.endpoint.try(ctx); {
	case cause == nil:
		return fmt.Errorf("docker: %s: the engine at %s cut the connection: was it restarted? %w", doing, at, err)
	case errors.Is(cause, fs.ErrPermission):
		return fmt.Errorf("docker: no permission for the engine at %s: add yourself to group docker or run as root: %w", at, cause)
	case errors.Is(cause, fs.ErrNotExist), errors.Is(cause, syscall.ECONNREFUSED):
		return fmt.Errorf("docker: no Docker engine at %s: is it running? set DOCKER_HOST if it is elsewhere: %w", at, cause)
	default:
		return fmt.Errorf("docker: no answer from the engine at %s: check DOCKER_HOST: %w", at, cause)
	}
}

// try opens a connection only, for its error: the client's own leaves the cause out.
func (p endpoint) try(ctx context.Context) error {
	network, address := p.address()
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, address)
	if err != nil {
		return err
	}
	return conn.Close()
}

func (p endpoint) address() (network, address string) {
	network, address, _ = strings.Cut(p.host, "://")
	if network == "unix" {
		return network, address
	}
	u, err := url.Parse(p.host)
	if err != nil {
		return "tcp", address
	}
	return "tcp", u.Host
}

// local reports whether the engine may run on this kernel. A process of a
// container must still be looked at: a socket can lead into a virtual machine.
func (p endpoint) local() bool {
	network, address := p.address()
	if network == "unix" {
		return true
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

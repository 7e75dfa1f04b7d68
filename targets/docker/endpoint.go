package docker

import (
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/docker/docker/client"
	"github.com/docker/go-connections/tlsconfig"
)

// endpoint is where an engine is and how it was chosen.
type endpoint struct {
	host string // URL
	from string // what named it, for people
	tls  *tls.Config
}

// endpoint chooses the engine in the order of the docker command.
func (o Options) endpoint() (endpoint, error) {
	if o.Host != "" {
		return fromHost(o.Host, "the options")
	}
	if host := os.Getenv("DOCKER_HOST"); host != "" {
		return fromHost(host, "DOCKER_HOST")
	}
	dir, err := configDir()
	if err != nil {
		return endpoint{host: client.DefaultDockerHost, from: "the default"}, nil
	}
	if context := os.Getenv("DOCKER_CONTEXT"); context != "" {
		return fromContext(dir, context, "DOCKER_CONTEXT")
	}
	context, err := currentContext(dir)
	if err != nil {
		return endpoint{}, err
	}
	return fromContext(dir, context, filepath.Join(dir, "config.json"))
}

func configDir() (string, error) {
	if dir := os.Getenv("DOCKER_CONFIG"); dir != "" {
		return dir, nil
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".docker"), err
}

func currentContext(dir string) (string, error) {
	path := filepath.Join(dir, "config.json")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var config struct {
		CurrentContext string `json:"currentContext"`
	}
	if err := json.Unmarshal(b, &config); err != nil {
		return "", fmt.Errorf("%s: %w: repair it or set DOCKER_HOST", path, err)
	}
	return config.CurrentContext, nil
}

// fromHost is an engine named by its URL. As with the docker command, TLS is on
// when DOCKER_TLS_VERIFY or DOCKER_TLS is set, with the files in DOCKER_CERT_PATH.
func fromHost(host, from string) (endpoint, error) {
	p := endpoint{host: host, from: from}
	if err := p.check(); err != nil {
		return p, err
	}
	verify := os.Getenv("DOCKER_TLS_VERIFY") != ""
	if strings.HasPrefix(host, "unix://") || !verify && os.Getenv("DOCKER_TLS") == "" {
		return p, nil
	}
	dir := os.Getenv("DOCKER_CERT_PATH")
	if dir == "" {
		var err error
		if dir, err = configDir(); err != nil {
			return p, err
		}
	}
	var err error
	p.tls, err = clientTLS(dir, !verify)
	return p, err
}

// fromContext is an engine named by a context, which the docker command keeps
// under the SHA-256 of its name.
func fromContext(dir, context, from string) (endpoint, error) {
	if context == "" || context == "default" {
		return endpoint{host: client.DefaultDockerHost, from: "the default"}, nil
	}
	sum := sha256.Sum256([]byte(context))
	id := hex.EncodeToString(sum[:])
	path := filepath.Join(dir, "contexts", "meta", id, "meta.json")
	b, err := os.ReadFile(path)
	if err != nil {
		return endpoint{}, fmt.Errorf("context %q (from %s): %w: see docker context ls", context, from, err)
	}
	var meta struct {
		Endpoints struct {
			Docker struct {
				Host          string
				SkipTLSVerify bool
			} `json:"docker"`
		}
	}
	if err := json.Unmarshal(b, &meta); err != nil {
		return endpoint{}, fmt.Errorf("context %q: %s: %w", context, path, err)
	}
	docker := meta.Endpoints.Docker
	p := endpoint{host: cmp.Or(docker.Host, client.DefaultDockerHost), from: fmt.Sprintf("context %q", context)}
	if err := p.check(); err != nil {
		return p, err
	}
	material := filepath.Join(dir, "contexts", "tls", id, "docker")
	if _, err := os.Stat(material); errors.Is(err, fs.ErrNotExist) && !docker.SkipTLSVerify {
		return p, nil
	}
	if strings.HasPrefix(p.host, "unix://") {
		return p, nil
	}
	p.tls, err = clientTLS(material, docker.SkipTLSVerify)
	return p, err
}

// check refuses hosts that would not work, before anything is dialled.
func (p endpoint) check() error {
	scheme, rest, ok := strings.Cut(p.host, "://")
	switch {
	case !ok || rest == "":
		return fmt.Errorf("engine %q (from %s) is not a URL: write for example unix:///run/docker.sock or tcp://10.0.0.5:2376", p.host, p.from)
	case scheme == "ssh":
		return fmt.Errorf("engine %s (from %s): SSH is not spoken here: forward the socket with"+
			" ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock HOST and set DOCKER_HOST=unix:///tmp/docker.sock", p.host, p.from)
	case scheme != "unix" && scheme != "tcp" && scheme != "http" && scheme != "https":
		return fmt.Errorf("engine %s (from %s): no way to speak %s: use unix:// or tcp://", p.host, p.from, scheme)
	}
	return nil
}

// clientTLS reads ca.pem, cert.pem and key.pem of dir, each if it is there.
func clientTLS(dir string, insecure bool) (*tls.Config, error) {
	file := func(name string) string {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err != nil {
			return ""
		}
		return path
	}
	config, err := tlsconfig.Client(tlsconfig.Options{
		CAFile: file("ca.pem"), CertFile: file("cert.pem"), KeyFile: file("key.pem"),
		InsecureSkipVerify: insecure, ExclusiveRootPools: true,
	})
	if err != nil {
		return nil, fmt.Errorf("TLS files in %s: %w", dir, err)
	}
	return config, nil
}

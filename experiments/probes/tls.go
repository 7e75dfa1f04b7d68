package probes

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// TLS says how the other end is trusted and how we show who we are. Paths are
// relative to the experiment file.
type TLS struct {
	Insecure   bool   `yaml:"insecure,omitempty"`    // take any certificate
	CA         string `yaml:"ca,omitempty"`          // file of PEM certificates to trust instead of the machine's
	ServerName string `yaml:"server_name,omitempty"` // name to expect in the certificate and to send as SNI; default: the host that is dialled
	Cert       string `yaml:"cert,omitempty"`        // file with our PEM certificate; needs key
	Key        string `yaml:"key,omitempty"`         // file with its PEM key; needs cert
}

func (t *TLS) validate() error {
	switch {
	case t == nil:
		return nil
	case (t.Cert == "") != (t.Key == ""):
		return errors.New("tls: cert and key go together: give both or none")
	case t.Insecure && t.CA != "":
		return errors.New("tls: insecure takes any certificate, so that ca has no effect: leave one out")
	}
	return nil
}

// config reads the files.
func (t *TLS) config(dir string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if t == nil {
		return c, nil
	}
	c.InsecureSkipVerify = t.Insecure
	c.ServerName = t.ServerName
	if t.CA != "" {
		pem, err := os.ReadFile(within(dir, t.CA))
		if err != nil {
			return nil, fmt.Errorf("tls: ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls: ca: there is no PEM certificate in %s", t.CA)
		}
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(within(dir, t.Cert), within(dir, t.Key))
		if err != nil {
			return nil, fmt.Errorf("tls: cert: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// within is path, relative to dir unless it is absolute.
func within(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

package dockertest

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
)

// debianRecipe changes whenever the same packages should give another image.
const debianRecipe = "1"

// DebianImage makes sure that the engine has an image of the named Debian
// packages and returns its tag. The image holds the packages, the libraries
// that they need and an empty /tmp; no package's set-up script has run. Package
// dash gives it /bin/sh. name becomes part of the tag and says what
// the image is for.
//
// The packages are those that this machine's apt would install. They are
// downloaded once, and the image is made once, for as long as the archive has
// the same ones; it is kept for later tests. The test is skipped, or fails if
// the environment demands everything (SQUALL_TEST_REQUIRE=all), where there is
// no engine, no apt, or the archive does not have the packages.
func DebianImage(t testing.TB, name string, packages ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cli := debianEngine(ctx, t)
	debs, err := debianClosure(ctx, packages)
	if err != nil {
		debianMissing(t, err)
	}
	tag := "squall-test/debian-" + name + ":" + debianDigest(debs)
	if _, err := cli.ImageInspect(ctx, tag); err == nil {
		return tag
	}
	files, err := debianDownload(ctx, debs)
	if err != nil {
		debianMissing(t, err)
	}
	if err := debianImport(ctx, cli, tag, files); err != nil {
		t.Fatalf("image %s: %v", tag, err)
	}
	return tag
}

func debianEngine(ctx context.Context, t testing.TB) *client.Client {
	t.Helper()
	cli, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatalf("engine client: %v", err)
	}
	t.Cleanup(func() { _ = cli.Close() })
	if _, err := cli.Ping(ctx); err != nil {
		debianMissing(t, fmt.Errorf("needs a Docker engine that answers: %w", err))
	}
	return cli
}

// debianMissing skips the test by saying what it misses, or fails it where
// everything must be there.
func debianMissing(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("SQUALL_TEST_REQUIRE") == "all" {
		t.Fatalf("missing, although SQUALL_TEST_REQUIRE=all: %v", err)
	}
	t.Skipf("missing: %v", err)
}

func debianDigest(debs []debianPackage) string {
	sum := sha256.New()
	_, _ = io.WriteString(sum, debianRecipe)
	for _, d := range debs {
		_, _ = io.WriteString(sum, d.sha256)
	}
	return hex.EncodeToString(sum.Sum(nil))[:16]
}

// debianImport streams the packages' files into the engine as one image.
func debianImport(ctx context.Context, cli *client.Client, tag string, debs []string) error {
	r, w := io.Pipe()
	go func() { w.CloseWithError(debianLayer(ctx, w, debs)) }()
	defer r.Close()
	answer, err := cli.ImageImport(ctx, image.ImportSource{Source: r, SourceName: "-"}, tag, image.ImportOptions{
		Changes: []string{"ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
	})
	if err != nil {
		return err
	}
	defer answer.Close()
	for dec := json.NewDecoder(answer); ; {
		var line struct {
			Error string `json:"error"`
		}
		if err := dec.Decode(&line); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if line.Error != "" {
			return errors.New(line.Error)
		}
	}
}

// debianLayer writes one tar of all debs' files, and fails if a program or
// library in it needs a library that is not.
func debianLayer(ctx context.Context, w io.Writer, debs []string) error {
	l := layer{out: tar.NewWriter(w), paths: map[string]bool{"tmp/": true}, has: map[string]bool{}, needs: map[string]string{}}
	if err := l.out.WriteHeader(&tar.Header{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777}); err != nil {
		return err
	}
	for _, deb := range debs {
		if err := l.add(ctx, deb); err != nil {
			return fmt.Errorf("%s: %w", deb, err)
		}
	}
	var missing []string
	for lib, by := range l.needs {
		if !l.has[lib] {
			missing = append(missing, lib+" (for "+by+")")
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return fmt.Errorf("no package in the image has %s: name the package that does", strings.Join(missing, ", "))
	}
	return l.out.Close()
}

package dockertest

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
	"golang.org/x/sys/unix"
)

//go:embed testdata/idle/main.go
var program []byte

// idleImage makes the image of the idle program unless the engine has it already,
// and returns its name, which holds a hash of everything it is made from.
func idleImage(ctx context.Context, cli *client.Client) (string, error) {
	info, err := cli.Info(ctx)
	if err != nil {
		return "", err
	}
	arch := map[string]string{"x86_64": "amd64", "aarch64": "arm64"}[info.Architecture]
	if arch == "" {
		arch = runtime.GOARCH
	}
	sum := sha256.New()
	fmt.Fprintln(sum, runtime.Version(), arch)
	sum.Write(program)
	name := "squall-test/idle:" + hex.EncodeToString(sum.Sum(nil))[:16]
	unlock, err := lock()
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := cli.ImageInspect(ctx, name); !errdefs.IsNotFound(err) {
		return name, err
	}
	binary, err := build(ctx, arch)
	if err != nil {
		return "", err
	}
	return name, load(ctx, cli, name, binary)
}

// lock keeps the tests of other packages from making the same image at once.
func lock() (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(os.TempDir(), "squall-test-image.lock"), os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

// build compiles the program to a static binary.
func build(ctx context.Context, arch string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "squall-test-idle-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, program, 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", "idle", "main.go")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GO111MODULE=off", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the test image's program: %w\n%s", err, out)
	}
	return os.ReadFile(filepath.Join(dir, "idle"))
}

// load imports an image with nothing but the program and an empty /tmp.
func load(ctx context.Context, cli *client.Client, name string, binary []byte) error {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, h := range []*tar.Header{
		{Name: "idle", Mode: 0o755, Size: int64(len(binary)), Typeflag: tar.TypeReg},
		{Name: "tmp/", Mode: 0o1777, Typeflag: tar.TypeDir},
	} {
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		if h.Size > 0 {
			if _, err := w.Write(binary); err != nil {
				return err
			}
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	answer, err := cli.ImageImport(ctx, image.ImportSource{Source: &archive, SourceName: "-"}, name,
		image.ImportOptions{Changes: []string{`ENTRYPOINT ["/idle"]`}})
	if err != nil {
		return err
	}
	defer answer.Close()
	_, err = io.Copy(io.Discard, answer)
	return err
}

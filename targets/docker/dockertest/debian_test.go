package dockertest

import (
	"archive/tar"
	"bytes"
	"io"
	"strings"
	"testing"
)

func TestDebianImageIsMadeOnce(t *testing.T) {
	first := DebianImage(t, "dash", "dash")
	if second := DebianImage(t, "dash", "dash"); second != first {
		t.Errorf("the same packages gave %s and then %s", first, second)
	}
	cli := debianEngine(t.Context(), t)
	got, err := cli.ImageInspect(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	if got.Size < 1<<20 || got.Size > 64<<20 {
		t.Errorf("%s has %d bytes", first, got.Size)
	}
}

func TestDebianLayerNamesMissingLibrary(t *testing.T) {
	show, err := debianShow(t.Context(), []string{"dash"})
	if err != nil {
		debianMissing(t, err)
	}
	debs, err := debianDownload(t.Context(), show)
	if err != nil {
		debianMissing(t, err)
	}
	err = debianLayer(t.Context(), io.Discard, debs)
	if err == nil || !strings.Contains(err.Error(), "libc.so.6") {
		t.Errorf("dash without libc gave %v", err)
	}
}

func TestDebianLayerHasShellAndTmp(t *testing.T) {
	closure, err := debianClosure(t.Context(), []string{"dash"})
	if err != nil {
		debianMissing(t, err)
	}
	debs, err := debianDownload(t.Context(), closure)
	if err != nil {
		debianMissing(t, err)
	}
	var layer bytes.Buffer
	if err := debianLayer(t.Context(), &layer, debs); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for in := tar.NewReader(&layer); ; {
		h, err := in.Next()
		if err != nil {
			break
		}
		names[h.Name] = true
	}
	for _, want := range []string{"tmp/", "bin/sh", "bin/dash", "lib64/ld-linux-x86-64.so.2"} {
		if !names[want] {
			t.Errorf("the layer has no %s", want)
		}
	}
}

func TestParseStanzaTakesFirstChoices(t *testing.T) {
	got := parseStanza("Package: p\nVersion: 1:2-3\nDepends: libx (>= 1) | liby, perl:any, libz\nPre-Depends: libc6\nSHA256: ab\n")
	if got.name != "p" || got.version != "1:2-3" || got.sha256 != "ab" {
		t.Errorf("got %+v", got)
	}
	if deps := strings.Join(got.depends, " "); deps != "libx perl libz libc6" {
		t.Errorf("depends on %q", deps)
	}
}

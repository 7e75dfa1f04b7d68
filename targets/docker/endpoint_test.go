package docker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/squall-chaos/squall/targets"
)

// deniedSocket makes the test binary try a socket as an ordinary user.
const deniedSocket = "SQUALL_TEST_DENIED"

func TestMain(m *testing.M) {
	if host := os.Getenv(deniedSocket); host != "" {
		_, err := New(Options{Host: host}).Open(context.Background(), targets.Ref{})
		os.Stdout.WriteString(err.Error())
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func unmarshal(t *testing.T, b []byte, to any) {
	t.Helper()
	if err := json.Unmarshal(b, to); err != nil {
		t.Fatal(err)
	}
}

func TestDeniedEngineSaysWhatToDo(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("SQUALL_TEST_REQUIRE") == "all" {
			t.Fatal("needs root to become an ordinary user")
		}
		t.Skip("needs root to become an ordinary user")
	}
	dir := t.TempDir()
	exe := filepath.Join(dir, "try")
	b, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(exe, b, 0o755); err != nil {
		t.Fatal(err)
	}
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("unix", filepath.Join(dir, "docker.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Chmod(filepath.Join(dir, "docker.sock"), 0); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = []string{deniedSocket + "=unix://" + dir + "/docker.sock"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "no permission") || !strings.Contains(string(out), "add yourself to group docker or run as root") {
		t.Errorf("%v: %s", err, out)
	}
}

// writeContext makes a context as the docker command keeps it.
func writeContext(t *testing.T, dir, name, host string, tls bool) {
	t.Helper()
	sum := sha256.Sum256([]byte(name))
	id := hex.EncodeToString(sum[:])
	meta := filepath.Join(dir, "contexts", "meta", id)
	if err := os.MkdirAll(meta, 0o755); err != nil {
		t.Fatal(err)
	}
	text := `{"Name":"` + name + `","Metadata":{},"Endpoints":{"docker":{"Host":"` + host + `","SkipTLSVerify":` + map[bool]string{true: "true", false: "false"}[tls] + `}}}`
	if err := os.WriteFile(filepath.Join(meta, "meta.json"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestEngineIsChosenAsTheDockerCommandDoes(t *testing.T) {
	dir := t.TempDir()
	writeContext(t, dir, "current", "unix:///current.sock", false)
	writeContext(t, dir, "asked", "tcp://10.0.0.5:2376", true)
	writeContext(t, dir, "ssh", "ssh://me@host", false)
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"currentContext":"current"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	empty := t.TempDir()
	for _, c := range []struct {
		name              string
		env               map[string]string
		options           Options
		host, from, wrong string
		tls               bool
	}{
		{name: "nothing", env: map[string]string{"DOCKER_CONFIG": empty}, host: "unix:///var/run/docker.sock", from: "the default"},
		{name: "current", host: "unix:///current.sock", from: `context "current"`},
		{name: "context", env: map[string]string{"DOCKER_CONTEXT": "asked"}, host: "tcp://10.0.0.5:2376", from: `context "asked"`, tls: true},
		{name: "default", env: map[string]string{"DOCKER_CONTEXT": "default"}, host: "unix:///var/run/docker.sock", from: "the default"},
		{name: "host", env: map[string]string{"DOCKER_HOST": "tcp://1.2.3.4:1", "DOCKER_CONTEXT": "asked"}, host: "tcp://1.2.3.4:1", from: "DOCKER_HOST"},
		{name: "verify", env: map[string]string{"DOCKER_HOST": "tcp://1.2.3.4:1", "DOCKER_TLS_VERIFY": "1"}, host: "tcp://1.2.3.4:1", from: "DOCKER_HOST", tls: true},
		{name: "options", env: map[string]string{"DOCKER_HOST": "tcp://1.2.3.4:1"}, options: Options{Host: "unix:///mine"}, host: "unix:///mine", from: "the options"},
		{name: "missing", env: map[string]string{"DOCKER_CONTEXT": "nope"}, wrong: `context "nope" (from DOCKER_CONTEXT)`},
		{name: "ssh", env: map[string]string{"DOCKER_CONTEXT": "ssh"}, wrong: "SSH is not spoken here"},
		{name: "no URL", env: map[string]string{"DOCKER_HOST": "docker.sock"}, wrong: "is not a URL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("DOCKER_CONFIG", dir)
			for _, k := range []string{"DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_TLS", "DOCKER_CERT_PATH"} {
				t.Setenv(k, c.env[k])
			}
			if d := c.env["DOCKER_CONFIG"]; d != "" {
				t.Setenv("DOCKER_CONFIG", d)
			}
			p, err := c.options.endpoint()
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) {
					t.Errorf("got %v, want %q", err, c.wrong)
				}
				return
			}
			if err != nil || p.host != c.host || p.from != c.from || (p.tls != nil) != c.tls {
				t.Errorf("got %+v, %v", p, err)
			}
		})
	}
}

func TestOldEngineIsRefused(t *testing.T) {
	t.Setenv("DOCKER_API_VERSION", "")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Api-Version", "1.40")
	}))
	defer s.Close()
	host := "tcp://" + strings.TrimPrefix(s.URL, "http://")
	_, err := New(Options{Host: host}).Open(context.Background(), targets.Ref{})
	if err == nil || !strings.Contains(err.Error(), "speaks API 1.40") {
		t.Errorf("got %v", err)
	}
}

func TestCgroupOfTheContainerIsFound(t *testing.T) {
	id := strings.Repeat("ab", 32)
	for text, want := range map[string]string{
		"0::/system.slice/docker-" + id + ".scope\n":                    "/system.slice/docker-" + id + ".scope",
		"4:memory:/docker/" + id + "\n3:cpu:/docker/" + id + "\n0::/\n": "/docker/" + id,
		"4:memory:/docker/" + id + "\n0::/slice/" + id + "\n":           "/slice/" + id,
		"0::/user.slice\n": "",
	} {
		if got, found := cgroupOf(text, id); got != want || found != (want != "") {
			t.Errorf("%q: got %q", text, got)
		}
	}
}

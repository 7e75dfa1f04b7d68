package docker

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"

	"github.com/squall-chaos/squall/targets/docker/dockertest"
)

func TestSweepRemovesWhatAKilledTrialLeftAndNothingElse(t *testing.T) {
	dockertest.Require(t)
	d := New(Options{}).(*driver)
	another, end, err := d.Trial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := end(); err != nil {
			t.Error(err)
		}
	}()
	live, err := another(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e, err := d.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	info, err := e.inspect(t.Context(), live.Ref().ID)
	if err != nil {
		t.Fatal(err)
	}
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	left, err := e.ContainerCreate(t.Context(), &container.Config{
		Image: info.Config.Image, Cmd: []string{"/wait"}, Labels: map[string]string{trialLabel: fmt.Sprintf("%d-1", gone.Process.Pid)},
	}, nil, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	if m := strings.Join(d.Marks(t.Context()), "\n"); !strings.Contains(m, short(left.ID)) || strings.Contains(m, short(live.Ref().ID)) {
		t.Errorf("marks: %s", m)
	}
	if _, err := d.Sweep(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := e.inspect(context.Background(), left.ID); err == nil {
		t.Error("what was left is still there")
	}
	if _, err := e.inspect(context.Background(), live.Ref().ID); err != nil {
		t.Errorf("a live trial was swept: %v", err)
	}
}

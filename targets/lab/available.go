package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// Available reports whether a lab can be started here, by starting one without
// hosts in a directory of its own. The error says what refuses it and what to do.
// It takes some ten milliseconds and leaves nothing behind.
func Available() error {
	if err := policy(mayMakeNamespaces(), readSetting); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "squall-lab-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	l, err := launch(context.Background(), blueprint{Dir: dir})
	if err != nil {
		return err
	}
	return l.kill()
}

// policy names the setting of this machine that forbids namespaces to ordinary
// users, if one does.
func policy(privileged bool, setting func(string) string) error {
	if privileged {
		return nil
	}
	const why = "a lab needs unprivileged user namespaces, which this machine refuses: "
	switch {
	case setting("/proc/sys/user/max_user_namespaces") == "0":
		return errors.New(why + "user.max_user_namespaces is 0; run: sudo sysctl -w user.max_user_namespaces=15000 (or run as root)")
	case setting("/proc/sys/kernel/unprivileged_userns_clone") == "0":
		return errors.New(why + "kernel.unprivileged_userns_clone is 0; run: sudo sysctl -w kernel.unprivileged_userns_clone=1 (or run as root)")
	case setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" &&
		strings.HasPrefix(setting("/proc/self/attr/current"), "unconfined"):
		return errors.New(why + "kernel.apparmor_restrict_unprivileged_userns is 1; run: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 (or run as root)")
	}
	return nil
}

func readSetting(path string) string {
	b, _ := os.ReadFile(path)
	return strings.TrimSpace(string(b))
}

// refusal explains why the kernel did not start an init.
func refusal(err error) error {
	if why := policy(mayMakeNamespaces(), readSetting); why != nil {
		return why
	}
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		return fmt.Errorf("making namespaces was refused (%w): inside a container, run it with --privileged, or with --security-opt seccomp=unconfined --security-opt apparmor=unconfined", err)
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EUSERS) {
		return fmt.Errorf("no more namespaces are allowed (%w): raise user.max_user_namespaces and user.max_net_namespaces with sysctl", err)
	}
	return fmt.Errorf("start its init: %w", err)
}

package main

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/ciosidecar/ciosidecar/client/go/internal/sidecartest"
)

// command is the bridge as a process.
type command struct {
	testing.TB
	process *exec.Cmd
	url     string
	log     *lockedBuffer
}

// startCommand starts the bridge as a process of its own, on a free port.
func startCommand(tb testing.TB, environment []string, arguments ...string) *command {
	tb.Helper()
	started := &command{TB: tb, log: &lockedBuffer{}}
	started.process = exec.Command(os.Args[0], append([]string{"-listen", "127.0.0.1:0"}, arguments...)...)
	started.process.Env = append(append(os.Environ(), asCommand+"=1"), environment...)
	started.process.Stderr = started.log
	stdout, err := started.process.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := started.process.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = started.process.Process.Kill() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	var ready struct{ Listen []string }
	if err != nil || json.Unmarshal([]byte(line), &ready) != nil {
		tb.Fatalf("the command did not start: %v: %s", err, started.log)
	}
	started.url = "http://" + ready.Listen[0]
	return started
}

// terminate sends SIGTERM.
func (c *command) terminate() {
	if err := c.process.Process.Signal(syscall.SIGTERM); err != nil {
		c.Fatal(err)
	}
}

// wait waits until the command has exited with code 0, and returns its log.
func (c *command) wait() string {
	exited := make(chan error, 1)
	go func() { exited <- c.process.Wait() }()
	select {
	case err := <-exited:
		if err != nil {
			c.Errorf("%v: %s", err, c.log)
		}
	case <-time.After(sidecartest.Timeout):
		c.Fatal("the command does not exit")
	}
	return c.log.String()
}

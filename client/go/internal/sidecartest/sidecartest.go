// Package sidecartest starts real sidecars for tests: the `ciosidecar` command, on loopback.
package sidecartest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Patience is how long anything in these tests may take before they fail: much longer than it
// does, so that a busy machine fails no test.
const Patience = 60 * time.Second

// Sidecar is a running `ciosidecar serve`, or a running `ciosidecar sandbox`.
type Sidecar struct {
	// Addresses are those really bound, as clients name them.
	Addresses []string
	// URL is the sandbox's.
	URL     string
	process *exec.Cmd
	exited  chan struct{}
	log     *lockedBuffer
}

// Root is the folder that client/go lies in the client folder of.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..", "..")
}

// Command is the path of the `ciosidecar` command: that in the environment's CIOSIDECAR, else the
// one that `make setup` leaves. The error says what to do if there is none.
func Command() (string, error) {
	command := os.Getenv("CIOSIDECAR")
	if command == "" {
		command = filepath.Join(Root(), ".venv", "bin", "ciosidecar")
	}
	if _, err := os.Stat(command); err != nil {
		return "", fmt.Errorf("NOT TESTED against a sidecar: there is no %s; "+
			"run `make setup`, or name the command in CIOSIDECAR", command)
	}
	return command, nil
}

// MaySkip tells whether tests may do without the command. `go test` is silent about tests that
// skip, so where CIOSIDECAR names it, it must be there.
func MaySkip() bool { return os.Getenv("CIOSIDECAR") == "" }

// Need skips the test, saying so, where there is no command; or fails it, if it must be there.
func Need(tb testing.TB) {
	tb.Helper()
	_, err := Command()
	switch {
	case err == nil:
	case MaySkip():
		tb.Skip(err)
	default:
		tb.Fatal(err)
	}
}

// Serve starts `ciosidecar serve` with these arguments, on a free port of loopback if they name no
// address.
func Serve(arguments ...string) (*Sidecar, error) {
	return start("serve", arguments...)
}

// Start is Serve for the length of a test that needs the command.
func Start(tb testing.TB, arguments ...string) *Sidecar {
	tb.Helper()
	return startFor(tb, "serve", arguments...)
}

// StartSandbox is Start for `ciosidecar sandbox`.
func StartSandbox(tb testing.TB, arguments ...string) *Sidecar {
	tb.Helper()
	return startFor(tb, "sandbox", arguments...)
}

func startFor(tb testing.TB, command string, arguments ...string) *Sidecar {
	tb.Helper()
	Need(tb)
	found, err := start(command, arguments...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		found.Kill()
		if tb.Failed() {
			tb.Log(found.log.String())
		}
	})
	return found
}

func start(command string, arguments ...string) (*Sidecar, error) {
	path, err := Command()
	if err != nil {
		return nil, err
	}
	if !strings.Contains(strings.Join(arguments, " "), "--listen") {
		arguments = append(arguments, "--listen", "127.0.0.1:0")
	}
	found := &Sidecar{
		process: exec.Command(path, append([]string{command}, arguments...)...),
		exited:  make(chan struct{}),
		log:     &lockedBuffer{},
	}
	found.process.Stderr = found.log
	stdout, err := found.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := found.process.Start(); err != nil {
		return nil, err
	}
	ready := make(chan string, 1)
	go func() {
		defer close(found.exited)
		lines := bufio.NewReader(stdout)
		line, _ := lines.ReadString('\n')
		ready <- line
		_, _ = io.Copy(io.Discard, lines)
		_ = found.process.Wait()
	}()
	select {
	case line := <-ready:
		var said struct {
			Listen []string
			URL    string
		}
		if err := json.Unmarshal([]byte(line), &said); err != nil {
			found.Kill()
			return nil, fmt.Errorf("the sidecar did not start: %q: %s", line, found.log)
		}
		found.Addresses, found.URL = said.Listen, said.URL
		return found, nil
	case <-time.After(Patience):
		found.Kill()
		return nil, errors.New("the sidecar did not say that it is ready")
	}
}

// Address is the first of Addresses.
func (s *Sidecar) Address() string { return s.Addresses[0] }

// PID is the process's id.
func (s *Sidecar) PID() int { return s.process.Process.Pid }

// Drain sends SIGTERM: every stream is told, what was received is answered, then it is gone.
func (s *Sidecar) Drain() { _ = s.process.Process.Signal(syscall.SIGTERM) }

// Kill ends it at once, with SIGKILL, and waits until it is gone.
func (s *Sidecar) Kill() {
	_ = s.process.Process.Kill()
	<-s.exited
}

// Exited is closed when the process is gone.
func (s *Sidecar) Exited() <-chan struct{} { return s.exited }

type lockedBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *lockedBuffer) Write(text []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(text)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

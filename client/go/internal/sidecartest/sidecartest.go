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

// Timeout is the time limit of everything that a test waits for. It is much longer than needed, so that
// no test fails on a busy machine.
const Timeout = 60 * time.Second

// Sidecar is a running `ciosidecar serve`, or a running `ciosidecar sandbox`.
type Sidecar struct {
	// Addresses are the bound addresses, in the form that Dial takes.
	Addresses []string
	// URL is the URL of a sandbox.
	URL     string
	process *exec.Cmd
	exited  chan struct{}
	log     *lockedBuffer
}

// Root returns the folder of the repository.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..", "..")
}

// Command returns the path of the `ciosidecar` command: the environment's CIOSIDECAR, or the command that
// `make setup` installs. If there is none, the error says what to do.
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

// MaySkip reports whether tests without the command may be skipped. `go test` does not show skipped tests,
// so the command must exist if CIOSIDECAR names it.
func MaySkip() bool { return os.Getenv("CIOSIDECAR") == "" }

// Need skips the test if there is no command. It fails the test if CIOSIDECAR names a command that does
// not exist.
func Need(tb testing.TB) {
	tb.Helper()
	_, err := Command()
	switch {
	case err == nil:
	case MaySkip():
		Skip(tb, err.Error())
	default:
		tb.Fatal(err)
	}
}

// Skip skips the test, and adds the reason to the file that SKIPPED_TESTS names: `go test` does not show
// skipped tests, so `make test-go` prints this file at the end.
func Skip(tb testing.TB, reason string) {
	tb.Helper()
	NoteSkipped(reason)
	tb.Skip(reason)
}

// NoteSkipped adds a reason to the file that SKIPPED_TESTS names, if it names a file.
func NoteSkipped(reason string) {
	path := os.Getenv("SKIPPED_TESTS")
	if path == "" {
		return
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	_, _ = fmt.Fprintf(file, "SKIPPED: %s\n", reason)
	_ = file.Close()
}

// Serve starts `ciosidecar serve` with the arguments. If they name no address, it listens on a free port
// of loopback.
func Serve(arguments ...string) (*Sidecar, error) {
	return start("serve", arguments...)
}

// Start does the same as Serve for the duration of a test.
func Start(tb testing.TB, arguments ...string) *Sidecar {
	tb.Helper()
	return startFor(tb, "serve", arguments...)
}

// StartSandbox starts `ciosidecar sandbox` for the duration of a test.
func StartSandbox(tb testing.TB, arguments ...string) *Sidecar {
	tb.Helper()
	return startFor(tb, "sandbox", arguments...)
}

func startFor(tb testing.TB, command string, arguments ...string) *Sidecar {
	tb.Helper()
	Need(tb)
	sidecar, err := start(command, arguments...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		sidecar.Kill()
		if tb.Failed() {
			tb.Log(sidecar.log.String())
		}
	})
	return sidecar
}

func start(command string, arguments ...string) (*Sidecar, error) {
	path, err := Command()
	if err != nil {
		return nil, err
	}
	if !strings.Contains(strings.Join(arguments, " "), "--listen") {
		arguments = append(arguments, "--listen", "127.0.0.1:0")
	}
	if command == "serve" && !strings.Contains(strings.Join(arguments, " "), "--admin-listen") {
		arguments = append(arguments, "--admin-listen", "127.0.0.1:0")
	}
	sidecar := &Sidecar{
		process: exec.Command(path, append([]string{command}, arguments...)...),
		exited:  make(chan struct{}),
		log:     &lockedBuffer{},
	}
	sidecar.process.Stderr = sidecar.log
	stdout, err := sidecar.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := sidecar.process.Start(); err != nil {
		return nil, err
	}
	firstLine := make(chan string, 1)
	go func() {
		defer close(sidecar.exited)
		lines := bufio.NewReader(stdout)
		line, _ := lines.ReadString('\n')
		firstLine <- line
		_, _ = io.Copy(io.Discard, lines)
		_ = sidecar.process.Wait()
	}()
	select {
	case line := <-firstLine:
		var ready struct {
			Listen []string
			URL    string
		}
		if err := json.Unmarshal([]byte(line), &ready); err != nil {
			sidecar.Kill()
			return nil, fmt.Errorf("the sidecar did not start: %q: %s", line, sidecar.log)
		}
		sidecar.Addresses, sidecar.URL = ready.Listen, ready.URL
		return sidecar, nil
	case <-time.After(Timeout):
		sidecar.Kill()
		return nil, errors.New("the sidecar did not say that it is ready")
	}
}

// Address returns the first of Addresses.
func (s *Sidecar) Address() string { return s.Addresses[0] }

// PID returns the id of the process.
func (s *Sidecar) PID() int { return s.process.Process.Pid }

// Drain sends SIGTERM: the sidecar sends Drain on every stream, answers all items that it received, and
// exits.
func (s *Sidecar) Drain() { _ = s.process.Process.Signal(syscall.SIGTERM) }

// Kill ends the process with SIGKILL and waits until it has exited.
func (s *Sidecar) Kill() {
	_ = s.process.Process.Kill()
	<-s.exited
}

// Exited returns a channel that is closed when the process has exited.
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

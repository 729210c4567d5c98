package ciosidecar_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ciosidecar/ciosidecar/client/go/internal/sidecartest"
)

var fenced = regexp.MustCompile("(?ms)^```(\\w*)\\n(.*?)^```$")

// The Go programs of the docs compile, run against a real sidecar, and print the output that the
// docs show.
func TestTheProgramsOfTheDocsPrintWhatTheDocsShow(t *testing.T) {
	sandbox := sidecartest.StartSandbox(t, "--listen", "127.0.0.1:0")
	socket := "unix:" + t.TempDir() + "/s.sock"
	sidecartest.Start(t, "--listen", socket, "--customerio-url", sandbox.URL)
	folder := filepath.Join(sidecartest.Root(), "client", "go")
	for page, programs := range map[string]int{"docs/go-data-plane.md": 3, "client/go/README.md": 3} {
		text, err := os.ReadFile(filepath.Join(sidecartest.Root(), page))
		if err != nil {
			t.Fatal(err)
		}
		blocks := fenced.FindAllStringSubmatch(string(text), -1)
		for index, block := range blocks {
			if block[1] != "go" {
				continue
			}
			programs--
			if index+1 == len(blocks) || blocks[index+1][1] != "text" {
				t.Errorf("%s: a program without its output", page)
				continue
			}
			if printed := runProgram(t, folder, block[2], socket); printed != blocks[index+1][2] {
				t.Errorf("%s: instead of\n%s it prints\n%s", page, blocks[index+1][2], printed)
			}
		}
		if programs != 0 {
			t.Errorf("%s: %d programs fewer than there were", page, programs)
		}
	}
}

// runProgram returns the output of a program on both its standard output and its standard error.
func runProgram(t *testing.T, folder, program, socket string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "main.go")
	program = strings.ReplaceAll(program, "unix:/tmp/ciosidecar.sock", socket)
	if err := os.WriteFile(path, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*sidecartest.Timeout)
	defer cancel()
	command := exec.CommandContext(ctx, "go", "run", path)
	command.Dir = folder
	var printed bytes.Buffer
	command.Stdout, command.Stderr = &printed, &printed
	_ = command.Run() // the output shows a failure
	return printed.String()
}

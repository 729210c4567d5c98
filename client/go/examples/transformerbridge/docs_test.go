package main

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/ciosidecar/ciosidecar/client/go/internal/sidecartest"
)

var fenced = regexp.MustCompile("(?ms)^```(\\w*)\\n(.*?)^```$")

// walkthrough returns the code blocks of the section on an unmodified rudder-server.
func walkthrough(t *testing.T) [][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(sidecartest.Root(), "docs", "go-data-plane.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## An unmodified rudder-server\n")
	section, _, _ = strings.Cut(section, "\n## ")
	return fenced.FindAllStringSubmatch(section, -1)
}

// The commands of the walkthrough run as they are written, except for the ports, and print what the page shows.
func TestTheWalkthroughOfTheDocs(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		sidecartest.Skip(t, "the docs use curl, which is not installed")
	}
	sidecartest.Need(t)
	upstream := fakeUpstream(t, func(writer http.ResponseWriter, _ *http.Request) {
		_, _ = writer.Write([]byte(`{"routerTransform":{"WEBHOOK":true}}`))
	})
	// What stands on the page, and what the test has in its place.
	actual := map[string]string{"127.0.0.1:9090": strings.TrimPrefix(upstream, "http://")}
	blocks := walkthrough(t)
	started, compared := 0, 0
	for index, block := range blocks {
		if block[1] != "sh" {
			continue
		}
		if address, isServer := startServer(t, block[2], actual); isServer {
			actual[listenAddress.FindStringSubmatch(block[2])[1]] = address
			started++
			continue
		}
		printed := runShell(t, replaced(block[2], actual))
		if index+1 == len(blocks) || blocks[index+1][1] == "sh" {
			t.Errorf("a command without its output: %s", block[2])
			continue
		}
		compared++
		shown := blocks[index+1]
		same := strings.TrimSpace(printed) == strings.TrimSpace(shown[2])
		if shown[1] == "json" {
			same = reflect.DeepEqual(exactly(t, printed), exactly(t, shown[2]))
		}
		if !same {
			t.Errorf("%s\nprints\n%s\ninstead of\n%s", block[2], printed, shown[2])
		}
	}
	if started != 3 || compared != 4 {
		t.Errorf("%d servers were started, %d outputs compared", started, compared)
	}
}

var listenAddress = regexp.MustCompile(`--?listen (\S+)`)

// startServer starts the server of a block on a free port, and returns its address.
func startServer(t *testing.T, block string, actual map[string]string) (address string, isServer bool) {
	t.Helper()
	block = listenAddress.ReplaceAllString(block, "-listen 127.0.0.1:0")
	block = replaced(strings.ReplaceAll(block, " -listen", " --listen"), actual)
	words := strings.Fields(block)
	switch {
	case strings.HasPrefix(block, ".venv/bin/ciosidecar sandbox "):
		return strings.TrimPrefix(sidecartest.StartSandbox(t, words[2:]...).URL, "http://"), true
	case strings.HasPrefix(block, ".venv/bin/ciosidecar serve "):
		return sidecartest.Start(t, words[2:]...).Address(), true
	case strings.HasPrefix(block, "cd client/go && go run ./examples/transformerbridge "):
		command := startCommand(t, nil, append(words[6:], "-drain", "0")...)
		t.Cleanup(func() {
			command.terminate()
			command.wait()
		})
		return strings.TrimPrefix(command.url, "http://"), true
	}
	return "", false
}

func replaced(text string, actual map[string]string) string {
	for shown, real := range actual {
		text = strings.ReplaceAll(text, shown, real)
	}
	return text
}

func runShell(t *testing.T, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), sidecartest.Timeout)
	defer cancel()
	command := exec.CommandContext(ctx, "sh", "-ec", script)
	command.Dir = sidecartest.Root()
	output, err := command.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s: %s", err, script, output)
	}
	return string(output)
}

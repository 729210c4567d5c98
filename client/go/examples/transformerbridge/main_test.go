package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ciosidecar/ciosidecar/client/go/internal/sidecartest"
)

// asCommand makes the test binary behave as the command, for tests that need a process.
const asCommand = "TRANSFORMERBRIDGE_TEST_AS_COMMAND"

// sharedAddress is the address of a sidecar without options, for tests that do not change it. It is empty
// if there is no command to start one.
var sharedAddress string

// plainSidecar returns the address of that sidecar for a test that needs it.
func plainSidecar(t testing.TB) string {
	t.Helper()
	sidecartest.Need(t)
	return sharedAddress
}

// TestMain starts that sidecar, because a start takes seconds. It fails if a test leaves a goroutine behind.
func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		return
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	if _, err := sidecartest.Command(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		if !sidecartest.MaySkip() {
			return 1
		}
		sidecartest.NoteSkipped(err.Error())
		return m.Run()
	}
	sidecar, err := sidecartest.Serve()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	sharedAddress = sidecar.Address()
	code := m.Run()
	sidecar.Kill()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// testBridge is a bridge in the process of the test.
type testBridge struct {
	*testing.T
	url string
	log *lockedBuffer
}

// lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
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

// startBridge runs a bridge with the arguments until the test ends.
func startBridge(t *testing.T, arguments ...string) *testBridge {
	t.Helper()
	defaults := []string{"-listen", "127.0.0.1:0", "-drain", "0"}
	if !slices.Contains(arguments, "-sidecar") {
		defaults = append(defaults, "-sidecar", "unix:"+t.TempDir()+"/none.sock")
	}
	settings, err := parseSettings(append(defaults, arguments...), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	bridge := &testBridge{T: t, log: &lockedBuffer{}}
	ready, lines := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	log := slog.New(slog.NewTextHandler(bridge.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	go func() {
		stopped <- run(ctx, settings, lines, log)
		_ = lines.Close()
	}()
	var line struct{ Listen []string }
	if err := json.NewDecoder(ready).Decode(&line); err != nil {
		t.Fatalf("the bridge did not start: %v, %v", err, <-stopped)
	}
	bridge.url = "http://" + line.Listen[0]
	t.Cleanup(func() {
		cancel()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(bridge.log)
		}
	})
	return bridge
}

// withSidecar runs a bridge with the shared sidecar.
func withSidecar(t *testing.T, arguments ...string) *testBridge {
	t.Helper()
	return startBridge(t, append([]string{"-sidecar", plainSidecar(t)}, arguments...)...)
}

// answered is an answer of the bridge, read to its end.
type answered struct {
	status int
	header http.Header
	body   string
}

// post posts a body. Headers are given as "Name: value".
func (b *testBridge) post(path, body string, headers ...string) *answered {
	b.Helper()
	return b.do(http.MethodPost, path, strings.NewReader(body), headers...)
}

func (b *testBridge) get(path string) *answered {
	b.Helper()
	return b.do(http.MethodGet, path, nil)
}

func (b *testBridge) do(method, path string, body io.Reader, headers ...string) *answered {
	b.Helper()
	got, err := b.try(method, path, body, headers...)
	if err != nil {
		b.Fatal(err)
	}
	if got.header.Get("apiVersion") != "2" {
		b.Errorf("%s %s: apiVersion %q", method, path, got.header.Get("apiVersion"))
	}
	return got
}

func (b *testBridge) try(method, path string, body io.Reader, headers ...string) (*answered, error) {
	ctx, cancel := context.WithTimeout(context.Background(), sidecartest.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, b.url+path, body)
	if err != nil {
		return nil, err
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return &answered{response.StatusCode, response.Header, string(text)}, err
}

// decode decodes the answer's JSON.
func (a *answered) decode(t testing.TB, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), into); err != nil {
		t.Fatalf("%v in status %d: %s", err, a.status, a.body)
	}
}

const shop = `{"ID":"shop","RevisionID":"7","Config":{"siteID":"site","apiKey":"key","eventIds":"none","createdAtFallback":"none"}}`

// jobs returns a request for /routerTransform. The n-th message has job id n, from 1.
func jobs(messages ...string) string {
	input := make([]string, len(messages))
	for index, message := range messages {
		input[index] = fmt.Sprintf(`{"message":%s,"metadata":{"jobId":%d,"destinationId":"shop","sourceId":"web","workspaceId":"w"},"destination":%s}`,
			message, index+1, shop)
	}
	return `{"destType":"customerio","input":[` + strings.Join(input, ",") + `]}`
}

// fakeUpstream is a transformer that echoes what it receives.
func fakeUpstream(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// eventually repeats a check until it is true.
func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	for deadline := time.Now().Add(sidecartest.Timeout); !check(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not within the time limit: ", what)
		}
	}
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
	"github.com/ciosidecar/ciosidecar/client/go/internal/sidecartest"
)

const track = `{"type":"track","userId":"u","event":"E"}`

// While no sidecar answers, rudder-server is told to send the jobs again, without an end and without a count of its
// tries. A delivery fails its own jobs for now. The log tells it once.
func TestWithoutASidecarEverythingIsSentAgain(t *testing.T) {
	t.Parallel()
	socket := "unix:" + t.TempDir() + "/s.sock"
	bridge := startBridge(t, "-sidecar", socket, "-timeout", "300ms")
	for range 2 {
		for path, body := range map[string]string{
			"/routerTransform": jobs(track), "/batch": jobs(track), "/v0/destinations/customerio": `[{"message":` + track + `,"destination":` + shop + `}]`,
		} {
			got := bridge.post(path, body)
			if got.status != http.StatusServiceUnavailable || got.header.Get("X-Rudder-Should-Retry") != "true" ||
				got.header.Get("X-Rudder-Error-Reason") != "sidecar_unavailable" {
				t.Errorf("%s: %+v", path, got)
			}
		}
	}
	const request = `{"method":"POST","endpoint":"https://track.customer.io/api/v1/events","body":{"JSON":{"name":"E"}},`
	if got := bridge.post(proxyV1, request+`"metadata":[{"jobId":1},{"jobId":2}]}`, "RdProxy-Timeout: 100"); got.status != 200 ||
		strings.Count(got.body, `"statusCode":503`) != 2 || got.header.Get("X-Rudder-Should-Retry") != "" {
		t.Errorf("v1: %+v", got)
	}
	if got := bridge.post(proxyV0, request+`"metadata":{"jobId":1}}`, "RdProxy-Timeout: 100"); got.status != 503 {
		t.Errorf("v0: %+v", got)
	}
	if got := bridge.get("/readyz"); got.status != http.StatusServiceUnavailable {
		t.Errorf("ready: %+v", got)
	}
	if got := bridge.get("/health"); got.status != http.StatusOK {
		t.Errorf("health: %+v", got)
	}
	sidecartest.Start(t, "--listen", socket)
	eventually(t, "the sidecar is found", func() bool { return bridge.get("/readyz").status == http.StatusOK })
	eventually(t, "jobs are transformed", func() bool { return bridge.post("/routerTransform", jobs(track)).status == http.StatusOK })
	log := bridge.log.String()
	if strings.Count(log, "the sidecar does not answer") != 1 || strings.Count(log, "the sidecar answers again") != 1 {
		t.Error("the log does not tell each change once")
	}
}

// A sidecar that dies with requests in it is replaced: rudder-server notices only that the answer takes longer.
func TestASidecarThatDiesDuringARequest(t *testing.T) {
	t.Parallel()
	socket := "unix:" + t.TempDir() + "/s.sock"
	first := sidecartest.Start(t, "--listen", socket)
	bridge := startBridge(t, "-sidecar", socket, "-timeout", "60s")
	if got := bridge.post("/routerTransform", jobs(track)); got.status != 200 {
		t.Fatalf("%+v", got)
	}
	if err := syscall.Kill(first.PID(), syscall.SIGSTOP); err != nil { // it takes requests, and answers none
		t.Fatal(err)
	}
	const callers = 5
	var running sync.WaitGroup
	for caller := range callers {
		running.Go(func() {
			user := fmt.Sprintf("u-%d", caller)
			body := jobs(`{"type":"identify","userId":"`+user+`"}`, track)
			got, err := bridge.try(http.MethodPost, "/routerTransform", strings.NewReader(body))
			if err != nil || got.status != 200 || strings.Count(got.body, `"statusCode":200`) != 2 || !strings.Contains(got.body, user) {
				t.Errorf("%v, %+v", err, got)
			}
		})
	}
	first.Kill()
	sidecartest.Start(t, "--listen", socket)
	running.Wait()
}

// tokenChecker is a sidecar that requires a token.
type tokenChecker struct {
	v1.UnimplementedSidecarServiceServer
}

func (tokenChecker) GetCapabilities(ctx context.Context, _ *v1.GetCapabilitiesRequest) (*v1.GetCapabilitiesResponse, error) {
	if headers, _ := metadata.FromIncomingContext(ctx); !slices.Equal(headers.Get("authorization"), []string{"Bearer good"}) {
		return nil, status.Error(codes.Unauthenticated, "no such token")
	}
	return &v1.GetCapabilitiesResponse{}, nil
}

func (tokenChecker) TransformStream(grpc.BidiStreamingServer[v1.TransformStreamRequest, v1.TransformStreamResponse]) error {
	return status.Error(codes.Unauthenticated, "no such token")
}

// The sidecar gets the token of -token-file. While it does not accept the token, no job is lost.
func TestATokenForTheSidecar(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	v1.RegisterSidecarServiceServer(server, tokenChecker{})
	healthy := health.NewServer()
	healthy.SetServingStatus("ciosidecar.v1.SidecarService", grpc_health_v1.HealthCheckResponse_SERVING)
	grpc_health_v1.RegisterHealthServer(server, healthy)
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()
	file := t.TempDir() + "/token"
	for token, expected := range map[string]int{"good": 200, "bad": 503} {
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		bridge := startBridge(t, "-sidecar", listener.Addr().String(), "-token-file", file, "-timeout", "5s")
		eventually(t, "the readiness of a sidecar with a token", func() bool { return bridge.get("/readyz").status == expected })
		if got := bridge.post("/routerTransform", jobs(track)); got.status != 503 || got.header.Get("X-Rudder-Should-Retry") != "true" {
			t.Errorf("%+v", got)
		}
	}
}

// A caller that goes away leaves nothing behind, and its answer goes to nobody else.
func TestACallerThatGoesAway(t *testing.T) {
	t.Parallel()
	sidecar := sidecartest.Start(t)
	bridge := startBridge(t, "-sidecar", sidecar.Address())
	if err := syscall.Kill(sidecar.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: 200 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
	for range 5 {
		response, err := client.Post(bridge.url+"/routerTransform", "application/json", strings.NewReader(jobs(track)))
		if err == nil {
			_ = response.Body.Close()
			t.Errorf("answered with %d", response.StatusCode)
		}
	}
	if err := syscall.Kill(sidecar.PID(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	got := bridge.post("/routerTransform", jobs(`{"type":"identify","userId":"later"}`))
	if got.status != 200 || !strings.Contains(got.body, "customers/later") {
		t.Errorf("%+v", got)
	}
}

// On SIGTERM the command says in its health that it drains, answers what it has, and exits with code 0. Its log has
// neither credentials nor anything of the events.
func TestTheCommandDrains(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	upstream := fakeUpstream(t, func(writer http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		_, _ = io.WriteString(writer, "answered")
	})
	command := startCommand(t, nil, "-sidecar", plainSidecar(t), "-upstream", upstream, "-drain", "2s", "-log-level", "debug")
	bridge := &testBridge{T: t, url: command.url}
	if got := bridge.post("/routerTransform", jobs(`{"type":"track","userId":"jane@example.com","event":"Secret","channel":7}`, `{"type":"jane"}`)); got.status != 200 {
		t.Errorf("%+v", got)
	}
	if got := bridge.post("/routerTransform", `{"input":[{"message":"jane@example.com"`); got.status != 400 {
		t.Errorf("%+v", got)
	}
	if got := bridge.get("/health"); got.status != 200 {
		t.Errorf("%+v", got)
	}
	slow := make(chan *answered, 1)
	go func() {
		got, _ := bridge.try(http.MethodPost, "/slow", strings.NewReader("x"))
		slow <- got
	}()
	<-arrived
	command.terminate()
	eventually(t, "health says draining", func() bool {
		got, err := bridge.try(http.MethodGet, "/health", nil)
		return err == nil && got.status == http.StatusServiceUnavailable
	})
	if got := bridge.post("/routerTransform", jobs(track)); got.status != 200 {
		t.Errorf("while draining: %+v", got)
	}
	close(release)
	if got := <-slow; got == nil || got.body != "answered" {
		t.Errorf("%+v", got)
	}
	log := command.wait()
	for _, secret := range []string{"jane", "Secret", `"site"`, "key", "Basic"} {
		if strings.Contains(log, secret) {
			t.Errorf("%s is in the log: %s", secret, log)
		}
	}
	for line := range strings.Lines(log) {
		if !json.Valid([]byte(line)) {
			t.Errorf("a log line that is no JSON: %s", line)
		}
	}
}

// An address that is taken, and flags that are wrong, end the command with the reason.
func TestTheCommandSaysWhyItCannotStart(t *testing.T) {
	bridge := startBridge(t)
	for arguments, expected := range map[string]struct {
		code   int
		reason string
	}{
		"-listen " + strings.TrimPrefix(bridge.url, "http://"): {1, "address already in use"},
		"-sidecar http://host:1 -listen 127.0.0.1:0":           {1, "no address"},
		"-upstream here": {2, "-upstream"},
		"-h":             {0, "DEST_TRANSFORM_URL"},
	} {
		command := exec.Command(os.Args[0], strings.Fields(arguments)...)
		command.Env = append(os.Environ(), asCommand+"=1")
		output, err := command.CombinedOutput()
		code := 0
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			code = exit.ExitCode()
		}
		if code != expected.code || !strings.Contains(string(output), expected.reason) {
			t.Errorf("%s: code %d: %s", arguments, code, output)
		}
	}
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ciosidecar/ciosidecar/client/go/internal/sidecartest"
)

const track = `{"type":"track","userId":"u","event":"E"}`

// While no sidecar answers, rudder-server is told to send the jobs again, without an end and without a count of its
// tries. A delivery fails its own jobs for now. The log tells it once.
func TestWithoutASidecarEverythingIsSentAgain(t *testing.T) {
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

// A caller that goes away leaves nothing behind, and its answer goes to nobody else.
func TestACallerThatGoesAway(t *testing.T) {
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
	command := startCommand(t, nil, "-sidecar", sidecartest.Start(t).Address(), "-upstream", upstream, "-drain", "2s", "-log-level", "debug")
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

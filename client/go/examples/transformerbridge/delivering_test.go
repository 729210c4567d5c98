package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ciosidecar/ciosidecar/client/go/internal/sidecartest"
)

// withDelivery runs a bridge with a sidecar that delivers to the URL.
func withDelivery(t *testing.T, customerIO string, arguments ...string) *testBridge {
	t.Helper()
	sidecar := sidecartest.Start(t, "--customerio-url", customerIO)
	return startBridge(t, append([]string{"-sidecar", sidecar.Address()}, arguments...)...)
}

// proxied posts the request of an output to a proxy, as rudder-server does: decoded into Go's own types and encoded
// again, with the metadata of the output's jobs.
func (b *testBridge) proxied(path, request, metadata string, headers ...string) *answered {
	b.Helper()
	var decoded map[string]any
	if err := json.Unmarshal([]byte(request), &decoded); err != nil {
		b.Fatal(err)
	}
	encoded, err := json.Marshal(decoded)
	if err != nil {
		b.Fatal(err)
	}
	return b.post(path, strings.Replace(string(encoded), "{", `{"metadata":`+metadata+`,"destinationConfig":{},`, 1), headers...)
}

// batched returns the requests of the outputs for messages.
func (b *testBridge) batched(messages ...string) (requests []string) {
	b.Helper()
	var response struct {
		Output []struct{ BatchedRequest json.RawMessage }
	}
	b.post("/routerTransform", jobs(messages...)).decode(b, &response)
	for _, output := range response.Output {
		requests = append(requests, string(output.BatchedRequest))
	}
	return requests
}

const (
	identify = `{"type":"identify","userId":"u1","traits":{"plan":"pro","balance":12345678901234567890}}`
	proxyV0  = "/v0/destinations/customerio/proxy"
	proxyV1  = "/v1/destinations/customerio/proxy"
)

// What the bridge transformed can be delivered through both proxies, and arrives without the loss of a digit.
func TestBothProxiesDeliver(t *testing.T) {
	t.Parallel()
	sandbox := sidecartest.StartSandbox(t, "--listen", "127.0.0.1:0")
	bridge := withDelivery(t, sandbox.URL)
	request := bridge.batched(identify)[0]
	metadata := `{"jobId":9007199254740993,"attemptNum":0,"destinationId":"shop","secret":null,"dontBatch":false}`
	v1 := bridge.proxied(proxyV1, request, "["+metadata+"]")
	if v1.status != 200 || v1.body != `{"output":{"status":200,"message":"delivered","response":[{"statusCode":200,"metadata":`+
		metadata+`,"error":"success"}]}}` {
		t.Errorf("v1: %d %s", v1.status, v1.body)
	}
	v0 := bridge.proxied(proxyV0, bridge.batched(`{"type":"track","userId":"u1","event":"E"}`)[0], metadata)
	if v0.status != 200 || v0.body != `{"output":{"status":200,"message":"delivered","destinationResponse":{"response":"success","status":200}}}` {
		t.Errorf("v0: %d %s", v0.status, v0.body)
	}
	person := getText(t, sandbox.URL+"/sandbox/person?id=u1")
	if !strings.Contains(person, "12345678901234567890") {
		t.Errorf("%s", person)
	}
	if counters := getText(t, sandbox.URL+"/sandbox/counters"); !strings.Contains(strings.ReplaceAll(counters, " ", ""), `"events":1`) {
		t.Errorf("%s", counters)
	}
}

func getText(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// If Customer.io refuses an item of a shared request, its job alone has a permanent failure. The items are in the order
// of the metadata.
func TestOneRefusedItemFailsItsOwnJob(t *testing.T) {
	t.Parallel()
	customerIO := httptest.NewServer(http.HandlerFunc(func(writer http.ResponseWriter, _ *http.Request) {
		writer.WriteHeader(http.StatusMultiStatus)
		_, _ = io.WriteString(writer, `{"errors":[{"batch_index":1,"reason":"invalid","field":"name","message":"no good"}]}`)
	}))
	defer customerIO.Close()
	bridge := withDelivery(t, customerIO.URL)
	var groups []string
	for n := range 3 {
		groups = append(groups, fmt.Sprintf(`{"type":"group","userId":"u%d","groupId":"g%d"}`, n, n))
	}
	requests := bridge.batched(groups...)
	if len(requests) != 1 || !strings.Contains(requests[0], `"JSON":{"batch":[`) {
		t.Fatalf("%s", requests)
	}
	var response struct {
		Output struct {
			Response []struct {
				StatusCode int
				Metadata   struct{ JobID int }
				Error      string
			}
			StatTags map[string]string
		}
	}
	bridge.proxied(proxyV1, requests[0], `[{"jobId":3},{"jobId":1},{"jobId":2}]`).decode(t, &response)
	var statuses []string
	for _, job := range response.Output.Response {
		statuses = append(statuses, fmt.Sprint(job.Metadata.JobID, ":", job.StatusCode))
	}
	if strings.Join(statuses, " ") != "3:200 1:400 2:200" || response.Output.StatTags["feature"] != "dataDelivery" {
		t.Errorf("%+v", response.Output)
	}
	// Proxy v0 has no statuses for the jobs: nothing is sent again, and the failure is told.
	if v0 := bridge.proxied(proxyV0, requests[0], `{"jobId":3}`); v0.status != 400 || !strings.Contains(v0.body, "no good") {
		t.Errorf("v0: %d %s", v0.status, v0.body)
	}
}

// What Customer.io answers becomes the status of the job: in the body for v1, of the answer itself for v0.
func TestTheStatusesOfDelivery(t *testing.T) {
	status := http.StatusOK
	customerIO := httptest.NewServer(http.HandlerFunc(func(writer http.ResponseWriter, _ *http.Request) {
		writer.WriteHeader(status)
		if status != http.StatusOK {
			_, _ = io.WriteString(writer, `{"meta":{"error":"told by Customer.io"}}`)
		}
	}))
	defer customerIO.Close()
	bridge := withDelivery(t, customerIO.URL)
	transformed := bridge.batched(identify)[0]
	for _, test := range []struct{ customerIO, v1, v0 int }{
		{200, 200, 200}, {400, 400, 400}, {404, 404, 400}, {413, 413, 413}, {429, 429, 429}, {500, 500, 500}, {401, 503, 503},
	} {
		status = test.customerIO
		// A workspace that failed waits for a while, so each request has credentials of its own.
		credentials := func(proxy string) string {
			return strings.Replace(transformed, `"Basic `, fmt.Sprintf(`"Basic %s%d`, proxy, test.customerIO), 1)
		}
		var response struct {
			Output struct {
				Status   int
				Response []struct{ StatusCode int }
			}
		}
		v1 := bridge.proxied(proxyV1, credentials("v1"), `[{"jobId":1,"attemptNum":1}]`, "RdProxy-Timeout: 1500")
		v1.decode(t, &response)
		if v1.status != 200 || len(response.Output.Response) != 1 || response.Output.Response[0].StatusCode != test.v1 {
			t.Errorf("%d: v1: %d %s", test.customerIO, v1.status, v1.body)
		}
		if v0 := bridge.proxied(proxyV0, credentials("v0"), `{"jobId":1,"attemptNum":1}`, "RdProxy-Timeout: 1500"); v0.status != test.v0 {
			t.Errorf("%d: v0: %d %s", test.customerIO, v0.status, v0.body)
		}
	}
}

// The header RdProxy-Timeout limits a delivery. Without an answer of Customer.io the job has status 504.
func TestTheTimeoutOfRudderServerIsKept(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and answers nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	bridge := withDelivery(t, "http://"+silent.Addr().String())
	request := bridge.batched(identify)[0]
	start := time.Now()
	got := bridge.proxied(proxyV1, request, `[{"jobId":1}]`, "RdProxy-Timeout: 700")
	if took := time.Since(start); took < 600*time.Millisecond || took > 20*time.Second {
		t.Errorf("took %s", took)
	}
	if got.status != 200 || !strings.Contains(got.body, `"statusCode":504`) {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// A header that is no number of milliseconds counts as absent.
func TestTheTimeoutHeaderIsReadWithCare(t *testing.T) {
	limited := &bridge{settings: &settings{timeout: time.Second}}
	for header, expected := range map[string]time.Duration{
		"": time.Second, "x": time.Second, "-5": time.Second, "0": time.Second, "2500": 2500 * time.Millisecond,
		"9223372036854775807": time.Hour, "1e3": time.Second,
	} {
		if timeout := limited.deliveryTimeout(http.Header{"Rdproxy-Timeout": {header}}); timeout != expected {
			t.Errorf("%q: %s", header, timeout)
		}
	}
}

// What is no request to deliver is refused, or fails its own jobs.
func TestProxiedRequestsThatCannotBeSent(t *testing.T) {
	t.Parallel()
	bridge := withSidecar(t)
	for body, expected := range map[string]string{
		`{`:                 "not the expected JSON",
		`[]`:                "not the expected JSON",
		`{}`:                "no metadata",
		`{"metadata":[]}`:   "no metadata",
		`{"metadata":"x"}`:  "not the expected JSON",
		`{"metadata":null}`: "no metadata",
		`{"headers":{"a":1},"metadata":[{"jobId":1}]}`: "not the expected JSON",
	} {
		if got := bridge.post(proxyV1, body); got.status != 400 || !strings.Contains(got.body, expected) {
			t.Errorf("%s: %d %s", body, got.status, got.body)
		}
	}
	foreign := `{"method":"POST","endpoint":"https://example.com/api/v1/events","body":{"JSON":{"a":1}},"metadata":[{"jobId":1},{"jobId":2}]}`
	if got := bridge.post(proxyV1, foreign); got.status != 200 || strings.Count(got.body, `"statusCode":400`) != 2 {
		t.Errorf("%d %s", got.status, got.body)
	}
	undelivering := startBridge(t, "-sidecar", sidecartest.Start(t, "--no-delivery").Address())
	request := undelivering.batched(identify)[0]
	if got := undelivering.proxied(proxyV1, request, `[{"jobId":1}]`); got.status != 200 || strings.Count(got.body, `"statusCode":503`) != 1 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

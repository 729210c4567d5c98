package router_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ciosidecar/ciosidecar/client/go/internal/sidecartest"
	"github.com/ciosidecar/ciosidecar/client/go/router"
)

// proxied returns the requests of an output in the form in which a router posts them to its proxy:
// decoded into Go's own types and encoded again, with the metadata of the output's jobs.
func proxied(t testing.TB, output *router.DestinationJob) (posted []*router.ProxyRequest) {
	t.Helper()
	for _, parameters := range requests(t, output) {
		for form, text := range parameters.Body {
			var value map[string]any
			if err := json.Unmarshal(text, &value); err != nil {
				t.Fatal(err)
			}
			encoded, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			parameters.Body[form] = encoded
		}
		posted = append(posted, &router.ProxyRequest{
			PostParameters: parameters, Metadata: output.Metadata, Timeout: 20 * time.Second,
		})
	}
	return posted
}

func newDeliverer(t testing.TB, address string) *router.Deliverer {
	t.Helper()
	deliverer := router.NewDeliverer(dial(t, address), nil)
	t.Cleanup(deliverer.Close)
	return deliverer
}

// Jobs that are transformed first and delivered later arrive at Customer.io without the loss of a
// digit, although a router decodes and encodes them in between.
func TestTransformedJobsCanBeDeliveredLater(t *testing.T) {
	sandbox := sidecartest.StartSandbox(t, "--listen", "127.0.0.1:0")
	address := sidecartest.Start(t, "--customerio-url", sandbox.URL).Address()
	transformer, deliverer := newTransformer(t, address, nil), newDeliverer(t, address)
	outputs := transform(t, transformer,
		job(1, `{"type":"identify","userId":"u1","traits":{"balance":12345678901234567890}}`),
		job(2, `{"type":"identify","userId":"u2","traits":{}}`),
		job(3, group("u1")), job(4, group("u2")), job(5, track("u2")))
	for index := range outputs {
		for _, request := range proxied(t, &outputs[index]) {
			response, err := deliverer.Deliver(within(t), request)
			if err != nil {
				t.Fatal(err)
			}
			if response.Output.Status != 200 || len(response.Output.Response) != len(request.Metadata) {
				t.Fatalf("%+v", response)
			}
			for n, jobResponse := range response.Output.Response {
				if jobResponse.StatusCode != 200 || jobResponse.Error != "success" || string(jobResponse.Metadata) != string(request.Metadata[n]) {
					t.Errorf("%+v", jobResponse)
				}
			}
		}
	}
	first := get(t, sandbox.URL+"/sandbox/person?id=u1")
	if attributes := first["attributes"].(map[string]any); attributes["balance"] != json.Number("12345678901234567890") {
		t.Errorf("%v", attributes)
	}
	if get(t, sandbox.URL+"/sandbox/person?id=u2")["attributes"] == nil {
		t.Error("an identify without attributes created no profile")
	}
	if counters := get(t, sandbox.URL+"/sandbox/counters"); fmt.Sprint(counters["objects"]) != "2" || fmt.Sprint(counters["events"]) != "1" {
		t.Errorf("%v", counters)
	}
}

// If Customer.io refuses one item of a request with several jobs, that item's job has a permanent
// failure, and the others are delivered.
func TestOneRefusedItemFailsItsOwnJob(t *testing.T) {
	sandbox := sidecartest.StartSandbox(t, "--listen", "127.0.0.1:0", "--fault", "207=1", "--seed", "1")
	address := sidecartest.Start(t, "--customerio-url", sandbox.URL).Address()
	outputs := transform(t, newTransformer(t, address, nil), job(1, group("a")), job(2, group("b")), job(3, group("c")))
	deliverer := newDeliverer(t, address)
	response, err := deliverer.Deliver(within(t), proxied(t, &outputs[0])[0])
	if err != nil {
		t.Fatal(err)
	}
	var refused []int
	for index, jobResponse := range response.Output.Response {
		if jobResponse.StatusCode == http.StatusBadRequest {
			refused = append(refused, index)
		} else if jobResponse.StatusCode != http.StatusOK {
			t.Errorf("%+v", jobResponse)
		}
	}
	if len(refused) != 1 {
		t.Fatalf("%+v", response.Output)
	}
	// The sandbox keeps the item that it refused.
	faults := get(t, sandbox.URL+"/sandbox/requests?outcome=fault")["requests"].([]any)
	if body := faults[0].(map[string]any)["body"].(string); !strings.Contains(body, "g-"+string("abc"[refused[0]])) {
		t.Errorf("job %d was refused, and of the items %s", refused[0]+1, body)
	}
}

// A request that Customer.io would never accept gives status 400 to all its jobs. It is not sent.
func TestARequestThatCannotBeSentIsRefused(t *testing.T) {
	deliverer := newDeliverer(t, plainSidecar(t))
	request := &router.ProxyRequest{Metadata: []json.RawMessage{json.RawMessage(`{"jobId":1}`), json.RawMessage(`{"jobId":2}`)}}
	request.Body = map[string]json.RawMessage{"XML": json.RawMessage(`{"payload":"<a/>"}`)}
	response, err := deliverer.Deliver(within(t), request)
	if err != nil {
		t.Fatal(err)
	}
	for _, jobResponse := range response.Output.Response {
		if jobResponse.StatusCode != http.StatusBadRequest {
			t.Errorf("%+v", jobResponse)
		}
	}
}

func get(t testing.TB, url string) map[string]any {
	t.Helper()
	request, err := http.NewRequestWithContext(within(t), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var decoded map[string]any
	decoder := json.NewDecoder(response.Body)
	decoder.UseNumber()
	if err := decoder.Decode(&decoded); err != nil {
		t.Fatal(err)
	}
	return decoded
}

// In proxy v0, metadata is one object, and the response has one result for all jobs.
func TestProxyV0HasOneResultForAllJobs(t *testing.T) {
	sandbox := sidecartest.StartSandbox(t, "--listen", "127.0.0.1:0")
	address := sidecartest.Start(t, "--customerio-url", sandbox.URL).Address()
	outputs := transform(t, newTransformer(t, address, nil), job(1, track("a")))
	var request router.ProxyRequest
	text := strings.Replace(string(outputs[0].BatchedRequest), "{", `{"metadata": {"jobId":9007199254740993},`, 1)
	if err := json.Unmarshal([]byte(text), &request); err != nil || string(request.Metadata[0]) != `{"jobId":9007199254740993}` {
		t.Fatalf("%v: %s", err, request.Metadata)
	}
	deliverer := newDeliverer(t, address)
	for endpoint, expected := range map[string]string{
		request.Endpoint: `{"output":{"status":200,"message":"delivered","destinationResponse":{"response":"success","status":200}}}`,
		"https://track.customer.io/api/v1/nothing": `"destinationResponse":{"response":`,
	} {
		request.Endpoint = endpoint
		response, err := deliverer.Deliver(within(t), &request)
		if err != nil {
			t.Fatal(err)
		}
		body := string(response.AppendJSONV0(nil))
		if !json.Valid([]byte(body)) || !strings.Contains(body, expected) {
			t.Errorf("%s", body)
		}
	}
	if err := json.Unmarshal([]byte(`{"metadata":[{"jobId":1},{"jobId":2}]}`), &request); err != nil || len(request.Metadata) != 2 {
		t.Errorf("%v: %s", err, request.Metadata)
	}
	if err := json.Unmarshal([]byte(`{"metadata":5}`), &request); err == nil {
		t.Error("metadata that is a number was read")
	}
}

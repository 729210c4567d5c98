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

// proxied are the requests of an output as a router asks its proxy to send them: decoded into Go's
// own types and encoded again, with the metadata of the output's jobs.
func proxied(t testing.TB, output *router.DestinationJob) (found []*router.ProxyRequest) {
	t.Helper()
	for _, one := range requests(t, output) {
		for form, text := range one.Body {
			var value map[string]any
			if err := json.Unmarshal(text, &value); err != nil {
				t.Fatal(err)
			}
			encoded, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			one.Body[form] = encoded
		}
		found = append(found, &router.ProxyRequest{
			PostParameters: one, Metadata: output.Metadata, Timeout: 20 * time.Second,
		})
	}
	return found
}

func newDeliverer(t testing.TB, address string) *router.Deliverer {
	t.Helper()
	deliverer := router.NewDeliverer(dial(t, address), nil)
	t.Cleanup(deliverer.Close)
	return deliverer
}

// Jobs transformed first and delivered later, through everything a router does in between: they
// are in Customer.io, to the last digit.
func TestWhatIsTransformedNowIsDeliveredLater(t *testing.T) {
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
			for n, one := range response.Output.Response {
				if one.StatusCode != 200 || one.Error != "success" || string(one.Metadata) != string(request.Metadata[n]) {
					t.Errorf("%+v", one)
				}
			}
		}
	}
	first := get(t, sandbox.URL+"/sandbox/person?id=u1")
	if attributes := first["attributes"].(map[string]any); attributes["balance"] != json.Number("12345678901234567890") {
		t.Errorf("%v", attributes)
	}
	if get(t, sandbox.URL+"/sandbox/person?id=u2")["attributes"] == nil {
		t.Error("an identify without attributes made nobody")
	}
	if counters := get(t, sandbox.URL+"/sandbox/counters"); fmt.Sprint(counters["objects"]) != "2" || fmt.Sprint(counters["events"]) != "1" {
		t.Errorf("%v", counters)
	}
}

// Of a request that covers several jobs, Customer.io refuses one item: its job fails for good and
// the others are delivered.
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
	for index, one := range response.Output.Response {
		if one.StatusCode == http.StatusBadRequest {
			refused = append(refused, index)
		} else if one.StatusCode != http.StatusOK {
			t.Errorf("%+v", one)
		}
	}
	if len(refused) != 1 {
		t.Fatalf("%+v", response.Output)
	}
	// Whose item it was is told by what the sandbox did not take.
	faults := get(t, sandbox.URL+"/sandbox/requests?outcome=fault")["requests"].([]any)
	if body := faults[0].(map[string]any)["body"].(string); !strings.Contains(body, "g-"+string("abc"[refused[0]])) {
		t.Errorf("job %d was refused, and of the items %s", refused[0]+1, body)
	}
}

// A request that Customer.io could never take is every job's 400; nothing is sent.
func TestARequestThatCannotBeSentIsRefused(t *testing.T) {
	deliverer := newDeliverer(t, plainSidecar(t))
	request := &router.ProxyRequest{Metadata: []json.RawMessage{json.RawMessage(`{"jobId":1}`), json.RawMessage(`{"jobId":2}`)}}
	request.Body = map[string]json.RawMessage{"XML": json.RawMessage(`{"payload":"<a/>"}`)}
	response, err := deliverer.Deliver(within(t), request)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range response.Output.Response {
		if one.StatusCode != http.StatusBadRequest {
			t.Errorf("%+v", one)
		}
	}
}

func get(t testing.TB, url string) map[string]any {
	t.Helper()
	request, err := http.NewRequestWithContext(within(t), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var found map[string]any
	decoder := json.NewDecoder(answer.Body)
	decoder.UseNumber()
	if err := decoder.Decode(&found); err != nil {
		t.Fatal(err)
	}
	return found
}

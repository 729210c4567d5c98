package ciosidecar_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
	"github.com/ciosidecar/ciosidecar/client/go/internal/sidecartest"
)

// delivering starts a sandbox, and a sidecar that delivers to it.
func delivering(t *testing.T) (sandbox *sidecartest.Sidecar, address string) {
	t.Helper()
	sandbox = sidecartest.StartSandbox(t, "--listen", "127.0.0.1:0")
	return sandbox, sidecartest.Start(t, "--customerio-url", sandbox.URL).Address()
}

// Results of a stream with delivery have Customer.io's answer. The delivered profiles are in the
// sandbox.
func TestResultsHaveCustomerioAnswers(t *testing.T) {
	sandbox, address := delivering(t)
	for name, options := range map[string]*ciosidecar.DeliveryOptions{
		"every detail":  {},
		"with requests": {IncludeRequests: true, DefaultTimeout: 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			stream := openStream(t, address, &ciosidecar.StreamOptions{Delivery: options})
			items := numbered(50)
			for index := range items {
				items[index].JSON = fmt.Appendf(nil, `{"type":"identify","userId":"%s-%d","traits":{"n":%d}}`, t.Name(), index, index)
			}
			items[7].JSON = []byte(`{"type":"identify"}`)
			results := mustExchange(t, stream, items)
			inOrder(t, results, 50)
			for index, result := range results {
				if (result.Status == 200) != (index != 7) {
					t.Fatalf("item %d: %+v", index, result)
				}
				if index == 7 {
					continue
				}
				if options.DetailLevel == ciosidecar.DetailLevelAll && (result.Delivery == nil || result.Delivery.HTTPStatus != 200 || result.Delivery.Attempts != 1) {
					t.Errorf("item %d: %+v", index, result.Delivery)
				}
				if (len(result.Requests) != 0) != options.IncludeRequests {
					t.Errorf("item %d has %d requests", index, len(result.Requests))
				}
			}
		})
	}
	if count := people(t, sandbox.URL); count != 98 {
		t.Errorf("%d people", count)
	}
}

// people returns the number of profiles in the sandbox.
func people(t *testing.T, url string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(within(t), http.MethodGet, url+"/sandbox/counters", nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var counters struct{ People int }
	if err := json.NewDecoder(response.Body).Decode(&counters); err != nil {
		t.Fatal(err)
	}
	return counters.People
}

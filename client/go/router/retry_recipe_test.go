package router_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ciosidecar/ciosidecar/client/go/internal/sidecartest"
	"github.com/ciosidecar/ciosidecar/client/go/router"
)

// deliverWithRetries is the retry recipe of docs/go-data-plane.md for a request with one job: it delivers the request
// until its status is final, or until it was sent maxTries times. metadata returns the job's metadata with an attemptNum.
func deliverWithRetries(
	ctx context.Context, deliverer *router.Deliverer, request router.ProxyRequest,
	metadata func(attemptNum int) json.RawMessage, maxTries int,
) (router.ProxyJobResponse, error) {
	backoff, tries := 50*time.Millisecond, 0
	for attempt := 0; ; attempt++ {
		request.Metadata = []json.RawMessage{metadata(attempt)}
		response, err := deliverer.Deliver(ctx, &request)
		if err != nil {
			response = request.Failed(err) // it may have been sent; so it is sent again
		}
		job := response.Output.Response[0]
		if job.Code != "BLOCKED" { // a blocked job was not sent, so that is no try
			tries++
		}
		if job.Final() || tries == maxTries {
			return job, ctx.Err()
		}
		select {
		case <-time.After(max(backoff, job.RetryAfter)):
			backoff = min(2*backoff, 5*time.Second)
		case <-ctx.Done():
			return job, ctx.Err()
		}
	}
}

// With the recipe, every job is delivered once although Customer.io fails often.
func TestTheRetryRecipeDeliversEveryJobOnce(t *testing.T) {
	sandbox := sidecartest.StartSandbox(t, "--listen", "127.0.0.1:0", "--fault", "429=0.3,500=0.3,reset=0.1", "--seed", "5")
	address := sidecartest.Start(t, "--customerio-url", sandbox.URL).Address()
	transformer, deliverer := newTransformer(t, address, nil), newDeliverer(t, address)
	const people, events = 4, 8
	var running sync.WaitGroup
	for person := range people {
		running.Go(func() {
			for event := range events { // the events of a person one after another
				message := fmt.Sprintf(`{"type":"track","userId":"u%d","event":"E","messageId":"m-%d-%d"}`, person, person, event)
				output := transform(t, transformer, job(1, message))[0]
				request := router.ProxyRequest{PostParameters: requests(t, &output)[0], Timeout: 200 * time.Millisecond}
				result, err := deliverWithRetries(within(t), deliverer, request, func(attemptNum int) json.RawMessage {
					return fmt.Appendf(nil, `{"jobId":1,"destinationId":"shop","attemptNum":%d}`, attemptNum)
				}, 100)
				if err != nil || result.StatusCode != 200 || result.Code != "" {
					t.Errorf("%+v, %v", result, err)
				}
			}
		})
	}
	running.Wait()
	if counters := get(t, sandbox.URL+"/sandbox/counters"); fmt.Sprint(counters["events"]) != fmt.Sprint(people*events) {
		t.Errorf("%v", counters)
	}
}

// A permanent failure is not repeated, and a job that fails for ever is given up after its tries.
func TestTheRetryRecipeEnds(t *testing.T) {
	sandbox := sidecartest.StartSandbox(t, "--listen", "127.0.0.1:0", "--fault", "500=1")
	address := sidecartest.Start(t, "--customerio-url", sandbox.URL).Address()
	deliverer := newDeliverer(t, address)
	attempts := 0
	metadata := func(attemptNum int) json.RawMessage {
		attempts++
		return fmt.Appendf(nil, `{"jobId":1,"destinationId":"shop","attemptNum":%d}`, attemptNum)
	}
	outputs := transform(t, newTransformer(t, address, nil), job(1, track("u")))
	request := router.ProxyRequest{PostParameters: requests(t, &outputs[0])[0], Timeout: 100 * time.Millisecond}
	result, err := deliverWithRetries(within(t), deliverer, request, metadata, 3)
	if err != nil || result.Final() || attempts < 3 {
		t.Errorf("%+v, %v after %d attempts", result, err, attempts)
	}
	attempts, request.Endpoint = 0, "https://example.com/"
	if result, err := deliverWithRetries(within(t), deliverer, request, metadata, 3); err != nil || result.StatusCode != 400 || attempts != 1 {
		t.Errorf("%+v, %v after %d attempts", result, err, attempts)
	}
}

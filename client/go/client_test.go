package ciosidecar_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
	"github.com/ciosidecar/ciosidecar/client/go/internal/sidecartest"
)

func group(person string) ciosidecar.BatchItem {
	return ciosidecar.BatchItem{JSON: fmt.Appendf(nil, `{"type":"group","userId":"%s","groupId":"g-%s"}`, person, person)}
}

// Transform returns one result for each item, in order, with its error, its requests, its tag and
// its attachment.
func TestTransformReturnsOneResultForEachItem(t *testing.T) {
	client := dial(t, nil, plainSidecar(t))
	items := append(jsonItems(track, `{"type":"track"}`), group("u"), group("v"))
	items[1].Tag = []byte{0xff}
	items[3].Attachment = "the last"
	results, err := client.Transform(within(t), shop, items)
	if err != nil {
		t.Fatal(err)
	}
	var statuses []int
	for _, result := range results {
		statuses = append(statuses, result.Status)
	}
	if !slices.Equal(statuses, []int{200, 400, 200, 200}) || results[1].OK() || !results[0].OK() {
		t.Fatalf("statuses %v", statuses)
	}
	refused := results[1].Error
	if refused.Code != "MISSING_EVENT_NAME" || refused.Type != "instrumentation" || refused.Retryable ||
		refused.Message == "" || !bytes.Equal(results[1].Tag, []byte{0xff}) {
		t.Errorf("refused with %+v", results[1])
	}
	if len(results[2].Requests) != 0 || !slices.Equal(results[3].Requests[0].Positions, []int64{2, 3}) {
		t.Errorf("shared: %+v and %+v", results[2].Requests, results[3].Requests)
	}
	if results[3].Attachment != "the last" || results[3].Position != 3 {
		t.Errorf("the last is %+v", results[3])
	}
}

// APIRequest.HTTP returns the method, URL, headers and body, byte for byte.
func TestARequestIsCompleteInItself(t *testing.T) {
	client := dial(t, nil, plainSidecar(t))
	event := `{"type":"track","userId":"a/b ü","event":"Order","properties":{"n":12345678901234567890,"f":1.0}}`
	results, err := client.Transform(within(t), shop, jsonItems(event))
	if err != nil {
		t.Fatal(err)
	}
	request, err := results[0].Requests[0].HTTP(within(t))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(request.Body)
	if err != nil {
		t.Fatal(err)
	}
	if request.Method != "POST" || request.URL.String() != "https://track.customer.io/api/v1/customers/a%2Fb%20%C3%BC/events" {
		t.Errorf("%s %s", request.Method, request.URL)
	}
	if !bytes.Contains(body, []byte(`"n":12345678901234567890,"f":1.0`)) || request.ContentLength != int64(len(body)) {
		t.Errorf("body %s", body)
	}
	if user, password, ok := request.BasicAuth(); !ok || user != "site" || password != "key" {
		t.Errorf("as %s", user)
	}
	if results[0].Requests[0].EndpointPath != "v1/customers/events" {
		t.Errorf("endpoint path %s", results[0].Requests[0].EndpointPath)
	}
}

// An event as fields becomes the same request as the same event as JSON.
func TestAnEventMayBeBuiltFieldByField(t *testing.T) {
	client := dial(t, nil, plainSidecar(t))
	timestamp := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	results, err := client.Transform(within(t), shop, []ciosidecar.BatchItem{
		{JSON: []byte(`{"type":"track","userId":"u1","event":"Order","timestamp":"2026-03-04T05:06:07Z"}`)},
		{Event: &v1.RudderEvent{Type: "track", UserId: "u1", Event: "Order", Timestamp: timestamppb.New(timestamp)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	first, second := results[0].Requests[0], results[1].Requests[0]
	if first.URL != second.URL || !bytes.Equal(first.Body, second.Body) {
		t.Errorf("%s %s and %s %s", first.URL, first.Body, second.URL, second.Body)
	}
}

// Check names the key of a missing setting. Printing a destination does not show its config.
func TestADestinationCanBeCheckedAndHidesItsSecrets(t *testing.T) {
	client := dial(t, nil, plainSidecar(t))
	response, err := client.Check(within(t), ciosidecar.NewDestination("", []byte(`{"siteID":"site"}`)))
	if err != nil {
		t.Fatal(err)
	}
	if response.GetUsable() || response.GetProblems()[0].GetKey() != "apiKey" {
		t.Errorf("%v", response)
	}
	secret := ciosidecar.NewDestination("shop", []byte(`{"apiKey":"s3cret"}`))
	if printed := fmt.Sprintf("%v %+v %#v %s", secret, secret, secret, secret); strings.Contains(printed, "s3cret") {
		t.Errorf("printed as %s", printed)
	}
}

// A destination by ref is one that the sidecar knows. An unknown ref, or an empty one, concerns its own
// events, and not the destinations beside it.
func TestADestinationMayBeNamedByItsRefAlone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "destinations.json")
	known := []byte(`{"destinations": {"blog": {"siteID": "site", "apiKey": "key"}}}`)
	if err := os.WriteFile(file, known, 0o600); err != nil {
		t.Fatal(err)
	}
	client := dial(t, nil, sidecartest.Start(t, "--destinations", file).Address())
	event := []byte(`{"type":"track","userId":"u","event":"E"}`)
	results, err := client.Transform(within(t), ciosidecar.DestinationByRef("blog"), []ciosidecar.BatchItem{
		{JSON: event},
		{JSON: event, Destination: ciosidecar.DestinationByRef("nobody")},
		{JSON: event, Destination: ciosidecar.DestinationByRef("")},
	})
	if err != nil {
		t.Fatal(err)
	}
	for index, status := range []int{200, 400, 400} {
		if results[index].Status != status {
			t.Errorf("%d: %+v", index, results[index])
		}
	}
}

// Capabilities returns the name of the contract and the limits.
func TestCapabilitiesHaveTheLimits(t *testing.T) {
	client := dial(t, nil, sidecartest.Start(t, "--max-batch-events", "7").Address())
	capabilities, err := client.Capabilities(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if capabilities.GetProtocolVersion() != "ciosidecar.v1" || capabilities.GetLimits().GetMaxBatchEvents() != 7 {
		t.Errorf("%v", capabilities)
	}
}

// An empty batch has no results and no error.
func TestABatchMayBeEmpty(t *testing.T) {
	results, err := dial(t, nil, plainSidecar(t)).Transform(within(t), shop, nil)
	if err != nil || len(results) != 0 {
		t.Errorf("%v, %v", results, err)
	}
}

// A rejected call, a passed deadline and an unreachable sidecar have different codes.
func TestAFailedCallHasItsCode(t *testing.T) {
	address := sidecartest.Start(t, "--max-batch-events", "1").Address()
	_, err := dial(t, nil, address).Transform(within(t), shop, jsonItems(track, track))
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "batch.items") {
		t.Errorf("too large: %v", err)
	}
	ctx, cancel := context.WithTimeout(within(t), 0)
	defer cancel()
	if _, err = dial(t, nil, address).Capabilities(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("too late: %v", err)
	}
	client := dial(t, nil, "127.0.0.1:1")
	if _, err = client.Capabilities(within(t)); status.Code(err) != codes.Unavailable {
		t.Errorf("capabilities: %v", err)
	}
	if _, err = client.Check(within(t), shop); status.Code(err) != codes.Unavailable {
		t.Errorf("check: %v", err)
	}
	if _, err = client.Transform(within(t), shop, nil); status.Code(err) != codes.Unavailable {
		t.Errorf("transform: %v", err)
	}
}

// An item that would break the stream is refused when it is sent. The stream continues.
func TestAnItemThatCannotBeSentIsRefused(t *testing.T) {
	address := plainSidecar(t)
	client := dial(t, nil, address)
	stream := openStream(t, address, nil)
	for name, item := range map[string]ciosidecar.BatchItem{
		"source type":  {SourceType: "\xff"},
		"ordering key": {OrderingKey: "\xff"},
		"traceparent":  {Traceparent: "\xff"},
		"event":        {Event: &v1.RudderEvent{UserId: "\xff"}},
		"prepared":     {Prepared: &v1.PreparedRequest{Url: "\xff"}},
	} {
		if stream.Send(within(t), item) == nil {
			t.Errorf("%s: sent", name)
		}
		if stream.SendBatch(within(t), []ciosidecar.BatchItem{item}, 0) == nil {
			t.Errorf("%s: sent in a batch", name)
		}
		if _, err := client.Transform(within(t), shop, []ciosidecar.BatchItem{item}); err == nil {
			t.Errorf("%s: sent in a call", name)
		}
	}
	withoutDestination := client.Stream(within(t), ciosidecar.Destination{}, nil)
	defer withoutDestination.Close()
	if err := withoutDestination.Send(within(t), jsonItems(track)[0]); !errors.Is(err, ciosidecar.ErrNoDestination) {
		t.Errorf("without a destination: %v", err)
	}
	sendAll(t, stream, jsonItems(track)...)
	stream.CloseSend()
	if err := stream.Send(within(t), jsonItems(track)[0]); !errors.Is(err, ciosidecar.ErrFinished) {
		t.Errorf("after CloseSend: %v", err)
	}
	if result := receive(t, stream); result.Status != 200 {
		t.Errorf("the valid item: %+v", result)
	}
	atEnd(t, stream)
}

package ciosidecar_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
	"github.com/ciosidecar/ciosidecar/client/go/internal/sidecartest"
)

// A thousand items have a thousand results, in order, each of its own event.
func TestEveryItemComesBackInOrder(t *testing.T) {
	stream := openStream(t, plainSidecar(t), nil)
	items := numbered(1000)
	for index := range items {
		items[index].JSON = fmt.Appendf(nil, `{"type":"track","userId":"u%d","event":"E"}`, index)
	}
	results := mustExchange(t, stream, items)
	inOrder(t, results, 1000)
	for index, result := range results {
		if !strings.HasSuffix(result.Requests[0].URL, fmt.Sprintf("/customers/u%d/events", index)) {
			t.Fatalf("result %d is %s", index, result.Requests[0].URL)
		}
	}
	if stream.Reconnects() != 0 {
		t.Errorf("%d reconnects", stream.Reconnects())
	}
}

// If there are more destinations than the server keeps, reference ids are assigned again. Every
// item still uses its own destination.
func TestMoreDestinationsThanTheServerKeeps(t *testing.T) {
	stream := openStream(t, sidecartest.Start(t, "--max-destinations", "3").Address(), nil)
	items := make([]ciosidecar.BatchItem, 70)
	for index := range items {
		config := fmt.Appendf(nil, `{"siteID":"site-%d","apiKey":"key"}`, index%7)
		items[index] = ciosidecar.BatchItem{
			JSON: []byte(track), Destination: ciosidecar.NewDestination("", config),
		}
	}
	for index, result := range mustExchange(t, stream, items) {
		request, err := result.Requests[0].HTTP(within(t))
		if err != nil {
			t.Fatal(err)
		}
		if site, _, _ := request.BasicAuth(); site != fmt.Sprintf("site-%d", index%7) {
			t.Fatalf("item %d went to %s", index, site)
		}
	}
}

// source_type, dont_batch and tag reach the server. Requests have the positions of the stream, and
// are in the result of the last item that they cover.
func TestTheServerReceivesTheFieldsOfAnItem(t *testing.T) {
	stream := openStream(t, plainSidecar(t), &ciosidecar.StreamOptions{Linger: 200 * time.Millisecond})
	alone := group("u1")
	alone.DontBatch = true
	filtered := ciosidecar.BatchItem{
		JSON: []byte(track), SourceType: "web", Tag: []byte("job 17"),
		Destination: ciosidecar.NewDestination("", []byte(`{"siteID":"s","apiKey":"k","connectionMode":{"web":"device"}}`)),
	}
	results := mustExchange(t, stream, []ciosidecar.BatchItem{group("u0"), alone, group("u2"), filtered})
	var covered [][]int64
	for _, result := range results {
		for _, request := range result.Requests {
			covered = append(covered, request.Positions)
		}
	}
	if !slices.EqualFunc(covered, [][]int64{{1}, {0, 2}}, slices.Equal) {
		t.Errorf("requests cover %v", covered)
	}
	if results[3].Status != 298 || results[3].FilterReason != "DEVICE_MODE" || string(results[3].Tag) != "job 17" {
		t.Errorf("filtered: %+v", results[3])
	}
}

// Group events of one SendBatch share a request. Group events of another SendBatch do not share it.
func TestRequestsAreSharedWithinASendBatch(t *testing.T) {
	stream := openStream(t, plainSidecar(t), nil)
	for call := range 2 {
		items := []ciosidecar.BatchItem{group(fmt.Sprintf("a%d", call)), group(fmt.Sprintf("b%d", call))}
		if err := stream.SendBatch(within(t), items, 0); err != nil {
			t.Fatal(err)
		}
	}
	for _, expected := range [][]int64{nil, {0, 1}, nil, {2, 3}} {
		result := receive(t, stream)
		if len(result.Requests) == 0 != (expected == nil) {
			t.Fatalf("position %d has %d requests", result.Position, len(result.Requests))
		}
		if expected != nil && !slices.Equal(result.Requests[0].Positions, expected) {
			t.Errorf("shared by %v", result.Requests[0].Positions)
		}
	}
}

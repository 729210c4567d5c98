package ciosidecar_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

func identify(person string) ciosidecar.BatchItem {
	return ciosidecar.BatchItem{JSON: []byte(`{"type":"identify","userId":"` + person + `","traits":{"plan":"pro"}}`)}
}

// Every item of a batch has one result, in order, with Customer.io's answer and the attachment. The
// options select what a result contains. The profiles are in the sandbox afterwards.
func TestDeliverReturnsTheResultsOfOneBatch(t *testing.T) {
	sandbox, address := delivering(t)
	client := dial(t, nil, address)
	for name, options := range map[string]*ciosidecar.DeliveryOptions{
		"defaults":      nil,
		"notable":       {DetailLevel: ciosidecar.DetailLevelNotable},
		"with requests": {IncludeRequests: true, DefaultTimeout: 30 * time.Second},
	} {
		items := []ciosidecar.BatchItem{identify("a"), {JSON: []byte(`{"type":"identify"}`)}, identify("b")}
		for index := range items {
			items[index].Attachment = index
		}
		results, err := client.Deliver(within(t), shop, items, options)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		inOrder(t, results, 3)
		if results[1].Error == nil || results[1].Error.Code != "MISSING_IDENTITY" || results[1].Delivery != nil {
			t.Errorf("%s: invalid item: %+v", name, results[1])
		}
		for _, result := range []ciosidecar.Result{results[0], results[2]} {
			if !result.OK() {
				t.Fatalf("%s: %+v", name, result)
			}
			if (result.Delivery == nil) != (name == "notable") {
				t.Errorf("%s: delivery report %+v", name, result.Delivery)
			}
			if result.Delivery != nil && (result.Delivery.HTTPStatus != 200 || result.Delivery.Attempts != 1) {
				t.Errorf("%s: delivery report %+v", name, result.Delivery)
			}
			if (len(result.Requests) != 0) != (name == "with requests") {
				t.Errorf("%s: %d requests", name, len(result.Requests))
			}
		}
	}
	if count := people(t, sandbox.URL); count != 2 {
		t.Errorf("%d people", count)
	}
}

// Prepared requests need no destination.
func TestDeliverSendsPreparedRequests(t *testing.T) {
	sandbox, address := delivering(t)
	client := dial(t, nil, address)
	transformed, err := client.Transform(within(t), shop, []ciosidecar.BatchItem{identify("a")})
	if err != nil {
		t.Fatal(err)
	}
	prepared := ciosidecar.BatchItem{Prepared: transformed[0].Requests[0].Prepared()}
	results, err := client.Deliver(within(t), ciosidecar.Destination{}, []ciosidecar.BatchItem{prepared}, nil)
	if err != nil || !results[0].OK() || people(t, sandbox.URL) != 1 {
		t.Errorf("%+v, %v", results, err)
	}
}

// A sidecar without delivery fails the call with UNIMPLEMENTED.
func TestDeliverNeedsASidecarThatDelivers(t *testing.T) {
	address, _ := startScripted(t, answersAll)
	client := dial(t, nil, address)
	if _, err := client.Deliver(within(t), shop, jsonItems(track), nil); status.Code(err) != codes.Unimplemented {
		t.Errorf("failed with %v", err)
	}
}

// The request declares every destination and connection once, and has the options. A blocked item names
// the position of the item that failed.
func TestWhatDeliverSendsAndReads(t *testing.T) {
	requests := make(chan *v1.DeliverRequest, 1)
	address, sidecar := startScripted(t, answersAll)
	sidecar.onDeliver(func(request *v1.DeliverRequest) (*v1.DeliverResponse, error) {
		requests <- request
		blocked := func(position int32, batchID int64) *v1.EventDetail {
			return &v1.EventDetail{Position: position, Error: &v1.EventError{
				Code: v1.ErrorCode_ERROR_CODE_BLOCKED, Retryable: true,
				BlockedBy: &v1.ItemRef{BatchId: batchID, Position: 1},
			}}
		}
		batchID := request.GetBatch().GetBatchId()
		return &v1.DeliverResponse{Results: &v1.Results{
			BatchId: batchID, Statuses: []int32{200, 503, 503, 503}, BatchComplete: true,
			Details: []*v1.EventDetail{blocked(2, batchID), blocked(3, batchID+1)},
		}}, nil
	})
	items := slices.Repeat(jsonItems(track), 4)
	items[1].Destination = ciosidecar.NewDestination("other", []byte(`{}`))
	items[2].Connection = ciosidecar.NewSourceConnection([]byte(`{"object":"person"}`))
	items[3].Connection = items[2].Connection
	results, err := dial(t, nil, address).Deliver(within(t), shop, items, &ciosidecar.DeliveryOptions{
		DetailLevel: ciosidecar.DetailLevelNotable, IncludeRequests: true, DefaultTimeout: 3 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	if results[2].Error.BlockedBy == nil || *results[2].Error.BlockedBy != 1 || results[3].Error.BlockedBy != nil {
		t.Errorf("blocked by %v and %v", results[2].Error.BlockedBy, results[3].Error.BlockedBy)
	}
	request := <-requests
	var destinations, connections []int32
	for _, item := range request.GetBatch().GetItems() {
		destinations = append(destinations, item.GetDestination())
		connections = append(connections, item.GetConnection())
	}
	if len(request.GetDestinations()) != 2 || !slices.Equal(destinations, []int32{1, 2, 1, 1}) ||
		len(request.GetConnections()) != 1 || !slices.Equal(connections, []int32{0, 0, 1, 1}) {
		t.Errorf("sent %v", request)
	}
	delivery := request.GetDelivery()
	if delivery.GetDetailLevel() != v1.DetailLevel_DETAIL_LEVEL_NOTABLE || !delivery.GetIncludeRequests() ||
		delivery.GetDefaultTimeout().AsDuration() != 3*time.Second {
		t.Errorf("sent with %v", delivery)
	}
}

// A failed call is not repeated, because its requests may have been sent.
func TestDeliverIsNotRepeated(t *testing.T) {
	calls := make(chan struct{}, 10)
	address, sidecar := startScripted(t, answersAll)
	sidecar.onDeliver(func(*v1.DeliverRequest) (*v1.DeliverResponse, error) {
		calls <- struct{}{}
		return nil, status.Error(codes.Unavailable, "scripted")
	})
	_, err := dial(t, nil, address).Deliver(within(t), shop, jsonItems(track), nil)
	if status.Code(err) != codes.Unavailable || len(calls) != 1 {
		t.Errorf("failed with %v after %d calls", err, len(calls))
	}
}

// A response that does not answer every item fails the call with UNKNOWN.
func TestDeliverNeedsAResultForEveryItem(t *testing.T) {
	address, sidecar := startScripted(t, answersAll)
	sidecar.onDeliver(func(*v1.DeliverRequest) (*v1.DeliverResponse, error) {
		return &v1.DeliverResponse{Results: &v1.Results{Statuses: []int32{200}, BatchComplete: true}}, nil
	})
	_, err := dial(t, nil, address).Deliver(within(t), shop, jsonItems(track, track), nil)
	if status.Code(err) != codes.Unknown {
		t.Errorf("failed with %v", err)
	}
}

// Items and options that cannot be sent are refused before the call.
func TestDeliverRefusesWhatCannotBeSent(t *testing.T) {
	client := dial(t, nil, "127.0.0.1:1")
	for name, options := range map[string]*ciosidecar.DeliveryOptions{
		"timeout": {DefaultTimeout: -1}, "detail level": {DetailLevel: 7},
	} {
		if _, err := client.Deliver(within(t), shop, jsonItems(track), options); err == nil || status.Code(err) != codes.Unknown {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := client.Deliver(within(t), ciosidecar.Destination{}, jsonItems(track), nil); !errors.Is(err, ciosidecar.ErrNoDestination) {
		t.Errorf("without a destination: %v", err)
	}
}

// If the context has no deadline, a call ends thirty seconds after the timeout of the delivery.
func TestDeliverEndsThirtySecondsAfterTheDeliveryTimeout(t *testing.T) {
	for options, limit := range map[*ciosidecar.DeliveryOptions]time.Duration{
		nil:                           90 * time.Second,
		{DefaultTimeout: time.Minute}: 90 * time.Second,
		{DefaultTimeout: time.Second}: 31 * time.Second,
	} {
		deadlines := make(chan time.Time, 1)
		records := grpc.WithUnaryInterceptor(func(
			ctx context.Context, _ string, _, _ any, _ *grpc.ClientConn, _ grpc.UnaryInvoker, _ ...grpc.CallOption,
		) error {
			deadline, _ := ctx.Deadline()
			deadlines <- deadline
			return status.Error(codes.Unavailable, "scripted")
		})
		client := dial(t, &ciosidecar.DialOptions{GRPC: []grpc.DialOption{records}}, "127.0.0.1:1")
		before := time.Now()
		_, _ = client.Deliver(context.Background(), shop, jsonItems(track), options)
		if remaining := (<-deadlines).Sub(before); remaining < limit || remaining > limit+20*time.Second {
			t.Errorf("%+v: %s", options, remaining)
		}
	}
}

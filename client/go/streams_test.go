package ciosidecar_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
	"github.com/ciosidecar/ciosidecar/client/go/internal/sidecartest"
)

const (
	track  = `{"type":"track","userId":"u1","event":"Order"}`
	config = `{"siteID":"site","apiKey":"key"}`
)

var shop = ciosidecar.NewDestination("shop", []byte(config))

// within returns a context that limits everything that a test waits for.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), sidecartest.Timeout)
	t.Cleanup(cancel)
	return ctx
}

func contextWithTimeout(t testing.TB, timeout time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(within(t), timeout)
}

func dial(t testing.TB, options *ciosidecar.DialOptions, addresses ...string) *ciosidecar.Client {
	t.Helper()
	client, err := ciosidecar.Dial(addresses, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func openStream(t *testing.T, address string, options *ciosidecar.StreamOptions) *ciosidecar.Stream {
	t.Helper()
	stream := dial(t, nil, address).Stream(within(t), shop, options)
	t.Cleanup(func() { _ = stream.Close() })
	return stream
}

func jsonItems(events ...string) []ciosidecar.BatchItem {
	items := make([]ciosidecar.BatchItem, len(events))
	for index, event := range events {
		items[index] = ciosidecar.BatchItem{JSON: []byte(event)}
	}
	return items
}

func numbered(count int) []ciosidecar.BatchItem {
	items := make([]ciosidecar.BatchItem, count)
	for index := range items {
		items[index] = ciosidecar.BatchItem{JSON: fmt.Appendf(nil, `{"n":%d}`, index), Attachment: index}
	}
	return items
}

// exchange sends all items and receives until the end. It returns the error of Recv.
func exchange(t testing.TB, stream *ciosidecar.Stream, items []ciosidecar.BatchItem) ([]ciosidecar.Result, error) {
	t.Helper()
	ctx := within(t)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		defer stream.CloseSend()
		for _, item := range items {
			if stream.Send(ctx, item) != nil {
				return
			}
		}
	}()
	defer func() { <-sent }()
	var results []ciosidecar.Result
	for result, err := range stream.Results(ctx) {
		if err != nil {
			return results, err
		}
		results = append(results, result)
	}
	return results, nil
}

// mustExchange is exchange, but fails the test on an error.
func mustExchange(t testing.TB, stream *ciosidecar.Stream, items []ciosidecar.BatchItem) []ciosidecar.Result {
	t.Helper()
	results, err := exchange(t, stream, items)
	if err != nil {
		t.Fatalf("after %d results: %v", len(results), err)
	}
	return results
}

// inOrder fails the test unless there is one result for each of count items, in order.
func inOrder(t testing.TB, results []ciosidecar.Result, count int) {
	t.Helper()
	if len(results) != count {
		t.Fatalf("%d results for %d items", len(results), count)
	}
	for index, result := range results {
		if result.Position != int64(index) || result.Attachment != any(index) {
			t.Fatalf("result %d is of position %d with value %v", index, result.Position, result.Attachment)
		}
	}
}

func sendAll(t testing.TB, stream *ciosidecar.Stream, items ...ciosidecar.BatchItem) {
	t.Helper()
	for _, item := range items {
		if err := stream.Send(within(t), item); err != nil {
			t.Fatal(err)
		}
	}
}

func receive(t testing.TB, stream *ciosidecar.Stream) ciosidecar.Result {
	t.Helper()
	result, err := stream.Recv(within(t))
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func atEnd(t testing.TB, stream *ciosidecar.Stream) {
	t.Helper()
	if result, err := stream.Recv(within(t)); !errors.Is(err, io.EOF) {
		t.Fatalf("%v, %v instead of io.EOF", result, err)
	}
}

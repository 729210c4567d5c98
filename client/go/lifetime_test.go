package ciosidecar_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
	"github.com/ciosidecar/ciosidecar/client/go/internal/sidecartest"
)

// If the context of the stream ends, Send and Recv return an error that matches the context's.
func TestTheStreamsContextEndsIt(t *testing.T) {
	for name, end := range map[string]struct {
		code codes.Code
		is   error
	}{
		"cancelled": {codes.Canceled, context.Canceled},
		"deadline":  {codes.DeadlineExceeded, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			address, _ := startScripted(t, func(s *scriptedStream) error {
				if err := s.open(nil); err != nil {
					return err
				}
				<-s.stream.Context().Done()
				return s.stream.Context().Err()
			})
			ctx, cancel := context.WithCancel(within(t))
			if name == "deadline" {
				ctx, cancel = context.WithTimeout(within(t), 50*time.Millisecond)
			}
			defer cancel()
			stream := dial(t, nil, address).Stream(ctx, shop, nil)
			defer stream.Close()
			sendAll(t, stream, numbered(1)...)
			if name == "cancelled" {
				cancel()
			}
			_, err := stream.Recv(within(t))
			if status.Code(err) != end.code || !errors.Is(err, end.is) {
				t.Errorf("Recv failed with %v", err)
			}
			if err := stream.Send(within(t), numbered(1)[0]); !errors.Is(err, end.is) {
				t.Errorf("Send failed with %v", err)
			}
		})
	}
}

// Close wakes waiting senders and receivers with ErrClosed, and leaves no goroutine behind.
func TestCloseEndsEverythingThatWaits(t *testing.T) {
	silent := make(chan struct{})
	address, sidecar := startScripted(t, func(s *scriptedStream) error {
		close(silent)
		<-s.stream.Context().Done()
		return nil
	})
	before := goleak.IgnoreCurrent()
	client := dial(t, nil, address)
	stream := client.Stream(within(t), shop, &ciosidecar.StreamOptions{MaxOutstandingEvents: 1})
	sendAll(t, stream, numbered(1)...)
	failures := make(chan error, 2)
	go func() { failures <- stream.Send(within(t), numbered(1)[0]) }()
	go func() {
		_, err := stream.Recv(within(t))
		failures <- err
	}()
	<-silent
	if err := stream.Close(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := <-failures; !errors.Is(err, ciosidecar.ErrClosed) {
			t.Errorf("failed with %v", err)
		}
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	sidecar.stop()
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}

// If a real sidecar is drained, killed and started again, every item has one result, in order.
func TestEveryItemHasAResultAlthoughSidecarsGoAway(t *testing.T) {
	const count = 30_000
	socket := "unix:" + t.TempDir() + "/s.sock"
	first := sidecartest.Start(t, "--listen", socket)
	stream := openStream(t, socket, &ciosidecar.StreamOptions{MaxBatchEvents: 50, MaxOutstandingEvents: 500})
	sent := make(chan error, 1)
	go func() {
		defer stream.CloseSend()
		for _, item := range numbered(count) {
			if err := stream.Send(within(t), item); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	var results []ciosidecar.Result
	for result, err := range stream.Results(within(t)) {
		if err != nil {
			t.Fatal(err)
		}
		results = append(results, result)
		switch len(results) {
		case count / 3:
			first.Drain()
			<-first.Exited()
			first = sidecartest.Start(t, "--listen", socket)
		case 2 * count / 3:
			first.Kill()
			sidecartest.Start(t, "--listen", socket)
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	inOrder(t, results, count)
	if stream.Reconnects() < 2 {
		t.Errorf("%d reconnects", stream.Reconnects())
	}
}

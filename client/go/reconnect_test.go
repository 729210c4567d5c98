package ciosidecar_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

// If the server goes away in mid-batch, only the items without a result are sent again.
func TestOnlyItemsWithoutAResultAreSentAgain(t *testing.T) {
	var resent []string
	address, sidecar := startScripted(t,
		func(s *scriptedStream) error {
			if err := s.open(nil); err != nil {
				return err
			}
			batch, err := s.batch()
			if err != nil {
				return err
			}
			if err := s.answer(batch, false, 0, 1, 2, 7); err != nil {
				return err
			}
			return status.Error(codes.Unavailable, "scripted")
		},
		func(s *scriptedStream) error {
			if err := s.open(nil); err != nil {
				return err
			}
			return s.each(func(batch *v1.Batch) {
				for _, item := range batch.GetItems() {
					resent = append(resent, string(item.GetJson()))
				}
			})
		})
	stream := openStream(t, address, &ciosidecar.StreamOptions{Linger: 500 * time.Millisecond})
	results := mustExchange(t, stream, numbered(10))
	inOrder(t, results, 10)
	expected := []string{`{"n":3}`, `{"n":4}`, `{"n":5}`, `{"n":6}`, `{"n":8}`, `{"n":9}`}
	if !slices.Equal(resent, expected) {
		t.Errorf("sent again: %v", resent)
	}
	if stream.Reconnects() != 1 || sidecar.stream(1).declared[1] != config {
		t.Errorf("%d reconnects, declared %v", stream.Reconnects(), sidecar.stream(1).declared)
	}
}

// After Drain nothing more is sent in the session. Sent items have results, and all others are sent
// in the next session.
func TestDrainMovesTheStreamWithoutLosingAnything(t *testing.T) {
	second := 0
	address, _ := startScripted(t,
		func(s *scriptedStream) error {
			if err := s.open(nil); err != nil {
				return err
			}
			batch, err := s.batch()
			if err != nil {
				return err
			}
			if err := s.drain(); err != nil {
				return err
			}
			if _, err := s.batch(); !errors.Is(err, errFinished) {
				t.Errorf("after Drain: %v", err)
			}
			return s.answer(batch, true)
		},
		func(s *scriptedStream) error {
			if err := s.open(nil); err != nil {
				return err
			}
			return s.each(func(batch *v1.Batch) { second += len(batch.GetItems()) })
		})
	stream := openStream(t, address, &ciosidecar.StreamOptions{MaxBatchEvents: 5, MaxOutstandingEvents: 5})
	inOrder(t, mustExchange(t, stream, numbered(50)), 50)
	if second != 45 || stream.Reconnects() != 1 {
		t.Errorf("%d items on the second stream, %d reconnects", second, stream.Reconnects())
	}
}

// If the server answers an item twice, the item has one result, in order.
func TestAnAnswerThatComesTwiceCountsOnce(t *testing.T) {
	address, _ := startScripted(t, func(s *scriptedStream) error {
		if err := s.open(nil); err != nil {
			return err
		}
		return s.each(func(batch *v1.Batch) {
			_ = s.answer(batch, false, 0)
			_ = s.answer(batch, true)
		})
	})
	inOrder(t, mustExchange(t, openStream(t, address, nil), numbered(3)), 3)
}

// BlockedBy is the stream position of an item in the same batch, in an answered batch, or in a
// batch that was sent again. It is nil for an item that does not exist.
func TestBlockedByIsAStreamPosition(t *testing.T) {
	blocked := func(s *scriptedStream, batch *v1.Batch, by ...*v1.ItemRef) error {
		results := &v1.Results{BatchId: batch.GetBatchId(), BatchComplete: true}
		for position, ref := range by {
			results.Statuses = append(results.Statuses, 503)
			results.Details = append(results.Details, &v1.EventDetail{Position: int32(position), Error: &v1.EventError{
				Code: v1.ErrorCode_ERROR_CODE_BLOCKED, Retryable: true, BlockedBy: ref,
			}})
		}
		return s.send(&v1.TransformStreamResponse{Message: &v1.TransformStreamResponse_Results{Results: results}})
	}
	address, _ := startScripted(t,
		func(s *scriptedStream) error {
			_ = s.open(nil)
			batch, err := s.batch()
			if err != nil {
				return err
			}
			_ = s.answer(batch, false, 1)
			return status.Error(codes.Unavailable, "scripted")
		},
		func(s *scriptedStream) error {
			_ = s.open(nil)
			first, err := s.batch() // positions 0 and 2 of the stream
			if err != nil {
				return err
			}
			_ = s.answer(first, true)
			second, err := s.batch() // positions 3, 4, 5
			if err != nil {
				return err
			}
			err = blocked(s, second,
				&v1.ItemRef{BatchId: first.GetBatchId(), Position: 1},
				&v1.ItemRef{BatchId: second.GetBatchId(), Position: 0},
				&v1.ItemRef{BatchId: first.GetBatchId(), Position: 2})
			if err != nil {
				return err
			}
			return s.each(func(*v1.Batch) {})
		})
	stream := openStream(t, address, nil)
	for range 2 {
		if err := stream.SendBatch(within(t), numbered(3), 0); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if result := receive(t, stream); result.Position == 3 && *result.Error.BlockedBy != 2 ||
				result.Position == 4 && *result.Error.BlockedBy != 3 ||
				result.Position == 5 && result.Error.BlockedBy != nil {
				t.Errorf("position %d waits for %v", result.Position, result.Error.BlockedBy)
			}
		}
	}
	stream.CloseSend()
	atEnd(t, stream)
}

// Invalid results end the stream with UNKNOWN and a reason, without a reconnect.
func TestInvalidResultsEndTheStream(t *testing.T) {
	for name, results := range map[string]*v1.Results{
		"position":          {FirstPosition: 2, Statuses: []int32{200}},
		"positions":         {Positions: []int32{0}, Statuses: []int32{200, 200}},
		"not all":           {Statuses: []int32{200}, BatchComplete: true},
		"template":          {Statuses: []int32{200, 200}, Requests: []*v1.ApiRequest{{Template: 1}}},
		"request":           {Templates: []*v1.ApiRequestTemplate{{}}, Requests: []*v1.ApiRequest{{Positions: []int32{2}}}},
		"huge position":     {FirstPosition: math.MaxInt32, Statuses: []int32{200}},
		"negative position": {Positions: []int32{-1}, Statuses: []int32{200}},
		"negative template": {Statuses: []int32{200, 200}, Requests: []*v1.ApiRequest{{Template: -1}}},
		"negative request":  {Templates: []*v1.ApiRequestTemplate{{}}, Requests: []*v1.ApiRequest{{Positions: []int32{-1}}}},
		"no positions":      {Templates: []*v1.ApiRequestTemplate{{}}, Requests: []*v1.ApiRequest{{}}},
	} {
		t.Run(name, func(t *testing.T) {
			address, sidecar := startScripted(t, func(s *scriptedStream) error {
				if err := s.open(nil); err != nil {
					return err
				}
				batch, err := s.batch()
				if err != nil {
					return err
				}
				results.BatchId = batch.GetBatchId()
				err = s.send(&v1.TransformStreamResponse{
					Message: &v1.TransformStreamResponse_Results{Results: results},
				})
				if err == nil {
					<-s.stream.Context().Done()
				}
				return err
			})
			stream := openStream(t, address, &ciosidecar.StreamOptions{Linger: 100 * time.Millisecond})
			_, err := exchange(t, stream, numbered(2))
			if status.Code(err) != codes.Unknown || !strings.Contains(err.Error(), "broke the contract") {
				t.Errorf("failed with %v", err)
			}
			if sidecar.count() != 1 {
				t.Errorf("%d streams", sidecar.count())
			}
		})
	}
}

// If no sidecar answers for ReconnectFor, Send and Recv fail with UNAVAILABLE.
func TestTheStreamIsUnavailableAfterReconnectFor(t *testing.T) {
	stream := openStream(t, "127.0.0.1:1", &ciosidecar.StreamOptions{
		ReconnectFor: 300 * time.Millisecond, MaxOutstandingEvents: 2,
	})
	_, err := exchange(t, stream, numbered(10))
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "no answer for 300ms") {
		t.Errorf("failed with %v", err)
	}
	if err := stream.Send(within(t), numbered(1)[0]); status.Code(err) != codes.Unavailable {
		t.Errorf("Send failed with %v", err)
	}
}

// INVALID_ARGUMENT is not retryable: it is returned with its message, without a reconnect.
func TestARefusedCallIsNotTriedAgain(t *testing.T) {
	address, sidecar := startScripted(t, func(*scriptedStream) error {
		return status.Error(codes.InvalidArgument, "no")
	})
	_, err := exchange(t, openStream(t, address, nil), numbered(1))
	var failure *ciosidecar.CallError
	if !errors.As(err, &failure) || status.Code(err) != codes.InvalidArgument || sidecar.count() != 1 {
		t.Errorf("failed with %v after %d streams", err, sidecar.count())
	}
	if err.Error() != "ciosidecar: InvalidArgument: no" {
		t.Errorf("it says %q", err)
	}
}

// If the server fails with the same items each time, the stream gives up after ReconnectFor.
func TestABatchThatAlwaysFailsEndsTheStream(t *testing.T) {
	address, sidecar := startScripted(t, func(s *scriptedStream) error {
		if err := s.open(nil); err != nil {
			return err
		}
		if _, err := s.batch(); err != nil {
			return err
		}
		return status.Error(codes.Internal, "scripted")
	})
	stream := openStream(t, address, &ciosidecar.StreamOptions{ReconnectFor: 500 * time.Millisecond})
	if _, err := exchange(t, stream, numbered(1)); status.Code(err) != codes.Unavailable {
		t.Errorf("failed with %v", err)
	}
	if sidecar.count() < 2 {
		t.Errorf("%d streams", sidecar.count())
	}
}

// By default a result waits for earlier results. With Unordered, results are returned as they
// arrive.
func TestResultsAreInOrderUnlessUnordered(t *testing.T) {
	for name, unordered := range map[string]bool{"ordered": false, "unordered": true} {
		t.Run(name, func(t *testing.T) {
			address, _ := startScripted(t, func(s *scriptedStream) error {
				if err := s.open(nil); err != nil {
					return err
				}
				batch, err := s.batch()
				if err != nil {
					return err
				}
				if err := s.answer(batch, false, 2); err != nil {
					return err
				}
				if err := s.answer(batch, true, 1, 0); err != nil {
					return err
				}
				return s.each(func(*v1.Batch) {})
			})
			stream := openStream(t, address, &ciosidecar.StreamOptions{Unordered: unordered})
			if err := stream.SendBatch(within(t), numbered(3), 0); err != nil {
				t.Fatal(err)
			}
			var order []int
			for range 3 {
				order = append(order, receive(t, stream).Attachment.(int))
			}
			stream.CloseSend()
			atEnd(t, stream)
			expected := []int{0, 1, 2}
			if unordered {
				expected = []int{2, 1, 0}
			}
			if !slices.Equal(order, expected) {
				t.Errorf("in the order %v", order)
			}
		})
	}
}

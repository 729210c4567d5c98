package ciosidecar_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

func repeated(event string, count int) []ciosidecar.BatchItem {
	return slices.Repeat(jsonItems(event), count)
}

func sum(numbers []int) (total int) {
	for _, number := range numbers {
		total += number
	}
	return total
}

// A thousand items share few messages, and no message is larger than MaxBatchEvents.
func TestItemsAreGatheredIntoMessages(t *testing.T) {
	var sizes []int
	address, _ := startScripted(t, func(s *scriptedStream) error {
		if err := s.open(nil); err != nil {
			return err
		}
		return s.each(func(batch *v1.Batch) { sizes = append(sizes, len(batch.GetItems())) })
	})
	stream := openStream(t, address, &ciosidecar.StreamOptions{
		MaxBatchEvents: 100, Linger: 200 * time.Millisecond,
	})
	mustExchange(t, stream, repeated(track, 1000))
	if sum(sizes) != 1000 || slices.Max(sizes) > 100 || len(sizes) >= 50 {
		t.Errorf("messages of %v items", sizes)
	}
}

// A message is no larger than MaxBatchBytes, unless it has a single larger item.
func TestABatchIsBoundedInBytesToo(t *testing.T) {
	var sizes []int
	address, _ := startScripted(t, func(s *scriptedStream) error {
		if err := s.open(nil); err != nil {
			return err
		}
		return s.each(func(batch *v1.Batch) {
			size := 0
			for _, item := range batch.GetItems() {
				size += len(item.GetJson())
			}
			sizes = append(sizes, size)
		})
	})
	stream := openStream(t, address, &ciosidecar.StreamOptions{MaxBatchBytes: 1000})
	mustExchange(t, stream, append(repeated(strings.Repeat("x", 400), 10), repeated(strings.Repeat("y", 5000), 1)...))
	if sum(sizes) != 9000 || slices.Max(sizes[:len(sizes)-1]) > 1000 {
		t.Errorf("messages of %v bytes", sizes)
	}
}

// The stream keeps each server's limit for a batch, also after a reconnect.
func TestTheServersOwnLimitOnABatchIsKept(t *testing.T) {
	var sizes [2][]int
	limited := func(stream int, limit int32, batches int) script {
		return func(s *scriptedStream) error {
			if err := s.open(&v1.Limits{MaxBatchEvents: limit, MaxDestinations: 10}); err != nil {
				return err
			}
			for range batches {
				batch, err := s.batch()
				if err != nil {
					return err
				}
				sizes[stream] = append(sizes[stream], len(batch.GetItems()))
				if err := s.answer(batch, true); err != nil {
					return err
				}
			}
			if batches != 0 {
				return status.Error(codes.Unavailable, "scripted")
			}
			return s.each(func(batch *v1.Batch) { sizes[stream] = append(sizes[stream], len(batch.GetItems())) })
		}
	}
	address, _ := startScripted(t, limited(0, 3, 2), limited(1, 5, 0))
	stream := openStream(t, address, &ciosidecar.StreamOptions{Linger: 100 * time.Millisecond})
	mustExchange(t, stream, repeated(track, 20))
	if !slices.Equal(sizes[0], []int{3, 3}) || slices.Max(sizes[1]) != 5 || sum(sizes[1]) < 14 {
		t.Errorf("messages of %v items", sizes)
	}
}

// A single item is sent after Linger, before CloseSend.
func TestASingleItemIsSentAfterLinger(t *testing.T) {
	address, _ := startScripted(t, answersAll)
	stream := openStream(t, address, nil)
	for range 3 {
		sendAll(t, stream, jsonItems(track)...)
		receive(t, stream)
	}
	stream.CloseSend()
	atEnd(t, stream)
}

func answersAll(s *scriptedStream) error {
	if err := s.open(nil); err != nil {
		return err
	}
	return s.each(func(*v1.Batch) {})
}

// With MaxOutstandingEvents of ten, the server never has eleven unanswered items.
func TestNoMoreIsSentThanMaxOutstandingEvents(t *testing.T) {
	maxUnanswered := 0
	address, _ := startScripted(t, func(s *scriptedStream) error {
		if err := s.open(nil); err != nil {
			return err
		}
		var unanswered []*v1.Batch
		count := 0
		for {
			batch, err := s.batch()
			if err == nil {
				unanswered = append(unanswered, batch)
				count += len(batch.GetItems())
				maxUnanswered = max(maxUnanswered, count)
			}
			if err != nil || count >= 10 {
				for _, outstandingBatch := range unanswered {
					if err := s.answer(outstandingBatch, true); err != nil {
						return err
					}
				}
				unanswered, count = nil, 0
			}
			if err != nil {
				return nil
			}
		}
	})
	stream := openStream(t, address, &ciosidecar.StreamOptions{
		MaxOutstandingEvents: 10, MaxBatchEvents: 4, Linger: time.Millisecond,
	})
	results := mustExchange(t, stream, numbered(200))
	inOrder(t, results, 200)
	if maxUnanswered != 10 {
		t.Errorf("%d items were unanswered", maxUnanswered)
	}
}

// Send waits at MaxOutstandingBytes too, and ends with its context.
func TestSendWaitsForRoomNoLongerThanItsContext(t *testing.T) {
	address, _ := startScripted(t, answersAll)
	stream := openStream(t, address, &ciosidecar.StreamOptions{MaxOutstandingBytes: 2 * len(track)})
	sendAll(t, stream, jsonItems(track, track)...)
	ctx, cancel := contextWithTimeout(t, 20*time.Millisecond)
	defer cancel()
	if err := stream.Send(ctx, ciosidecar.BatchItem{JSON: []byte("1")}); status.Code(err) != codes.DeadlineExceeded {
		t.Fatalf("%v instead of a deadline exceeded", err)
	}
	receive(t, stream)
	sendAll(t, stream, jsonItems(track)...)
}

// The items of a SendBatch are sent at once, in messages of their own, with their timeout.
func TestSendBatchSharesNoMessage(t *testing.T) {
	var seen [][]string
	var timeouts []time.Duration
	address, _ := startScripted(t, func(s *scriptedStream) error {
		if err := s.open(nil); err != nil {
			return err
		}
		return s.each(func(batch *v1.Batch) {
			var events []string
			for _, item := range batch.GetItems() {
				events = append(events, string(item.GetJson()))
			}
			seen = append(seen, events)
			timeouts = append(timeouts, batch.GetTimeout().AsDuration())
		})
	})
	stream := openStream(t, address, &ciosidecar.StreamOptions{MaxBatchEvents: 3, Linger: time.Hour})
	sendAll(t, stream, jsonItems("1", "2")...)
	for _, events := range [][]string{{"a", "b"}, {"c", "d", "e", "f"}} {
		if err := stream.SendBatch(within(t), jsonItems(events...), 7*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	for range 8 {
		receive(t, stream)
	}
	stream.CloseSend()
	atEnd(t, stream)
	expected := [][]string{{"1", "2"}, {"a", "b"}, {"c", "d", "e"}, {"f"}}
	if !slices.EqualFunc(seen, expected, slices.Equal) {
		t.Errorf("messages of %v", seen)
	}
	if !slices.Equal(timeouts, []time.Duration{0, 7 * time.Second, 7 * time.Second, 7 * time.Second}) {
		t.Errorf("timeouts %v", timeouts)
	}
}

// OpenStream has the options. A connection is declared once, before the items that refer to it.
func TestTheServerReceivesTheOptions(t *testing.T) {
	var referenceIDs []int32
	address, sidecar := startScripted(t, func(s *scriptedStream) error {
		if err := s.open(nil); err != nil {
			return err
		}
		return s.each(func(batch *v1.Batch) {
			for _, item := range batch.GetItems() {
				referenceIDs = append(referenceIDs, item.GetConnection())
			}
		})
	})
	stream := openStream(t, address, &ciosidecar.StreamOptions{
		MaxReceiveBytes: 70_000, ClientName: "router", ClientVersion: "7", Linger: 50 * time.Millisecond,
		Delivery: &ciosidecar.DeliveryOptions{
			IncludeRequests: true, DefaultTimeout: 3 * time.Second,
		},
	})
	items := repeated("{}", 3)
	items[1].Connection = ciosidecar.NewSourceConnection([]byte(`{"object":"person"}`))
	items[2].Connection = items[1].Connection
	mustExchange(t, stream, items)
	if !slices.Equal(referenceIDs, []int32{0, 1, 1}) || sidecar.stream(0).connections[1] != `{"object":"person"}` {
		t.Errorf("connections %v of %v", referenceIDs, sidecar.stream(0).connections)
	}
	opening := sidecar.stream(0).opening
	if opening.GetMaxReceiveBytes() != 70_000 || opening.GetClientName() != "router" || opening.GetClientVersion() != "7" {
		t.Errorf("opened with %v", opening)
	}
	delivery := opening.GetDelivery()
	if delivery.GetDetailLevel() != v1.DetailLevel_DETAIL_LEVEL_ALL || !delivery.GetIncludeRequests() ||
		delivery.GetDefaultTimeout().AsDuration() != 3*time.Second {
		t.Errorf("opened with delivery %v", delivery)
	}
}

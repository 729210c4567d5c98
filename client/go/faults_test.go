package ciosidecar_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
	"github.com/ciosidecar/ciosidecar/client/go/internal/sidecartest"
)

// nested returns a track event, as fields, whose properties have the given number of levels.
func nested(levels int, list bool) *v1.RudderEvent {
	value := structpb.NewNumberValue(1)
	for range levels - 1 {
		if list {
			value = structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{value}})
		} else {
			value = structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{"a": value}})
		}
	}
	fields := &structpb.Struct{Fields: map[string]*structpb.Value{"a": value}}
	return &v1.RudderEvent{
		Type: "track", UserId: "u1", Event: "Deep",
		Properties: &v1.JsonObject{Form: &v1.JsonObject_Fields{Fields: fields}},
	}
}

// An event with one level more than the sidecar reads is refused when it is sent. The deepest
// readable event, and all other items, have results.
func TestAnEventNestedTooDeeplyIsRefusedBySend(t *testing.T) {
	address := sidecartest.Start(t).Address()
	for _, test := range []struct {
		list    bool
		deepest int
	}{{false, 32}, {true, 47}} {
		stream := openStream(t, address, nil)
		sendAll(t, stream, ciosidecar.BatchItem{Event: nested(test.deepest, test.list)})
		for _, levels := range []int{test.deepest + 1, 60, 3000} {
			err := stream.Send(within(t), ciosidecar.BatchItem{Event: nested(levels, test.list)})
			if err == nil || !strings.Contains(err.Error(), "nested too deeply") {
				t.Errorf("%d levels: %v", levels, err)
			}
			items := append(jsonItems(track), ciosidecar.BatchItem{Event: nested(levels, test.list)})
			if stream.SendBatch(within(t), items, 0) == nil {
				t.Errorf("%d levels in a batch: no error", levels)
			}
			if _, err := dial(t, nil, address).Transform(within(t), shop, items); err == nil {
				t.Errorf("%d levels in a call: no error", levels)
			}
		}
		sendAll(t, stream, jsonItems(track)...)
		stream.CloseSend()
		for range 2 {
			if result := receive(t, stream); !result.OK() {
				t.Errorf("%+v", result)
			}
		}
		atEnd(t, stream)
	}
}

// Changing an event after Send does not change the item.
func TestSendCopiesAnEvent(t *testing.T) {
	stream := openStream(t, sidecartest.Start(t).Address(), &ciosidecar.StreamOptions{Linger: 300 * time.Millisecond})
	event := &v1.RudderEvent{Type: "track", UserId: "u1", Event: "Before"}
	sendAll(t, stream, ciosidecar.BatchItem{Event: event})
	event.Event = "\xff"
	stream.CloseSend()
	result := receive(t, stream)
	if !result.OK() || !strings.Contains(string(result.Requests[0].Body), `"Before"`) {
		t.Errorf("%+v", result)
	}
}

// An item that is larger than any message is refused when it is sent.
func TestAnItemLargerThanAnyMessageIsRefusedBySend(t *testing.T) {
	stream := openStream(t, "127.0.0.1:1", nil)
	err := stream.Send(within(t), ciosidecar.BatchItem{JSON: make([]byte, 64<<20)})
	if err == nil || !strings.Contains(err.Error(), "the limit is") {
		t.Errorf("%v", err)
	}
}

// failingSend fails to send a batch with the item "bad", as a caller's interceptor might.
type failingSend struct {
	grpc.ClientStream
	failed chan struct{}
}

func (f failingSend) SendMsg(message any) error {
	for _, item := range message.(*v1.TransformStreamRequest).GetBatch().GetItems() {
		if string(item.GetJson()) == "bad" {
			close(f.failed)
			return status.Error(codes.Internal, "scripted")
		}
	}
	return f.ClientStream.SendMsg(message)
}

// A failed send ends the stream with its error. Items that were sent before have results, also
// after a reconnect.
func TestASenderThatFailsEndsTheStreamWithItsError(t *testing.T) {
	for _, died := range []bool{false, true} {
		failed := make(chan struct{})
		first := func(s *scriptedStream) error {
			if err := s.open(nil); err != nil {
				return err
			}
			batch, err := s.batch()
			if err != nil {
				return err
			}
			<-failed
			if died {
				return status.Error(codes.Unavailable, "scripted")
			}
			if err := s.answer(batch, true); err != nil {
				return err
			}
			return s.each(func(*v1.Batch) {})
		}
		address, sidecar := startScripted(t, first, func(s *scriptedStream) error {
			if err := s.open(nil); err != nil {
				return err
			}
			return s.each(func(*v1.Batch) {})
		})
		failing := grpc.WithStreamInterceptor(func(
			ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string,
			streamer grpc.Streamer, options ...grpc.CallOption,
		) (grpc.ClientStream, error) {
			inner, err := streamer(ctx, desc, conn, method, options...)
			return failingSend{inner, failed}, err
		})
		client := dial(t, &ciosidecar.DialOptions{GRPC: []grpc.DialOption{failing}}, address)
		stream := client.Stream(within(t), shop, &ciosidecar.StreamOptions{MaxBatchEvents: 1})
		sendAll(t, stream, ciosidecar.BatchItem{JSON: []byte("good"), Attachment: "good"})
		_ = stream.Send(within(t), ciosidecar.BatchItem{JSON: []byte("bad"), Attachment: "bad"})
		if result := receive(t, stream); result.Attachment != "good" || !result.OK() {
			t.Errorf("%+v", result)
		}
		for range 2 {
			if _, err := stream.Recv(within(t)); status.Code(err) != codes.Internal {
				t.Errorf("Recv: %v", err)
			}
		}
		if err := stream.Send(within(t), jsonItems("more")[0]); status.Code(err) != codes.Internal {
			t.Errorf("Send: %v", err)
		}
		if died && sidecar.count() != 2 {
			t.Errorf("%d streams", sidecar.count())
		}
		_ = stream.Close()
	}
}

// Closing the client ends its streams, as Stream.Close does. Results that were not received are
// lost.
func TestClosingTheClientEndsItsStreams(t *testing.T) {
	client := dial(t, nil, sidecartest.Start(t).Address())
	stream := client.Stream(within(t), shop, nil)
	defer stream.Close()
	sendAll(t, stream, jsonItems(track, track)...)
	receive(t, stream)
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	for {
		_, err := stream.Recv(within(t))
		if errors.Is(err, ciosidecar.ErrClosed) {
			break
		}
		if err != nil {
			t.Fatalf("%v", err)
		}
	}
	if err := stream.Send(within(t), jsonItems(track)[0]); !errors.Is(err, ciosidecar.ErrClosed) {
		t.Errorf("%v", err)
	}
}

// A stream with an invalid option fails at its first use. The error names the option.
func TestInvalidOptionsFailTheStream(t *testing.T) {
	for name, options := range map[string]ciosidecar.StreamOptions{
		"MaxBatchEvents":       {MaxBatchEvents: -1},
		"MaxBatchBytes":        {MaxBatchBytes: -1},
		"MaxOutstandingEvents": {MaxOutstandingEvents: -1},
		"MaxOutstandingBytes":  {MaxOutstandingBytes: -1},
		"MaxReceiveBytes":      {MaxReceiveBytes: 65_535},
		"65536":                {MaxReceiveBytes: 64<<20 + 1},
		"timeout":              {Delivery: &ciosidecar.DeliveryOptions{DefaultTimeout: -1}},
	} {
		stream := openStream(t, "127.0.0.1:1", &options)
		stream.CloseSend()
		if _, err := stream.Recv(within(t)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if stream.Send(within(t), jsonItems(track)[0]) == nil {
			t.Errorf("%s: sent", name)
		}
		if stream.SendBatch(within(t), jsonItems(track), -1) == nil {
			t.Errorf("%s: sent", name)
		}
	}
}

// A call whose context has no deadline ends after thirty seconds. Other calls keep their deadline.
func TestACallEndsAfterThirtySeconds(t *testing.T) {
	var remaining []time.Duration
	records := grpc.WithUnaryInterceptor(func(
		ctx context.Context, method string, request, reply any, conn *grpc.ClientConn,
		invoker grpc.UnaryInvoker, options ...grpc.CallOption,
	) error {
		deadline, _ := ctx.Deadline()
		remaining = append(remaining, time.Until(deadline))
		return invoker(ctx, method, request, reply, conn, options...)
	})
	client := dial(t, &ciosidecar.DialOptions{GRPC: []grpc.DialOption{records}}, sidecartest.Start(t).Address())
	withoutDeadline := context.Background()
	_, first := client.Capabilities(withoutDeadline)
	_, second := client.Check(withoutDeadline, shop)
	_, third := client.Transform(withoutDeadline, shop, jsonItems(track))
	if err := errors.Join(first, second, third); err != nil {
		t.Fatal(err)
	}
	for _, duration := range remaining {
		if duration > 30*time.Second || duration < 20*time.Second {
			t.Errorf("%v", remaining)
		}
	}
	remaining = nil
	if _, err := client.Check(within(t), shop); err != nil || remaining[0] < 40*time.Second {
		t.Errorf("%v, %v", remaining, err)
	}
}

// A request of an earlier transform is delivered unchanged.
func TestARequestCanBeSentLater(t *testing.T) {
	_, address := delivering(t)
	client := dial(t, nil, address)
	results, err := client.Transform(within(t), shop, jsonItems(track))
	if err != nil {
		t.Fatal(err)
	}
	stream := client.Stream(within(t), ciosidecar.Destination{}, &ciosidecar.StreamOptions{
		Delivery: &ciosidecar.DeliveryOptions{},
	})
	defer stream.Close()
	sendAll(t, stream, ciosidecar.BatchItem{Prepared: results[0].Requests[0].Prepared()})
	stream.CloseSend()
	if result := receive(t, stream); !result.OK() || result.Delivery == nil {
		t.Errorf("%+v", result)
	}
}

// OK is true for status 200 only: a filtered event, and status 207, are not OK.
func TestOKIs200AndNothingElse(t *testing.T) {
	web := ciosidecar.NewDestination("", []byte(`{"siteID":"s","apiKey":"k","connectionMode":{"web":"device"}}`))
	items := jsonItems(`{"type":"track","channel":"web","userId":"u1","event":"E"}`, track)
	results, err := dial(t, nil, sidecartest.Start(t).Address()).Transform(within(t), web, items)
	if err != nil {
		t.Fatal(err)
	}
	if results[0].Status != 298 || results[0].OK() || !results[1].OK() {
		t.Errorf("%+v", results)
	}
	partly := ciosidecar.Result{Status: 207}
	if partly.OK() {
		t.Error("207 is OK")
	}
}

package ciosidecar_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/durationpb"

	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

// script is the behaviour of a scripted sidecar on one stream. Its error is the status of the stream.
type script func(*scriptedStream) error

// scripted is a gRPC server that plays a script on each stream. The last script is repeated for all further
// streams.
type scripted struct {
	v1.UnimplementedSidecarServiceServer
	scripts []script
	stop    func()

	mu      sync.Mutex
	streams []*scriptedStream
	deliver func(*v1.DeliverRequest) (*v1.DeliverResponse, error)
}

// onDeliver sets the answer to Deliver calls.
func (s *scripted) onDeliver(deliver func(*v1.DeliverRequest) (*v1.DeliverResponse, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deliver = deliver
}

func (s *scripted) Deliver(ctx context.Context, request *v1.DeliverRequest) (*v1.DeliverResponse, error) {
	s.mu.Lock()
	deliver := s.deliver
	s.mu.Unlock()
	if deliver == nil {
		return s.UnimplementedSidecarServiceServer.Deliver(ctx, request)
	}
	return deliver(request)
}

// startScripted starts a scripted server and returns its address.
func startScripted(t *testing.T, scripts ...script) (string, *scripted) {
	t.Helper()
	return startScriptedWith(t, nil, scripts...)
}

// startScriptedWith starts a scripted server with options of gRPC.
func startScriptedWith(t *testing.T, options []grpc.ServerOption, scripts ...script) (string, *scripted) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener.Addr().String(), serveScripted(t, listener, options, scripts...)
}

// serveScripted starts a scripted server that listens at the listener.
func serveScripted(
	t *testing.T, listener net.Listener, options []grpc.ServerOption, scripts ...script,
) *scripted {
	t.Helper()
	sidecar := &scripted{scripts: scripts}
	server := grpc.NewServer(options...)
	v1.RegisterSidecarServiceServer(server, sidecar)
	checks := health.NewServer()
	checks.SetServingStatus(v1.SidecarService_ServiceDesc.ServiceName,
		grpc_health_v1.HealthCheckResponse_SERVING)
	grpc_health_v1.RegisterHealthServer(server, checks)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	sidecar.stop = sync.OnceFunc(func() {
		server.Stop()
		<-served
	})
	t.Cleanup(sidecar.stop)
	return sidecar
}

func (s *scripted) TransformStream(
	stream grpc.BidiStreamingServer[v1.TransformStreamRequest, v1.TransformStreamResponse],
) error {
	s.mu.Lock()
	opened := &scriptedStream{stream: stream, declared: map[int32]string{}, connections: map[int32]string{}}
	play := s.scripts[min(len(s.streams), len(s.scripts)-1)]
	s.streams = append(s.streams, opened)
	s.mu.Unlock()
	return play(opened)
}

// stream returns the n-th stream that was opened.
func (s *scripted) stream(n int) *scriptedStream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streams[n]
}

func (s *scripted) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.streams)
}

// scriptedStream is the server's side of one stream.
type scriptedStream struct {
	stream      grpc.BidiStreamingServer[v1.TransformStreamRequest, v1.TransformStreamResponse]
	opening     *v1.OpenStream
	declared    map[int32]string
	connections map[int32]string
}

var errFinished = errors.New("the caller has finished")

// open receives OpenStream and answers it. Without limits, the limits are large.
func (s *scriptedStream) open(limits *v1.Limits) error {
	request, err := s.stream.Recv()
	if err != nil {
		return err
	}
	s.opening = request.GetOpen()
	if limits.GetMaxBatchEvents() == 0 {
		limits = &v1.Limits{MaxBatchEvents: 10_000, MaxDestinations: 1000}
	}
	return s.send(&v1.TransformStreamResponse{
		Message: &v1.TransformStreamResponse_Opened{Opened: &v1.StreamOpened{Limits: limits}},
	})
}

func (s *scriptedStream) send(response *v1.TransformStreamResponse) error {
	return s.stream.Send(response)
}

// batch returns the next batch, or errFinished.
func (s *scriptedStream) batch() (*v1.Batch, error) {
	for {
		request, err := s.stream.Recv()
		if err != nil {
			return nil, err
		}
		switch message := request.GetMessage().(type) {
		case *v1.TransformStreamRequest_Batch:
			return message.Batch, nil
		case *v1.TransformStreamRequest_Finish:
			return nil, errFinished
		case *v1.TransformStreamRequest_UpsertDestinations:
			for _, declared := range message.UpsertDestinations.GetDestinations() {
				s.declared[declared.GetReferenceId()] = string(declared.GetConfigJson())
			}
			for _, declared := range message.UpsertDestinations.GetConnections() {
				s.connections[declared.GetReferenceId()] = string(declared.GetConfigJson())
			}
		}
	}
}

// answer sends status 200 for some positions of a batch, or for all if none are given.
func (s *scriptedStream) answer(batch *v1.Batch, complete bool, positions ...int32) error {
	if len(positions) == 0 {
		for position := range batch.GetItems() {
			positions = append(positions, int32(position))
		}
	}
	statuses := make([]int32, len(positions))
	for index := range statuses {
		statuses[index] = 200
	}
	return s.send(&v1.TransformStreamResponse{Message: &v1.TransformStreamResponse_Results{
		Results: &v1.Results{
			BatchId: batch.GetBatchId(), Positions: positions, Statuses: statuses, BatchComplete: complete,
		},
	}})
}

// each passes every batch to look and then answers it, until the caller has finished.
func (s *scriptedStream) each(look func(*v1.Batch)) error {
	for {
		batch, err := s.batch()
		if errors.Is(err, errFinished) {
			return nil
		}
		if err != nil {
			return err
		}
		look(batch)
		if err := s.answer(batch, true); err != nil {
			return err
		}
	}
}

func (s *scriptedStream) drain() error {
	return s.send(&v1.TransformStreamResponse{Message: &v1.TransformStreamResponse_Drain{
		Drain: &v1.Drain{Grace: durationpb.New(5e9)},
	}})
}

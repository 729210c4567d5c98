package router_test

import (
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
	"github.com/ciosidecar/ciosidecar/client/go/router"
)

// answersBackwards is a sidecar that answers the second batch first, and the first batch on a signal.
type answersBackwards struct {
	v1.UnimplementedSidecarServiceServer
	hasFirst    chan struct{}
	answerFirst chan struct{}
}

func (a *answersBackwards) TransformStream(
	stream grpc.BidiStreamingServer[v1.TransformStreamRequest, v1.TransformStreamResponse],
) error {
	if _, err := stream.Recv(); err != nil {
		return err
	}
	opened := &v1.StreamOpened{Limits: &v1.Limits{MaxBatchEvents: 100, MaxDestinations: 10}}
	err := stream.Send(&v1.TransformStreamResponse{Message: &v1.TransformStreamResponse_Opened{Opened: opened}})
	var held *v1.Batch
	for err == nil {
		var request *v1.TransformStreamRequest
		if request, err = stream.Recv(); err != nil {
			break
		}
		batch := request.GetBatch()
		switch {
		case batch == nil:
		case held == nil:
			held = batch
			close(a.hasFirst)
		default:
			if err = sendFiltered(stream, batch); err == nil {
				<-a.answerFirst
				err = sendFiltered(stream, held)
			}
		}
	}
	return err
}

func sendFiltered(
	stream grpc.BidiStreamingServer[v1.TransformStreamRequest, v1.TransformStreamResponse], batch *v1.Batch,
) error {
	results := &v1.Results{BatchId: batch.GetBatchId(), Statuses: []int32{298}, BatchComplete: true}
	return stream.Send(&v1.TransformStreamResponse{Message: &v1.TransformStreamResponse_Results{Results: results}})
}

// A call gets its results although an earlier call on the same stream has none yet.
func TestACallDoesNotWaitForAnother(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	sidecar := &answersBackwards{hasFirst: make(chan struct{}), answerFirst: make(chan struct{})}
	server := grpc.NewServer()
	v1.RegisterSidecarServiceServer(server, sidecar)
	checks := health.NewServer()
	checks.SetServingStatus(v1.SidecarService_ServiceDesc.ServiceName, grpc_health_v1.HealthCheckResponse_SERVING)
	grpc_health_v1.RegisterHealthServer(server, checks)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)

	transformer := newTransformer(t, listener.Addr().String(), nil)
	first := make(chan *router.TransformResponse, 1)
	go func() {
		response, err := transformer.Transform(within(t), &router.TransformRequest{Input: []router.Job{job(1, track("a"))}})
		if err != nil {
			t.Error(err)
		}
		first <- response
	}()
	<-sidecar.hasFirst
	second := transform(t, transformer, job(2, track("b")))
	select {
	case response := <-first:
		t.Errorf("the first call was answered: %+v", response)
	default:
	}
	close(sidecar.answerFirst)
	if response := <-first; response == nil || response.Output[0].StatusCode != 298 || second[0].StatusCode != 298 {
		t.Errorf("%+v and %+v", response, second)
	}
}

package ciosidecar

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

// Client is a connection to one or several sidecars. It may be used by many goroutines at once:
// make one with [Dial] and keep it.
//
// A failed call returns a [*CallError]. A call's deadline is its context's; where that has none, a
// call may take 30 seconds.
type Client struct {
	conn   *grpc.ClientConn
	stub   v1.SidecarServiceClient
	open   context.Context
	cancel context.CancelFunc
}

// Close ends every call and every stream.
func (c *Client) Close() error {
	c.cancel()
	return c.conn.Close()
}

// defaultTimeout bounds a call whose context does not.
const defaultTimeout = 30 * time.Second

func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, defaultTimeout)
}

// Capabilities says what the sidecar is and can do: versions, dialects, limits, and whether it
// delivers.
func (c *Client) Capabilities(ctx context.Context) (*v1.GetCapabilitiesResponse, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	answer, err := c.stub.GetCapabilities(ctx, &v1.GetCapabilitiesRequest{})
	return answer, callError(err)
}

// Check says whether a destination's settings can work, and what is wrong with them by key.
func (c *Client) Check(ctx context.Context, destination Destination) (*v1.CheckDestinationResponse, error) {
	return c.check(ctx, destination, false)
}

// Probe is Check, and asks Customer.io whether it takes the credentials and which region they are
// of. It fails with codes.Unimplemented where the sidecar does not offer that.
func (c *Client) Probe(ctx context.Context, destination Destination) (*v1.CheckDestinationResponse, error) {
	return c.check(ctx, destination, true)
}

func (c *Client) check(
	ctx context.Context, destination Destination, probe bool,
) (*v1.CheckDestinationResponse, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	answer, err := c.stub.CheckDestination(ctx, &v1.CheckDestinationRequest{
		Destination: encodeDestination(destination, 0), Probe: probe,
	})
	return answer, callError(err)
}

// Transform turns one batch of items into their results, one an item, in order. Nothing is
// delivered, and calling again is harmless.
//
// The destination is for items that name none themselves. A batch may hold as many items as the
// server's max_batch_events says, 10,000 unless changed; 50 to 500 are best.
func (c *Client) Transform(ctx context.Context, destination Destination, items []Item) ([]Result, error) {
	request, err := transformRequest(destination, items)
	if err != nil {
		return nil, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	answer, err := c.stub.Transform(ctx, request)
	if err != nil {
		return nil, callError(err)
	}
	found := make([]Result, len(items))
	answered := 0
	err = readResults(answer.GetResults(), reading{
		count:         len(items),
		numberOf:      func(position int) uint64 { return uint64(position) },
		numberOfOther: func(*v1.ItemRef) *uint64 { return nil },
		fill: func(position int, result Result) {
			result.Value = items[position].Value
			found[position] = result
			answered++
		},
	})
	if err == nil && answered != len(items) {
		err = fmt.Errorf("%d items of %d answered", answered, len(items))
	}
	if err != nil {
		return nil, contractBroken(err)
	}
	return found, nil
}

func transformRequest(destination Destination, items []Item) (*v1.TransformRequest, error) {
	request := &v1.TransformRequest{Batch: &v1.Batch{Items: make([]*v1.Item, len(items))}}
	destinations := newNumbering[Destination](len(items))
	connections := newNumbering[Connection](len(items))
	for index := range items {
		item := items[index]
		item.Destination = orDefault(item.Destination, destination)
		if _, err := item.check(); err != nil {
			return nil, err
		}
		number, isNew, _ := destinations.number(item.Destination, 0)
		if isNew {
			request.Destinations = append(request.Destinations, encodeDestination(item.Destination, number))
		}
		through, isNew, _ := connections.number(item.Connection, 0)
		if isNew {
			request.Connections = append(request.Connections, encodeConnection(item.Connection, through))
		}
		request.Batch.Items[index] = item.encode(number, through)
	}
	return request, nil
}

// Stream opens a stream for the destination of items that name none themselves, which may be zero
// if all do. A nil options means the defaults.
//
// It connects in the background and takes items at once. It lives until Close, until the client is
// closed, until ctx ends, or, after CloseSend, until the last result.
func (c *Client) Stream(ctx context.Context, destination Destination, options *StreamOptions) *Stream {
	stream := newStream(ctx, c.stub, destination, options.withDefaults())
	forget := context.AfterFunc(c.open, stream.end)
	go func() {
		defer forget()
		stream.run()
	}()
	return stream
}

// contractBroken is the failure of a call whose answer makes no sense: another try would get the
// same one.
func contractBroken(err error) error {
	return callError(status.Errorf(codes.Unknown, "the sidecar broke the contract: %v", err))
}

package ciosidecar

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"

	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

// Client is a connection to one or several sidecars. Make one with [Dial] and keep it. Many
// goroutines may use it at once.
//
// A failed call returns a [*CallError]. A call ends with its context. If the context has no deadline,
// a call takes at most 30 seconds.
type Client struct {
	conn     *grpc.ClientConn
	fleet    fleet
	stub     v1.SidecarServiceClient
	first    firstConnection
	lifetime context.Context
	cancel   context.CancelFunc
}

// Close ends every call and every stream of the client.
func (c *Client) Close() error {
	c.cancel()
	return errors.Join(c.conn.Close(), c.fleet.close())
}

// defaultCallTimeout is the time limit of a call whose context has no deadline.
const defaultCallTimeout = 30 * time.Second

// withCallTimeout returns a context that ends after the timeout, unless ctx has a deadline.
func withCallTimeout(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, timeout)
}

// Capabilities returns the version, the features and the limits of the sidecar.
func (c *Client) Capabilities(ctx context.Context) (*v1.GetCapabilitiesResponse, error) {
	ctx, cancel := withCallTimeout(ctx, defaultCallTimeout)
	defer cancel()
	response, err := c.stub.GetCapabilities(ctx, &v1.GetCapabilitiesRequest{})
	return response, c.first.callError(err)
}

// Check checks a destination's settings. The response has the errors and remarks by key.
func (c *Client) Check(ctx context.Context, destination Destination) (*v1.CheckDestinationResponse, error) {
	return c.check(ctx, destination, false)
}

// Probe does the same as Check, and asks Customer.io whether it accepts the credentials, and for
// their region. It fails with codes.Unimplemented if the sidecar does not offer FEATURE_PROBE.
func (c *Client) Probe(ctx context.Context, destination Destination) (*v1.CheckDestinationResponse, error) {
	return c.check(ctx, destination, true)
}

func (c *Client) check(
	ctx context.Context, destination Destination, probe bool,
) (*v1.CheckDestinationResponse, error) {
	ctx, cancel := withCallTimeout(ctx, defaultCallTimeout)
	defer cancel()
	response, err := c.stub.CheckDestination(ctx, &v1.CheckDestinationRequest{
		Destination: encodeDestination(destination, 0), Probe: probe,
	})
	return response, c.first.callError(err)
}

// Stream opens a stream. The destination is that of all items that name none themselves; it may be
// zero if all items name theirs. Nil options are the defaults.
//
// Stream returns at once and connects in the background. The stream ends with Close, with the
// client's Close, with ctx, or, after CloseSend, with the last result.
func (c *Client) Stream(ctx context.Context, destination Destination, options *StreamOptions) *Stream {
	options = options.withDefaults()
	stubs, addresses := []v1.SidecarServiceClient{c.stub}, []string(nil)
	var invalid error
	if options.Affinity == AffinityPerson {
		if stubs, invalid = c.fleet.stubs(); invalid == nil {
			addresses = c.fleet.addresses
		}
	}
	stream := newStream(ctx, stubs, addresses, &c.first, destination, options)
	if invalid != nil {
		stream.invalidOptions = invalid
	}
	stop := context.AfterFunc(c.lifetime, stream.end)
	go func() {
		defer stop()
		stream.run()
	}()
	return stream
}

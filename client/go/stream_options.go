package ciosidecar

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

// StreamOptions say how a stream gathers items, and how long it keeps trying. A field that is zero
// means its default. A stream with options that cannot be fails where it is first used. How long a
// whole stream may take is its context's.
type StreamOptions struct {
	// MaxBatchEvents is how many items a message holds at most. Default 200.
	MaxBatchEvents int
	// MaxBatchBytes is how many bytes of items a message holds at most, but for one larger item.
	// Default 1 MiB.
	MaxBatchBytes int
	// Linger is how long an item may wait for others to share its message. Default 5 ms; negative
	// for not at all.
	Linger time.Duration
	// MaxOwedEvents is the credit: how many items may be sent whose results are not taken. Send
	// waits then. Default 10,000.
	MaxOwedEvents int
	// MaxOwedBytes is the same in bytes of items. Default 32 MiB.
	MaxOwedBytes int
	// MaxReceiveBytes is the largest message that the sidecar may send: 65,536 to 64 MiB.
	// Default 16 MiB.
	MaxReceiveBytes int
	// ReconnectFor is how long to go on trying when no sidecar answers, before the stream fails
	// with codes.Unavailable. Default 1 minute; negative for one more try only.
	ReconnectFor time.Duration
	// Unordered gives results as they come, not in the order in which the items were sent: nobody
	// waits for a slower one. For streams that deliver, above all.
	Unordered bool
	// Delivery asks the sidecar to deliver the requests. Nil: they are only made.
	Delivery *DeliveryOptions
	// ClientName and ClientVersion are what the sidecar's log calls the caller. Default
	// "ciosidecar-go" and none.
	ClientName, ClientVersion string
}

// DeliveryOptions say how a stream's requests are delivered.
type DeliveryOptions struct {
	// DetailForExceptionsOnly gives a Delivery only to results that failed, were tried more than
	// once, or have a warning, which is faster. Otherwise each result of a sent item has one.
	DetailForExceptionsOnly bool
	// IncludeRequests leaves the requests in the results.
	IncludeRequests bool
	// DefaultTimeout bounds the delivery of what was sent without a timeout of its own. 0: the
	// sidecar's default.
	DefaultTimeout time.Duration
}

func (o *StreamOptions) withDefaults() *StreamOptions {
	var found StreamOptions
	if o != nil {
		found = *o
	}
	found.MaxBatchEvents = orDefault(found.MaxBatchEvents, 200)
	found.MaxBatchBytes = orDefault(found.MaxBatchBytes, 1<<20)
	found.Linger = orDefault(found.Linger, 5*time.Millisecond)
	found.MaxOwedEvents = orDefault(found.MaxOwedEvents, 10_000)
	found.MaxOwedBytes = orDefault(found.MaxOwedBytes, 32<<20)
	found.MaxReceiveBytes = orDefault(found.MaxReceiveBytes, 16<<20)
	found.ReconnectFor = orDefault(found.ReconnectFor, time.Minute)
	found.ClientName = orDefault(found.ClientName, "ciosidecar-go")
	return &found
}

// check is what no stream can do of what the options say.
func (o *StreamOptions) check() error {
	for name, value := range map[string]int{
		"MaxBatchEvents": o.MaxBatchEvents, "MaxBatchBytes": o.MaxBatchBytes,
		"MaxOwedEvents": o.MaxOwedEvents, "MaxOwedBytes": o.MaxOwedBytes,
	} {
		if value < 1 {
			return fmt.Errorf("ciosidecar: %s must be at least 1", name)
		}
	}
	if o.MaxReceiveBytes < minReceiveBytes || o.MaxReceiveBytes > maxMessageBytes {
		return fmt.Errorf("ciosidecar: MaxReceiveBytes must be %d to %d", minReceiveBytes, maxMessageBytes)
	}
	if o.Delivery != nil && o.Delivery.DefaultTimeout < 0 {
		return errNegativeTimeout
	}
	return nil
}

const minReceiveBytes = 65_536

var errNegativeTimeout = errors.New("ciosidecar: a timeout of delivery must not be negative")

// open is the first message of a stream.
func (o *StreamOptions) open() *v1.TransformStreamRequest {
	opening := &v1.Open{
		ClientName:      o.ClientName,
		ClientVersion:   o.ClientVersion,
		MaxReceiveBytes: uint64(o.MaxReceiveBytes),
	}
	if o.Delivery != nil {
		opening.Delivery = &v1.DeliveryOptions{
			DetailForEveryItem: !o.Delivery.DetailForExceptionsOnly,
			IncludeRequests:    o.Delivery.IncludeRequests,
		}
		if o.Delivery.DefaultTimeout > 0 {
			opening.Delivery.DefaultTimeout = durationpb.New(o.Delivery.DefaultTimeout)
		}
	}
	return &v1.TransformStreamRequest{Message: &v1.TransformStreamRequest_Open{Open: opening}}
}

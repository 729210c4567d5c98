package ciosidecar

import (
	"fmt"
	"time"

	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

// StreamOptions are the options of a stream. A field that is zero has its default. A stream with
// invalid options fails at its first use. The time limit of a whole stream is its context's.
type StreamOptions struct {
	// MaxBatchEvents is the largest number of items in a message. Defaults to 200.
	MaxBatchEvents int
	// MaxBatchBytes is the largest size of the items in a message. A larger item is sent alone. Unit:
	// bytes. Defaults to 1 MiB.
	MaxBatchBytes int
	// Linger is the time that an item waits for others to share its message. Defaults to 5 ms.
	// Negative: no time.
	Linger time.Duration
	// MaxOutstandingEvents is the number of items without a received result at which Send waits.
	// Defaults to 10,000.
	MaxOutstandingEvents int
	// MaxOutstandingBytes is the size of the items without a received result at which Send waits.
	// Unit: bytes. Defaults to 32 MiB.
	MaxOutstandingBytes int
	// MaxReceiveBytes is the size of the largest message that the sidecar may send, from 65,536 bytes
	// to 64 MiB. Unit: bytes. Defaults to 16 MiB.
	MaxReceiveBytes int
	// ReconnectFor is the time for which the stream tries to reconnect while no sidecar answers. After
	// that, the stream fails with codes.Unavailable. Defaults to 1 minute. Negative: one more attempt.
	ReconnectFor time.Duration
	// Unordered, if true, returns results as they arrive, not in the order of the items. Then no
	// result waits for an earlier one, which matters most with delivery.
	Unordered bool
	// Delivery, if set, makes the sidecar deliver the requests. Nil: the sidecar only returns them.
	Delivery *DeliveryOptions
	// Affinity, if it is AffinityPerson, makes the stream connect to each address of the client, and send
	// all items of a person to one of them. The client MUST have several addresses.
	Affinity Affinity
	// ClientName and ClientVersion are the name and the release of the caller's program. The sidecar
	// logs them when the stream opens and closes. Default to "ciosidecar-go" and none.
	ClientName, ClientVersion string
}

func (o *StreamOptions) withDefaults() *StreamOptions {
	var options StreamOptions
	if o != nil {
		options = *o
	}
	options.MaxBatchEvents = orDefault(options.MaxBatchEvents, 200)
	options.MaxBatchBytes = orDefault(options.MaxBatchBytes, 1<<20)
	options.Linger = orDefault(options.Linger, 5*time.Millisecond)
	options.MaxOutstandingEvents = orDefault(options.MaxOutstandingEvents, 10_000)
	options.MaxOutstandingBytes = orDefault(options.MaxOutstandingBytes, 32<<20)
	options.MaxReceiveBytes = orDefault(options.MaxReceiveBytes, 16<<20)
	options.ReconnectFor = orDefault(options.ReconnectFor, time.Minute)
	options.ClientName = orDefault(options.ClientName, "ciosidecar-go")
	return &options
}

// check returns an error that names the option that is invalid.
func (o *StreamOptions) check() error {
	for name, value := range map[string]int{
		"MaxBatchEvents": o.MaxBatchEvents, "MaxBatchBytes": o.MaxBatchBytes,
		"MaxOutstandingEvents": o.MaxOutstandingEvents, "MaxOutstandingBytes": o.MaxOutstandingBytes,
	} {
		if value < 1 {
			return fmt.Errorf("ciosidecar: %s must be at least 1", name)
		}
	}
	if o.MaxReceiveBytes < minReceiveBytes || o.MaxReceiveBytes > maxMessageBytes {
		return fmt.Errorf("ciosidecar: MaxReceiveBytes must be %d to %d", minReceiveBytes, maxMessageBytes)
	}
	if o.Delivery != nil {
		return o.Delivery.check()
	}
	return nil
}

const minReceiveBytes = 65_536

// openStream returns the first message of a session.
func (o *StreamOptions) openStream() *v1.TransformStreamRequest {
	open := &v1.OpenStream{
		ClientName:      o.ClientName,
		ClientVersion:   o.ClientVersion,
		MaxReceiveBytes: int64(o.MaxReceiveBytes),
	}
	if o.Delivery != nil {
		open.Delivery = o.Delivery.encode()
	}
	return &v1.TransformStreamRequest{Message: &v1.TransformStreamRequest_Open{Open: open}}
}

package ciosidecar

import (
	"context"
	"fmt"
	"time"

	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

// defaultDeliveryTimeout is the sidecar's own time limit for a delivery, unless the sidecar was
// started with another.
const defaultDeliveryTimeout = 60 * time.Second

// Transform transforms one batch of items and returns one result for each item, in order. Nothing is
// delivered. The call is safe to repeat.
//
// The destination is that of all items that name none themselves. A batch may have as many items as
// the sidecar's max_batch_events allows, by default 10,000. Batches of 50 to 500 items are the most
// efficient.
func (c *Client) Transform(ctx context.Context, destination Destination, items []BatchItem) ([]Result, error) {
	batch, err := newCallBatch(destination, items)
	if err != nil {
		return nil, err
	}
	ctx, cancel := withCallTimeout(ctx, defaultCallTimeout)
	defer cancel()
	response, err := c.stub.Transform(ctx, &v1.TransformRequest{
		Destinations: batch.destinations, Connections: batch.connections, Batch: batch.encoded,
	})
	if err := c.first.callError(err); err != nil {
		return nil, err
	}
	return batch.decode(response.GetResults())
}

// Deliver transforms one batch of items, delivers the requests, and returns one result for each item,
// in order. Results mean the same as on a stream with delivery. Nil options are the defaults.
//
// The destination is that of all items that name none themselves; it may be zero if all items name
// theirs, or are prepared requests. The call fails with codes.Unimplemented if the sidecar does not
// offer FEATURE_DELIVERY.
//
// The client does not repeat a failed call: the caller cannot know whether the requests were sent. If
// ctx has no deadline, the call ends 30 seconds after the delivery timeout, which is 60 seconds unless
// the options set another.
func (c *Client) Deliver(
	ctx context.Context, destination Destination, items []BatchItem, options *DeliveryOptions,
) ([]Result, error) {
	if options == nil {
		options = &DeliveryOptions{}
	}
	if err := options.check(); err != nil {
		return nil, err
	}
	batch, err := newCallBatch(destination, items)
	if err != nil {
		return nil, err
	}
	deliveryTimeout := orDefault(options.DefaultTimeout, defaultDeliveryTimeout)
	ctx, cancel := withCallTimeout(ctx, deliveryTimeout+defaultCallTimeout)
	defer cancel()
	response, err := c.stub.Deliver(ctx, &v1.DeliverRequest{
		Destinations: batch.destinations, Connections: batch.connections, Batch: batch.encoded,
		Delivery: options.encode(),
	})
	if err := c.first.callError(err); err != nil {
		return nil, err
	}
	return batch.decode(response.GetResults())
}

// callBatch is the batch of a unary call, with everything that it refers to.
type callBatch struct {
	items        []BatchItem
	destinations []*v1.Destination
	connections  []*v1.SourceConnection
	encoded      *v1.Batch
}

func newCallBatch(destination Destination, items []BatchItem) (*callBatch, error) {
	batch := &callBatch{items: items, encoded: &v1.Batch{Items: make([]*v1.BatchItem, len(items))}}
	destinations := newReferenceTable[Destination](len(items))
	connections := newReferenceTable[SourceConnection](len(items))
	for index := range items {
		item := items[index]
		item.Destination = orDefault(item.Destination, destination)
		if _, err := item.check(); err != nil {
			return nil, err
		}
		destinationID, isNew, _ := destinations.assign(item.Destination, 0)
		if isNew {
			batch.destinations = append(batch.destinations, encodeDestination(item.Destination, destinationID))
		}
		connectionID, isNew, _ := connections.assign(item.Connection, 0)
		if isNew {
			batch.connections = append(batch.connections, encodeConnection(item.Connection, connectionID))
		}
		batch.encoded.Items[index] = item.encode(destinationID, connectionID)
	}
	if len(items) == 0 && destination != (Destination{}) {
		// An empty batch is valid, but Transform requires a destination.
		batch.destinations = []*v1.Destination{encodeDestination(destination, 1)}
	}
	return batch, nil
}

// decode returns the results of all items.
func (b *callBatch) decode(results *v1.Results) ([]Result, error) {
	decoded := make([]Result, len(b.items))
	answered := 0
	decoder := resultsDecoder{
		count:         len(b.items),
		positionOf:    func(batchPosition int) int64 { return int64(batchPosition) },
		positionOfRef: b.positionOfRef,
		store: func(batchPosition int, result Result) {
			result.Attachment = b.items[batchPosition].Attachment
			decoded[batchPosition] = result
			answered++
		},
	}
	err := decoder.decode(results)
	if err == nil && answered != len(b.items) {
		err = fmt.Errorf("%d items of %d answered", answered, len(b.items))
	}
	if err != nil {
		return nil, contractBroken(err)
	}
	return decoded, nil
}

// positionOfRef returns the position of an item of this batch, the only one of the call.
func (b *callBatch) positionOfRef(item *v1.ItemRef) *int64 {
	if item == nil || item.GetBatchId() != b.encoded.GetBatchId() {
		return nil
	}
	return batchPositions{count: len(b.items)}.at(item.GetPosition())
}

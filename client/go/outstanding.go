package ciosidecar

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

// resultQueue holds the items of a stream from Send until their results are received, on whichever lane
// they are. It has no I/O, no clock and no lock.
type resultQueue struct {
	unordered bool
	inOrder   []*outstandingItem // with results in order: all outstanding items
	ready     []*outstandingItem // with unordered results: the answered items
	nextPos   int64
	events    int // items whose results were not received
	bytes     int
}

// outstandingItems holds the unanswered items of a lane, a connection of a stream. It has no I/O, no
// clock and no lock.
type outstandingItems struct {
	results        *resultQueue
	maxBatchEvents int
	maxBatchBytes  int
	movesItems     bool // a draining sidecar's DRAINING is no result: another sidecar gets the item

	// The limits and reference tables of the current session.
	batchEvents  int
	batchBytes   int
	destinations *referenceTable[Destination]
	connections  *referenceTable[SourceConnection]

	unsent      []*outstandingItem // in the order in which they were added
	unsentBytes int
	sent        map[int64]*sentBatch
	answered    *answeredBatches
	lastBatchID int64
	// returned are the stream positions of items that a draining sidecar returned in this session.
	returned map[int64]bool

	answeredCount int64 // items that a server has answered
}

// outstandingItem is one item between Send and Recv.
type outstandingItem struct {
	item       BatchItem
	size       int
	group      *batchGroup
	slot       int // with affinity, the slot of the item's person
	result     Result
	isAnswered bool
}

// batchGroup marks items that are sent in batches of their own.
type batchGroup struct {
	timeout time.Duration
}

type sentBatch struct {
	id         int64
	items      []*outstandingItem
	unanswered int
	returned   map[int]bool // by position: items that were returned, and belong to another lane
}

// positions returns the stream positions of the batch's items.
func (b *sentBatch) positions() batchPositions {
	first := b.items[0].result.Position
	positions := batchPositions{first: first, count: len(b.items)}
	// The last position may be right by chance: items of other lanes join a lane in any order.
	isConsecutive := true
	for index, item := range b.items {
		isConsecutive = isConsecutive && item.result.Position == first+int64(index)
	}
	if isConsecutive {
		return positions
	}
	positions.scattered = make([]int64, len(b.items))
	for index, item := range b.items {
		positions.scattered[index] = item.result.Position
	}
	return positions
}

func newOutstandingItems(options *StreamOptions, results *resultQueue) *outstandingItems {
	return &outstandingItems{
		results:        results,
		maxBatchEvents: options.MaxBatchEvents,
		maxBatchBytes:  options.MaxBatchBytes,
		movesItems:     options.Affinity == AffinityPerson,
		batchEvents:    options.MaxBatchEvents,
		batchBytes:     options.MaxBatchBytes,
		destinations:   newReferenceTable[Destination](1),
		connections:    newReferenceTable[SourceConnection](1),
		sent:           make(map[int64]*sentBatch),
		answered:       newAnsweredBatches(),
	}
}

// add returns a new outstanding item, which no lane has yet. The item was checked. A nil group means that
// the item may share its batch with any other item without a group.
func (q *resultQueue) add(item BatchItem, size int, group *batchGroup) *outstandingItem {
	added := &outstandingItem{item: item, size: size, group: group}
	added.result.Position = q.nextPos
	q.nextPos++
	if !q.unordered {
		q.inOrder = append(q.inOrder, added)
	}
	q.events++
	q.bytes += size
	return added
}

// enqueue adds an item to the lane.
func (o *outstandingItems) enqueue(item *outstandingItem) {
	o.unsent = append(o.unsent, item)
	o.unsentBytes += item.size
}

// takeUnsent removes the items that are not sent, and returns them.
func (o *outstandingItems) takeUnsent() []*outstandingItem {
	items := o.unsent
	o.unsent, o.unsentBytes = nil, 0
	return items
}

// takeUnanswered removes all items without a result, and returns them in order.
func (o *outstandingItems) takeUnanswered() []*outstandingItem {
	return append(o.takeSent(), o.takeUnsent()...)
}

// startSession applies the limits of a new session. Sent items without a result are to be sent again,
// before all others and in their old order.
func (o *outstandingItems) startSession(limits *v1.Limits) {
	o.destinations = newReferenceTable[Destination](int(limits.GetMaxDestinations()))
	o.connections = newReferenceTable[SourceConnection](int(limits.GetMaxDestinations()))
	o.batchEvents = o.maxBatchEvents
	if limit := int(limits.GetMaxBatchEvents()); limit > 0 {
		o.batchEvents = min(limit, o.maxBatchEvents)
	}
	o.batchBytes = o.maxBatchBytes
	if limit := limits.GetMaxMessageBytes(); limit > 0 {
		// The other half of a message is for the items' other fields.
		o.batchBytes = int(min(limit/2, int64(o.maxBatchBytes)))
	}
	resend := o.takeSent()
	for _, item := range resend {
		o.unsentBytes += item.size
	}
	o.answered = newAnsweredBatches()
	o.unsent = append(resend, o.unsent...)
}

// takeSent removes the sent items without a result, and returns them in order.
func (o *outstandingItems) takeSent() []*outstandingItem {
	// Batch ids ascend in the order in which the batches were sent.
	var items []*outstandingItem
	first := o.lastBatchID + 1
	for id := range o.sent {
		first = min(first, id)
	}
	for id := first; id <= o.lastBatchID; id++ {
		batch := o.sent[id]
		if batch == nil {
			continue
		}
		for position, item := range batch.items {
			if !item.isAnswered && !batch.returned[position] {
				items = append(items, item)
			}
		}
	}
	clear(o.sent)
	clear(o.returned)
	return items
}

// dropUnsent removes the last batch and all items behind it: they will have no result.
func (o *outstandingItems) dropUnsent() {
	delete(o.sent, o.lastBatchID)
	o.unsent, o.unsentBytes = nil, 0
}

// hasUnanswered reports whether an item has no result, sent or not.
func (o *outstandingItems) hasUnanswered() bool { return len(o.unsent) != 0 || len(o.sent) != 0 }

// fillsBatch reports whether the unsent items reach a limit of a batch.
func (o *outstandingItems) fillsBatch() bool {
	return len(o.unsent) >= o.batchEvents || o.unsentBytes >= o.batchBytes
}

// takeMessages returns the next batch to send, after a declaration of the destinations and
// connections that the session does not know yet. It returns nil if there is nothing to send.
func (o *outstandingItems) takeMessages() []*v1.TransformStreamRequest {
	if len(o.unsent) == 0 {
		return nil
	}
	id := o.lastBatchID + 1
	group := o.unsent[0].group
	upsert := &v1.UpsertDestinations{}
	limit := min(len(o.unsent), o.batchEvents)
	items := make([]*v1.BatchItem, 0, limit)
	size := 0
	for _, next := range o.unsent[:limit] {
		if len(items) != 0 && (size+next.size > o.batchBytes || next.group != group) {
			break
		}
		destination, connection, ok := o.assignReferences(&next.item, id, upsert)
		if !ok {
			break
		}
		size += next.size
		items = append(items, next.item.encode(destination, connection))
	}
	sent := append([]*outstandingItem(nil), o.unsent[:len(items)]...)
	clear(o.unsent[:len(items)])
	o.unsent = o.unsent[len(items):]
	o.unsentBytes -= size
	o.lastBatchID = id
	o.sent[id] = &sentBatch{id: id, items: sent, unanswered: len(sent)}

	batch := &v1.Batch{BatchId: id, Items: items}
	if group != nil && group.timeout > 0 {
		batch.Timeout = durationpb.New(group.timeout)
	}
	message := &v1.TransformStreamRequest{Message: &v1.TransformStreamRequest_Batch{Batch: batch}}
	if len(upsert.Destinations) == 0 && len(upsert.Connections) == 0 {
		return []*v1.TransformStreamRequest{message}
	}
	return []*v1.TransformStreamRequest{
		{Message: &v1.TransformStreamRequest_UpsertDestinations{UpsertDestinations: upsert}}, message,
	}
}

// assignReferences returns the reference ids of an item's destination and connection, and adds new
// ones to upsert. It returns false if the batch has no reference id left.
func (o *outstandingItems) assignReferences(
	item *BatchItem, batchID int64, upsert *v1.UpsertDestinations,
) (destination, connection int32, ok bool) {
	destination, isNew, ok := o.destinations.assign(item.Destination, batchID)
	if !ok {
		return 0, 0, false
	}
	if isNew {
		upsert.Destinations = append(upsert.Destinations, encodeDestination(item.Destination, destination))
	}
	connection, isNew, ok = o.connections.assign(item.Connection, batchID)
	if isNew {
		upsert.Connections = append(upsert.Connections, encodeConnection(item.Connection, connection))
	}
	return destination, connection, ok
}

// addResults adds the results of a message. A second result of an item is ignored. It returns the items
// that have their results now, and those that a draining sidecar did not send, which another one can. It
// returns an error if the server broke the contract.
func (o *outstandingItems) addResults(results *v1.Results) (answered, returned []*outstandingItem, err error) {
	batch := o.sent[results.GetBatchId()]
	if batch == nil {
		return nil, nil, nil
	}
	decoder := resultsDecoder{
		count:         len(batch.items),
		positionOf:    func(batchPosition int) int64 { return batch.items[batchPosition].result.Position },
		positionOfRef: o.positionOfRef,
		store: func(batchPosition int, result Result) {
			item := batch.items[batchPosition]
			switch {
			case item.isAnswered || batch.returned[batchPosition]:
			case o.movesItems && o.mayMove(result):
				o.giveUp(batch, batchPosition)
				returned = append(returned, item)
			default:
				o.addResult(batch, item, result)
				answered = append(answered, item)
			}
		},
	}
	if err := decoder.decode(results); err != nil {
		return nil, nil, err
	}
	if !results.GetBatchComplete() {
		return answered, returned, nil
	}
	if batch.unanswered != 0 {
		return nil, nil, fmt.Errorf("a complete batch with %d items unanswered", batch.unanswered)
	}
	delete(o.sent, batch.id)
	o.answered.add(batch.id, batch.positions())
	return answered, returned, nil
}

// mayMove reports whether a draining sidecar did not send the item, nor the one that blocked it.
func (o *outstandingItems) mayMove(result Result) bool {
	switch {
	case result.Error == nil:
		return false
	case result.Error.Code == "DRAINING":
		return true
	}
	return result.Error.BlockedBy != nil && o.returned[*result.Error.BlockedBy]
}

// giveUp notes that an item of a batch was returned.
func (o *outstandingItems) giveUp(batch *sentBatch, batchPosition int) {
	if batch.returned == nil {
		batch.returned = make(map[int]bool)
	}
	if o.returned == nil {
		o.returned = make(map[int64]bool)
	}
	batch.returned[batchPosition] = true
	o.returned[batch.items[batchPosition].result.Position] = true
	batch.unanswered--
}

func (o *outstandingItems) addResult(batch *sentBatch, answered *outstandingItem, result Result) {
	result.Attachment = answered.item.Attachment
	answered.result, answered.isAnswered = result, true
	batch.unanswered--
	o.answeredCount++
	if o.results.unordered {
		o.results.ready = append(o.results.ready, answered)
	}
}

// positionOfRef returns the stream position of an item, or nil if it is no longer known.
func (o *outstandingItems) positionOfRef(item *v1.ItemRef) *int64 {
	if item == nil {
		return nil
	}
	batch := o.sent[item.GetBatchId()]
	if batch == nil {
		return o.answered.positions[item.GetBatchId()].at(item.GetPosition())
	}
	batchPosition := int(item.GetPosition())
	if batchPosition < 0 || batchPosition >= len(batch.items) {
		return nil
	}
	streamPosition := batch.items[batchPosition].result.Position
	return &streamPosition
}

// takeResult returns the next result to receive. It returns false if there is none yet.
func (q *resultQueue) takeResult() (Result, bool) {
	queue := &q.inOrder
	if q.unordered {
		queue = &q.ready
	}
	if len(*queue) == 0 || !(*queue)[0].isAnswered {
		return Result{}, false
	}
	next := (*queue)[0]
	(*queue)[0] = nil
	*queue = (*queue)[1:]
	q.events--
	q.bytes -= next.size
	return next.result, true
}

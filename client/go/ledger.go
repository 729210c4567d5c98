package ciosidecar

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

// ledger knows what a stream owes its user: every item until its result is taken. It does no I/O,
// has no clock and no lock.
type ledger struct {
	maxBatchEvents int
	maxBatchBytes  int
	unordered      bool

	// Of the server that the stream is connected to.
	batchEvents  int
	batchBytes   int
	destinations *numbering[Destination]
	connections  *numbering[Connection]

	waiting      []*entry // not sent; in the order in which they were added
	waitingBytes int
	sent         map[uint64]*sentBatch
	remembered   *rememberedBatches
	lastBatchID  uint64
	inOrder      []*entry // ordered: all that are owed
	ready        []*entry // unordered: those that are answered
	nextPosition uint64

	owed      int // items whose results the user has not taken
	owedBytes int
	answered  uint64 // items that a server has answered
}

// entry is an item between add and take.
type entry struct {
	item     Item
	size     int
	company  *company
	result   Result
	answered bool
}

// company is what items share that must travel in a batch of their own.
type company struct {
	timeout time.Duration
}

type sentBatch struct {
	id         uint64
	entries    []*entry
	unanswered int
}

// positions are where on the stream its items are.
func (b *sentBatch) positions() batchPositions {
	first := b.entries[0].result.Position
	found := batchPositions{first: first, count: len(b.entries)}
	if last := b.entries[found.count-1].result.Position; last-first == uint64(found.count-1) {
		return found
	}
	found.scattered = make([]uint64, found.count)
	for index, one := range b.entries {
		found.scattered[index] = one.result.Position
	}
	return found
}

func newLedger(options *StreamOptions) *ledger {
	return &ledger{
		maxBatchEvents: options.MaxBatchEvents,
		maxBatchBytes:  options.MaxBatchBytes,
		unordered:      options.Unordered,
		batchEvents:    options.MaxBatchEvents,
		batchBytes:     options.MaxBatchBytes,
		destinations:   newNumbering[Destination](1),
		connections:    newNumbering[Connection](1),
		sent:           make(map[uint64]*sentBatch),
		remembered:     newRememberedBatches(),
	}
}

// add takes a checked item. together is nil for one that may travel with any other.
func (l *ledger) add(item Item, size int, together *company) {
	found := &entry{item: item, size: size, company: together}
	found.result.Position = l.nextPosition
	l.nextPosition++
	l.waiting = append(l.waiting, found)
	l.waitingBytes += size
	if !l.unordered {
		l.inOrder = append(l.inOrder, found)
	}
	l.owed++
	l.owedBytes += size
}

// connect begins anew with a server: what had no answer is to be sent again, in its old order.
func (l *ledger) connect(limits *v1.Limits) {
	l.destinations = newNumbering[Destination](int(limits.GetMaxDestinations()))
	l.connections = newNumbering[Connection](int(limits.GetMaxDestinations()))
	l.batchEvents = l.maxBatchEvents
	if most := int(limits.GetMaxBatchEvents()); most > 0 {
		l.batchEvents = min(most, l.maxBatchEvents)
	}
	l.batchBytes = l.maxBatchBytes
	if most := limits.GetMaxMessageBytes(); most > 0 {
		// Beside its events, a message has what is said about them.
		l.batchBytes = int(min(most/2, uint64(l.maxBatchBytes)))
	}
	// Batches were numbered in the order in which they were sent.
	var again []*entry
	first := l.lastBatchID + 1
	for id := range l.sent {
		first = min(first, id)
	}
	for id := first; id <= l.lastBatchID; id++ {
		batch := l.sent[id]
		if batch == nil {
			continue
		}
		for _, found := range batch.entries {
			if !found.answered {
				again = append(again, found)
				l.waitingBytes += found.size
			}
		}
	}
	clear(l.sent)
	l.remembered = newRememberedBatches()
	l.waiting = append(again, l.waiting...)
}

// dropUnsent forgets the last batch, and what waits behind it: they will have no answer.
func (l *ledger) dropUnsent() {
	delete(l.sent, l.lastBatchID)
	l.waiting, l.waitingBytes = nil, 0
}

// unanswered tells whether a server owes an answer, or is still to be asked.
func (l *ledger) unanswered() bool { return len(l.waiting) != 0 || len(l.sent) != 0 }

// batchIsFull tells whether what waits is worth a message.
func (l *ledger) batchIsFull() bool {
	return len(l.waiting) >= l.batchEvents || l.waitingBytes >= l.batchBytes
}

// takeMessages is the next batch to send, after what it is the first to name; nil for none.
func (l *ledger) takeMessages() []*v1.TransformStreamRequest {
	if len(l.waiting) == 0 {
		return nil
	}
	id := l.lastBatchID + 1
	together := l.waiting[0].company
	upsert := &v1.UpsertDestinations{}
	most := min(len(l.waiting), l.batchEvents)
	items := make([]*v1.Item, 0, most)
	size := 0
	for _, found := range l.waiting[:most] {
		if len(items) != 0 && (size+found.size > l.batchBytes || found.company != together) {
			break
		}
		destination, connection, ok := l.declare(&found.item, id, upsert)
		if !ok {
			break
		}
		size += found.size
		items = append(items, found.item.encode(destination, connection))
	}
	entries := append([]*entry(nil), l.waiting[:len(items)]...)
	clear(l.waiting[:len(items)])
	l.waiting = l.waiting[len(items):]
	l.waitingBytes -= size
	l.lastBatchID = id
	l.sent[id] = &sentBatch{id, entries, len(entries)}

	batch := &v1.Batch{BatchId: id, Items: items}
	if together != nil && together.timeout > 0 {
		batch.Timeout = durationpb.New(together.timeout)
	}
	message := &v1.TransformStreamRequest{Message: &v1.TransformStreamRequest_Batch{Batch: batch}}
	if len(upsert.Destinations) == 0 && len(upsert.Connections) == 0 {
		return []*v1.TransformStreamRequest{message}
	}
	return []*v1.TransformStreamRequest{
		{Message: &v1.TransformStreamRequest_UpsertDestinations{UpsertDestinations: upsert}}, message,
	}
}

// declare is the numbers of an item's destination and connection, which go into upsert if they are
// new; false if the batch has no number left for them.
func (l *ledger) declare(
	item *Item, batchID uint64, upsert *v1.UpsertDestinations,
) (destination, connection uint32, ok bool) {
	destination, isNew, ok := l.destinations.number(item.Destination, batchID)
	if !ok {
		return 0, 0, false
	}
	if isNew {
		upsert.Destinations = append(upsert.Destinations, encodeDestination(item.Destination, destination))
	}
	connection, isNew, ok = l.connections.number(item.Connection, batchID)
	if isNew {
		upsert.Connections = append(upsert.Connections, encodeConnection(item.Connection, connection))
	}
	return destination, connection, ok
}

// answer takes what a server answered. What it answers twice counts once. An error means that the
// server broke the contract.
func (l *ledger) answer(results *v1.Results) error {
	batch := l.sent[results.GetBatchId()]
	if batch == nil {
		return nil
	}
	err := readResults(results, reading{
		count:         len(batch.entries),
		numberOf:      func(position int) uint64 { return batch.entries[position].result.Position },
		numberOfOther: l.positionOf,
		fill: func(position int, result Result) {
			found := batch.entries[position]
			if found.answered {
				return
			}
			result.Value = found.item.Value
			found.result, found.answered = result, true
			batch.unanswered--
			l.answered++
			if l.unordered {
				l.ready = append(l.ready, found)
			}
		},
	})
	if err != nil {
		return err
	}
	if !results.GetBatchComplete() {
		return nil
	}
	if batch.unanswered != 0 {
		return fmt.Errorf("a complete batch with %d items unanswered", batch.unanswered)
	}
	delete(l.sent, batch.id)
	l.remembered.add(batch.id, batch.positions())
	return nil
}

// positionOf is where on the stream an item of a batch was; nil if it is not remembered.
func (l *ledger) positionOf(item *v1.ItemRef) *uint64 {
	if item == nil {
		return nil
	}
	positions := l.remembered.positions[item.GetBatchId()]
	if batch := l.sent[item.GetBatchId()]; batch != nil {
		positions = batch.positions()
	}
	return positions.at(item.GetPosition())
}

// take is a result that is due, if there is one.
func (l *ledger) take() (Result, bool) {
	queue := &l.inOrder
	if l.unordered {
		queue = &l.ready
	}
	if len(*queue) == 0 || !(*queue)[0].answered {
		return Result{}, false
	}
	found := (*queue)[0]
	(*queue)[0] = nil
	*queue = (*queue)[1:]
	l.owed--
	l.owedBytes -= found.size
	return found.result, true
}

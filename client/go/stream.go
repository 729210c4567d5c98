package ciosidecar

import (
	"context"
	"io"
	"iter"
	"slices"
	"sync"
	"time"

	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

// Stream takes items one at a time and returns their results, by default in order. [Client.Stream]
// makes one.
//
// A stream gathers items into messages and limits the number of outstanding items. If the sidecar
// goes away, the stream reconnects and sends the items without a result again.
//
// Send in one goroutine and receive in another; several goroutines may do either. Call CloseSend after
// the last Send. Call Close at the end, also after a failure.
type Stream struct {
	first          *firstConnection
	destination    Destination
	options        *StreamOptions
	invalidOptions error // why the options cannot be used
	ctx            context.Context
	cancel         context.CancelFunc
	stopped        chan struct{} // closed when the stream has no goroutine left

	mu             sync.Mutex // guards all fields below
	outstanding    *resultQueue
	lanes          []*lane
	router         *affinityRouter // nil without affinity
	finished       bool
	closed         bool
	sendFailure    error // why nothing more is sent, although sent items still get results
	failure        error // why no more results arrive
	reconnects     int
	connectedUntil time.Time // with affinity, when the last lane lost its connection
	settling       *time.Timer
	// allAnswered is closed when a stream with affinity needs its lanes no longer.
	allAnswered      chan struct{}
	closeAllAnswered func()

	// The events that goroutines wait for.
	resultsAdded  broadcast
	roomAvailable broadcast
}

// newStream returns a stream over one stub, or with affinity over the stubs of several addresses.
func newStream(
	ctx context.Context, stubs []v1.SidecarServiceClient, addresses []string, first *firstConnection,
	destination Destination, options *StreamOptions,
) *Stream {
	stream := &Stream{
		first:          first,
		destination:    destination,
		options:        options,
		invalidOptions: options.check(),
		stopped:        make(chan struct{}),
		outstanding:    &resultQueue{unordered: options.Unordered},
		allAnswered:    make(chan struct{}),
	}
	stream.closeAllAnswered = sync.OnceFunc(func() { close(stream.allAnswered) })
	outstanding := make([]*outstandingItems, len(stubs))
	for index, stub := range stubs {
		outstanding[index] = newOutstandingItems(options, stream.outstanding)
		stream.lanes = append(stream.lanes, &lane{
			stream: stream, index: index, stub: stub, outstanding: outstanding[index],
		})
	}
	if options.Affinity == AffinityPerson {
		stream.router = newAffinityRouter(addresses, outstanding, func(index int) {
			stream.lanes[index].linger()
		})
	}
	stream.ctx, stream.cancel = context.WithCancel(ctx)
	return stream
}

// Send sends an item. If MaxOutstandingEvents or MaxOutstandingBytes is reached, Send waits until
// results are received.
//
// Send returns an error if the item cannot be sent, ctx ends, or the stream has failed. The item is
// not sent in these cases.
func (s *Stream) Send(ctx context.Context, item BatchItem) error {
	size, err := s.prepare(&item)
	if err != nil {
		return err
	}
	slot := s.slotOf(&item)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.waitForRoom(ctx); err != nil {
		return err
	}
	s.add(item, size, slot, nil)
	return nil
}

// slotOf returns the slot of an item's person, 0 without affinity.
func (s *Stream) slotOf(item *BatchItem) int {
	if s.options.Affinity != AffinityPerson {
		return 0
	}
	return slotOf(personKey(item))
}

// add queues an item. The caller holds the lock.
func (s *Stream) add(item BatchItem, size, slot int, group *batchGroup) {
	added := s.outstanding.add(item, size, group)
	added.slot = slot
	if s.router != nil {
		s.router.place(added)
		return
	}
	s.lanes[0].outstanding.enqueue(added)
	if group == nil {
		s.lanes[0].linger()
	}
}

// SendBatch sends items at once, in messages that contain no other items. Only these items share
// requests with each other. If SendBatch returns an error, none of them is sent.
//
// SendBatch waits as Send does, but only until a single item would be allowed: a batch may exceed
// MaxOutstandingEvents and MaxOutstandingBytes.
//
// With delivery, timeout is the time limit for the delivery of the items. 0: the stream's own.
func (s *Stream) SendBatch(ctx context.Context, items []BatchItem, timeout time.Duration) error {
	if timeout < 0 {
		return errNegativeTimeout
	}
	sizes, slots := make([]int, len(items)), make([]int, len(items))
	items = append([]BatchItem(nil), items...)
	for index := range items {
		var err error
		if sizes[index], err = s.prepare(&items[index]); err != nil {
			return err
		}
		slots[index] = s.slotOf(&items[index])
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.waitForRoom(ctx); err != nil {
		return err
	}
	group := &batchGroup{timeout: timeout}
	for index, item := range items {
		s.add(item, sizes[index], slots[index], group)
	}
	s.sendNow()
	return nil
}

// prepare sets the item's default destination and checks the item.
func (s *Stream) prepare(item *BatchItem) (size int, err error) {
	item.Destination = orDefault(item.Destination, s.destination)
	return item.check()
}

// waitForRoom returns nil when an item may be added. The caller holds the lock.
func (s *Stream) waitForRoom(ctx context.Context) error {
	for {
		switch {
		case s.invalidOptions != nil:
			return s.invalidOptions
		case s.closed:
			return ErrClosed
		case s.failure != nil:
			return s.failure
		case s.sendFailure != nil:
			return s.sendFailure
		case s.finished:
			return ErrFinished
		case ctx.Err() != nil:
			return callError(ctx.Err())
		case s.hasRoom():
			return nil
		}
		if !slices.ContainsFunc(s.lanes, func(l *lane) bool { return len(l.outstanding.sent) != 0 }) {
			// No result is on its way that could make room, so the unsent items must not linger.
			s.sendNow()
		}
		s.wait(ctx, &s.roomAvailable)
	}
}

func (s *Stream) hasRoom() bool {
	return s.outstanding.events == 0 ||
		s.outstanding.events < s.options.MaxOutstandingEvents &&
			s.outstanding.bytes < s.options.MaxOutstandingBytes
}

// CloseSend ends the sending of items. After the last result, Recv returns io.EOF.
func (s *Stream) CloseSend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished = true
	s.sendNow()
	if s.router != nil {
		s.endIfAllAnswered()
	}
	s.resultsAdded.wake()
	s.roomAvailable.wake()
}

// Recv waits for the next result. After CloseSend and the last result, it returns io.EOF. It returns
// another error if ctx ends or the stream has failed.
func (s *Stream) Recv(ctx context.Context) (Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if err := ctx.Err(); err != nil {
			return Result{}, callError(err)
		}
		if s.invalidOptions != nil {
			return Result{}, s.invalidOptions
		}
		if s.closed {
			return Result{}, ErrClosed
		}
		if result, ok := s.outstanding.takeResult(); ok {
			s.roomAvailable.wake()
			if s.outstanding.events == 0 {
				s.resultsAdded.wake() // other receivers have no result to wait for any more
			}
			return result, nil
		}
		switch {
		case s.finished && s.outstanding.events == 0:
			return Result{}, io.EOF
		case s.failure != nil:
			return Result{}, s.failure
		}
		s.wait(ctx, &s.resultsAdded)
	}
}

// Results returns an iterator over the results of Recv until io.EOF. If Recv returns another error,
// the iterator yields it last.
func (s *Stream) Results(ctx context.Context) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		for {
			result, err := s.Recv(ctx)
			if err == io.EOF || !yield(result, err) || err != nil {
				return
			}
		}
	}
}

// run keeps all lanes connected until all items have results, or the stream fails.
func (s *Stream) run() {
	defer close(s.stopped)
	defer s.cancel()
	var running sync.WaitGroup
	for _, lane := range s.lanes {
		running.Go(lane.run)
	}
	running.Wait()
	if s.settling != nil {
		s.settling.Stop()
	}
}

// Reconnects returns the number of times that the stream has reconnected, with affinity at any address.
func (s *Stream) Reconnects() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reconnects
}

// Close ends the stream and waits until its goroutines have ended. Results that were not received are
// lost. To lose none, call CloseSend and receive until io.EOF first. Close always returns nil.
func (s *Stream) Close() error {
	if s.isAllAnswered() || s.isFinishing() {
		select {
		case <-s.stopped: // the sidecars end their calls
		case <-time.After(orderlyEnd):
		}
	}
	s.end()
	<-s.stopped
	return nil
}

// orderlyEnd is how long Close waits for sidecars to end their calls once all items have results: a call that
// is cancelled in this moment counts as cancelled in the sidecar's log and metrics. The sidecars of a stream with
// affinity get Finish only then, because any of them may have to take another's items.
const orderlyEnd = 2 * time.Second

// isFinishing reports whether the sidecar of a stream without affinity has nothing to do but to end its call.
func (s *Stream) isFinishing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.router == nil && s.finished && s.lanes[0].session.opened && !s.hasUnanswered()
}

// end ends the stream without waiting for its goroutines.
func (s *Stream) end() {
	s.mu.Lock()
	s.closed = true
	s.resultsAdded.wake()
	s.roomAvailable.wake()
	s.mu.Unlock()
	s.cancel()
}

// wait returns when the event happens or ctx ends. The caller holds the lock; wait releases it while
// it waits.
func (s *Stream) wait(ctx context.Context, event *broadcast) {
	woken := event.waiter()
	s.mu.Unlock()
	defer s.mu.Lock()
	select {
	case <-woken:
	case <-ctx.Done():
	}
}

// broadcast wakes all goroutines that wait for an event, as sync.Cond does. It uses a channel, so that
// a waiting goroutine can also watch a context. The stream's lock guards it.
type broadcast struct {
	waiting chan struct{}
}

// waiter returns a channel that the next wake closes.
func (b *broadcast) waiter() <-chan struct{} {
	if b.waiting == nil {
		b.waiting = make(chan struct{})
	}
	return b.waiting
}

func (b *broadcast) wake() {
	if b.waiting != nil {
		close(b.waiting)
		b.waiting = nil
	}
}

package ciosidecar

import (
	"context"
	"io"
	"iter"
	"sync"
	"time"

	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

// Stream takes items one at a time and gives their results, in order unless asked otherwise. It is
// made by [Client.Stream].
//
// It gathers items into messages, keeps within the credit, and, when the sidecar goes away, opens
// another stream and sends again what has no result. Send in one goroutine and receive in another;
// several of either are fine. Say CloseSend when nothing more comes, and Close when done with it,
// also after a failure.
type Stream struct {
	stub        v1.SidecarServiceClient
	destination Destination
	options     *StreamOptions
	unusable    error // why the stream can do nothing at all
	ctx         context.Context
	cancel      context.CancelFunc
	stopped     chan struct{} // closed when no goroutine of the stream is left

	mu         sync.Mutex // guards all below
	ledger     *ledger
	finished   bool
	closed     bool
	fault      error // why nothing more is sent, although what was sent is still answered
	failure    error // why no result comes any more
	reconnects int
	connection connection
	dueAt      time.Time // when the oldest waiting item has lingered enough; zero if none waits

	// Each is one reason to wait.
	toSend   broadcast
	answered broadcast
	room     broadcast
}

func newStream(
	ctx context.Context, stub v1.SidecarServiceClient, destination Destination, options *StreamOptions,
) *Stream {
	found := &Stream{
		stub:        stub,
		destination: destination,
		options:     options,
		unusable:    options.check(),
		stopped:     make(chan struct{}),
		ledger:      newLedger(options),
	}
	found.ctx, found.cancel = context.WithCancel(ctx)
	return found
}

// Send takes an item. It waits while the credit is used up, which ends when results are received,
// or with an error when ctx ends or the stream fails: then the item was not taken.
func (s *Stream) Send(ctx context.Context, item Item) error {
	size, err := s.prepare(&item)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.waitForRoom(ctx); err != nil {
		return err
	}
	s.ledger.add(item, size, nil)
	if s.dueAt.IsZero() {
		s.dueAt = time.Now().Add(s.options.Linger)
		s.toSend.wake()
	} else if s.ledger.batchIsFull() {
		s.toSend.wake()
	}
	return nil
}

// SendBatch takes items that go out at once, in messages that hold no others: requests are shared
// only among them. All are taken, or, with an error, none. It waits as Send does, for any room at
// all: a batch may exceed the credit.
//
// On a stream that delivers, the timeout bounds their delivery; 0 for the default.
func (s *Stream) SendBatch(ctx context.Context, items []Item, timeout time.Duration) error {
	if timeout < 0 {
		return errNegativeTimeout
	}
	sizes := make([]int, len(items))
	items = append([]Item(nil), items...)
	for index := range items {
		var err error
		if sizes[index], err = s.prepare(&items[index]); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.waitForRoom(ctx); err != nil {
		return err
	}
	together := &company{timeout: timeout}
	for index, item := range items {
		s.ledger.add(item, sizes[index], together)
	}
	s.sendNow()
	return nil
}

// prepare fills the item's destination in and checks the item.
func (s *Stream) prepare(item *Item) (size int, err error) {
	item.Destination = orDefault(item.Destination, s.destination)
	return item.check()
}

// waitForRoom returns nil when an item may be added. The lock is held before and after.
func (s *Stream) waitForRoom(ctx context.Context) error {
	for {
		switch {
		case s.unusable != nil:
			return s.unusable
		case s.closed:
			return ErrClosed
		case s.failure != nil:
			return s.failure
		case s.fault != nil:
			return s.fault
		case s.finished:
			return ErrFinished
		case ctx.Err() != nil:
			return callError(ctx.Err())
		case s.ledger.owed == 0,
			s.ledger.owed < s.options.MaxOwedEvents && s.ledger.owedBytes < s.options.MaxOwedBytes:
			return nil
		}
		if len(s.ledger.sent) == 0 {
			s.sendNow() // else room will come, and with it more to share a message
		}
		s.wait(ctx, &s.room)
	}
}

// CloseSend says that nothing more will be sent: after the last result, Recv returns io.EOF.
func (s *Stream) CloseSend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished = true
	s.sendNow()
	s.answered.wake()
	s.room.wake()
}

// Recv waits for the next result. It returns io.EOF after the last one, which needs CloseSend, and
// any other error when ctx ends or the stream has failed.
func (s *Stream) Recv(ctx context.Context) (Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if err := ctx.Err(); err != nil {
			return Result{}, callError(err)
		}
		if s.unusable != nil {
			return Result{}, s.unusable
		}
		if s.closed {
			return Result{}, ErrClosed
		}
		if result, ok := s.ledger.take(); ok {
			s.room.wake()
			if s.ledger.owed == 0 {
				s.answered.wake() // for whoever else waits for a result that will not come
			}
			return result, nil
		}
		switch {
		case s.finished && s.ledger.owed == 0:
			return Result{}, io.EOF
		case s.failure != nil:
			return Result{}, s.failure
		}
		s.wait(ctx, &s.answered)
	}
}

// Results are what Recv gives until io.EOF. An error is the last thing it yields.
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

// Reconnects is how often the stream had to be opened anew.
func (s *Stream) Reconnects() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reconnects
}

// Close ends the stream and waits until nothing of it is left. Results that were not received are
// lost: CloseSend and receive to io.EOF first. It always returns nil.
func (s *Stream) Close() error {
	s.end()
	<-s.stopped
	return nil
}

// end is Close without waiting.
func (s *Stream) end() {
	s.mu.Lock()
	s.closed = true
	s.answered.wake()
	s.room.wake()
	s.mu.Unlock()
	s.cancel()
}

// sendNow makes what waits go at once; if nothing does, the next item still starts the clock.
func (s *Stream) sendNow() {
	if len(s.ledger.waiting) != 0 {
		s.dueAt = time.Unix(0, 0)
	}
	s.toSend.wake()
}

// wait returns when woken, or when ctx ends. The lock is held before and after, not meanwhile.
func (s *Stream) wait(ctx context.Context, reason *broadcast) {
	woken := reason.waiter()
	s.mu.Unlock()
	defer s.mu.Lock()
	select {
	case <-woken:
	case <-ctx.Done():
	}
}

// broadcast wakes everyone who waits for a reason, as sync.Cond does, but through a channel, so
// that waiting can be given up. Guarded by the stream's lock.
type broadcast struct {
	waiting chan struct{}
}

// waiter is closed by the next wake.
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

package router

import (
	"context"
	"fmt"
	"sync"
	"time"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
)

// streamPool makes calls over a few streams: one batch of items in, its results out. A stream that has
// failed is replaced by the next call.
type streamPool struct {
	client  *ciosidecar.Client
	options *ciosidecar.StreamOptions

	mu      sync.Mutex
	streams []*pooledStream // nil until the first call
	closed  bool
}

func newStreamPool(client *ciosidecar.Client, size int, options ciosidecar.StreamOptions) *streamPool {
	// With results in order, a call would wait for the results of earlier calls.
	options.Unordered = true
	return &streamPool{client: client, options: &options, streams: make([]*pooledStream, max(1, size))}
}

// call sends the items over the n-th stream, in messages of their own, and returns their results in
// order.
func (p *streamPool) call(
	ctx context.Context, n int, items []ciosidecar.BatchItem, timeout time.Duration,
) ([]ciosidecar.Result, error) {
	if len(items) == 0 {
		return nil, nil
	}
	pooled, err := p.stream(n % len(p.streams))
	if err != nil {
		return nil, err
	}
	pending := &pendingCall{
		results: make([]ciosidecar.Result, len(items)), missing: len(items), answered: make(chan struct{}),
	}
	for index := range items {
		items[index].Attachment = resultSlot{pending, index}
	}
	if err := pooled.stream.SendBatch(ctx, items, timeout); err != nil {
		return nil, err
	}
	select {
	case <-pending.answered:
		return pending.results, nil
	case <-pooled.ended:
		return nil, pooled.failure
	case <-ctx.Done():
		return nil, fmt.Errorf("router: no answer: %w", ctx.Err())
	}
}

// stream returns the n-th stream. It opens the stream if there is none, or if the last one has ended.
func (p *streamPool) stream(n int) (*pooledStream, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ciosidecar.ErrClosed
	}
	if pooled := p.streams[n]; pooled != nil {
		select {
		case <-pooled.ended:
			_ = pooled.stream.Close()
		default:
			return pooled, nil
		}
	}
	pooled := &pooledStream{
		// The stream outlives the context of its first call.
		stream: p.client.Stream(context.Background(), ciosidecar.Destination{}, p.options),
		ended:  make(chan struct{}),
	}
	go pooled.distribute()
	p.streams[n] = pooled
	return pooled, nil
}

// close ends all streams, and all calls that wait for results.
func (p *streamPool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, pooled := range p.streams {
		if pooled != nil {
			_ = pooled.stream.Close()
			<-pooled.ended
		}
	}
}

// pooledStream is a stream with a goroutine that gives each result to the call that waits for it.
type pooledStream struct {
	stream  *ciosidecar.Stream
	ended   chan struct{}
	failure error // set before ended is closed
}

// pendingCall is a call that waits for its results.
type pendingCall struct {
	results  []ciosidecar.Result
	missing  int
	answered chan struct{}
}

// resultSlot is the place of one result in its call.
type resultSlot struct {
	call  *pendingCall
	index int
}

func (s *pooledStream) distribute() {
	defer close(s.ended)
	for result, err := range s.stream.Results(context.Background()) {
		if err != nil {
			s.failure = err
			return
		}
		slot := result.Attachment.(resultSlot)
		slot.call.results[slot.index] = result
		slot.call.missing--
		if slot.call.missing == 0 {
			close(slot.call.answered)
		}
	}
}

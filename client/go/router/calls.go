package router

import (
	"context"
	"fmt"
	"sync"
	"time"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
)

// lines are a few streams that answer calls: a batch of items in, their results out. A stream that
// has failed is replaced at the next call.
type lines struct {
	client  *ciosidecar.Client
	options *ciosidecar.StreamOptions

	mu     sync.Mutex
	open   []*line // nil until needed
	closed bool
}

func newLines(client *ciosidecar.Client, count int, options ciosidecar.StreamOptions) *lines {
	// A call must not wait for another one's results.
	options.Unordered = true
	return &lines{client: client, options: &options, open: make([]*line, max(1, count))}
}

// call has the items worked on by the n-th stream, in messages of their own, and returns their
// results in order.
func (l *lines) call(
	ctx context.Context, n int, items []ciosidecar.Item, timeout time.Duration,
) ([]ciosidecar.Result, error) {
	if len(items) == 0 {
		return nil, nil
	}
	through, err := l.line(n % len(l.open))
	if err != nil {
		return nil, err
	}
	waiting := &waitingCall{
		results: make([]ciosidecar.Result, len(items)), left: len(items), answered: make(chan struct{}),
	}
	for index := range items {
		items[index].Value = place{waiting, index}
	}
	if err := through.stream.SendBatch(ctx, items, timeout); err != nil {
		return nil, err
	}
	select {
	case <-waiting.answered:
		return waiting.results, nil
	case <-through.ended:
		return nil, through.failure
	case <-ctx.Done():
		return nil, fmt.Errorf("router: no answer: %w", ctx.Err())
	}
}

func (l *lines) line(n int) (*line, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ciosidecar.ErrClosed
	}
	if found := l.open[n]; found != nil {
		select {
		case <-found.ended:
			_ = found.stream.Close()
		default:
			return found, nil
		}
	}
	// A stream outlives the call that needs it first.
	found := &line{
		stream: l.client.Stream(context.Background(), ciosidecar.Destination{}, l.options),
		ended:  make(chan struct{}),
	}
	go found.distribute()
	l.open[n] = found
	return found, nil
}

// close ends all streams, and every call that waits for one.
func (l *lines) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, found := range l.open {
		if found != nil {
			_ = found.stream.Close()
			<-found.ended
		}
	}
}

// line is one stream, and the goroutine that gives each result to the call that waits for it.
type line struct {
	stream  *ciosidecar.Stream
	ended   chan struct{}
	failure error // set when ended
}

type waitingCall struct {
	results  []ciosidecar.Result
	left     int
	answered chan struct{}
}

// place is where a result belongs.
type place struct {
	call  *waitingCall
	index int
}

func (l *line) distribute() {
	defer close(l.ended)
	for result, err := range l.stream.Results(context.Background()) {
		if err != nil {
			l.failure = err
			return
		}
		found := result.Value.(place)
		found.call.results[found.index] = result
		found.call.left--
		if found.call.left == 0 {
			close(found.call.answered)
		}
	}
}

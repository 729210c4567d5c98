package ciosidecar

import (
	"math/rand/v2"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	initialReconnectDelay = 100 * time.Millisecond
	maxReconnectDelay     = 5 * time.Second
)

// firstConnection is the time limit for the first connection of a client.
type firstConnection struct {
	timeout   time.Duration // how long the client's streams try, from their beginning
	addresses string        // the client's addresses, for errors
	made      atomic.Bool   // a sidecar has answered the client
}

// callError converts the error of a unary call, as [callError] does. Before the first connection, the
// message says which addresses did not answer.
func (f *firstConnection) callError(err error) error {
	if err == nil {
		f.made.Store(true)
	} else if status.Code(err) == codes.Unavailable && !f.made.Load() {
		err = status.Errorf(codes.Unavailable, "no answer from %s: %s", f.addresses, status.Convert(err).Message())
	}
	return callError(err)
}

// reconnectBackoff decides how long to wait before the next connection, and when to give up.
type reconnectBackoff struct {
	reconnectFor time.Duration
	first        *firstConnection
	startedAt    time.Time
	failingSince time.Time
	maxDelay     time.Duration
}

// next returns the delay before the next connection: a random time below a bound that doubles with
// each failure. Or it returns the time limit that has passed: reconnectFor without any progress, and
// without any session that lasted longer than maxReconnectDelay; or that of the first connection. At
// connectedAt, another lane of the stream last had a connection: only a stream without any gives up.
func (b *reconnectBackoff) next(
	sessionLength time.Duration, progress bool, connectedAt time.Time,
) (delay, passed time.Duration) {
	now := time.Now()
	if progress || sessionLength > maxReconnectDelay || b.failingSince.IsZero() {
		b.failingSince, b.maxDelay = now, initialReconnectDelay
	} else if b.failingSince.Before(connectedAt) {
		b.failingSince = connectedAt
	} else if now.Sub(b.failingSince) > b.reconnectFor {
		return 0, b.reconnectFor
	}
	delay = rand.N(b.maxDelay)
	b.maxDelay = min(2*b.maxDelay, maxReconnectDelay)
	if !b.first.made.Load() {
		left := b.first.timeout - now.Sub(b.startedAt)
		if left <= 0 {
			return 0, b.first.timeout
		}
		delay = min(delay, left)
	}
	return delay, 0
}

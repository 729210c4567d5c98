package ciosidecar

import (
	"math/rand/v2"
	"time"
)

const (
	initialReconnectDelay = 100 * time.Millisecond
	maxReconnectDelay     = 5 * time.Second
)

// reconnectBackoff decides how long to wait before the next connection, and when to give up.
type reconnectBackoff struct {
	reconnectFor time.Duration
	failingSince time.Time
	maxDelay     time.Duration
}

// next returns the delay before the next connection: a random time below a bound that doubles with
// each failure. It returns false if reconnectFor has passed without any progress, and without any
// session that lasted longer than maxReconnectDelay.
func (b *reconnectBackoff) next(sessionLength time.Duration, progress bool) (time.Duration, bool) {
	now := time.Now()
	if progress || sessionLength > maxReconnectDelay || b.failingSince.IsZero() {
		b.failingSince, b.maxDelay = now, initialReconnectDelay
	} else if now.Sub(b.failingSince) > b.reconnectFor {
		return 0, false
	}
	delay := rand.N(b.maxDelay)
	b.maxDelay = min(2*b.maxDelay, maxReconnectDelay)
	return delay, true
}

package ciosidecar

import (
	"math/rand/v2"
	"time"
)

const (
	firstPause = 100 * time.Millisecond
	maxPause   = 5 * time.Second
)

// patience says how long to wait before connecting again, and when to give up.
type patience struct {
	reconnectFor time.Duration
	failingSince time.Time
	limit        time.Duration
}

// pause is how long to wait after a connection that lasted so long: anywhere below a limit that
// doubles. It is false once nothing was answered, and no connection lasted, for as long as we were
// told to try.
func (p *patience) pause(lasted time.Duration, progress bool) (time.Duration, bool) {
	now := time.Now()
	if progress || lasted > maxPause || p.failingSince.IsZero() {
		p.failingSince, p.limit = now, firstPause
	} else if now.Sub(p.failingSince) > p.reconnectFor {
		return 0, false
	}
	found := rand.N(p.limit)
	p.limit = min(2*p.limit, maxPause)
	return found, true
}

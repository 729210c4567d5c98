package ciosidecar

import (
	"time"

	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

// settleTime is how long a stream with affinity waits for its other lanes once the first is connected.
const settleTime = 500 * time.Millisecond

// lane is one connection of a stream: its items, and when they are sent. A stream with affinity has one
// for each address, any other stream has one for all. The stream's lock guards all fields.
type lane struct {
	stream      *Stream
	index       int
	stub        v1.SidecarServiceClient
	outstanding *outstandingItems
	session     sessionState
	dueAt       time.Time // when the oldest unsent item has lingered enough; meaningless if none is unsent
	batchDue    broadcast
}

// linger notes that an item was added, which waits for others to share its message.
func (l *lane) linger() {
	if len(l.outstanding.unsent) == 1 {
		l.dueAt = time.Now().Add(l.stream.options.Linger)
		l.batchDue.wake()
	} else if l.outstanding.fillsBatch() {
		l.batchDue.wake()
	}
}

// sendNow makes the unsent items due. If there are none, the next item still lingers.
func (l *lane) sendNow() {
	if len(l.outstanding.unsent) != 0 {
		l.dueAt = time.Unix(0, 0)
	}
	l.batchDue.wake()
}

// hasSentAll reports whether the lane will never have another item to send.
func (l *lane) hasSentAll() bool {
	s := l.stream
	if !s.finished && s.sendFailure == nil {
		return false
	}
	if s.router == nil {
		return len(l.outstanding.unsent) == 0
	}
	// The lane may still get items of a lane whose sidecar goes away.
	return !s.hasUnanswered()
}

// hasUnanswered reports whether an item of the stream has no result.
func (s *Stream) hasUnanswered() bool {
	for _, lane := range s.lanes {
		if lane.outstanding.hasUnanswered() {
			return true
		}
	}
	return s.router != nil && len(s.router.outside) != 0
}

// sendNow makes the unsent items of all lanes due.
func (s *Stream) sendNow() {
	for _, lane := range s.lanes {
		lane.sendNow()
	}
}

// addedResults notes that items of a lane have results, or were returned.
func (s *Stream) addedResults(l *lane, answered, returned []*outstandingItem) {
	s.resultsAdded.wake()
	if s.router == nil {
		return
	}
	s.router.answered(answered)
	if len(returned) != 0 {
		s.router.returned(l.index, returned)
		s.sendNow()
	}
	s.endIfAllAnswered()
}

func (s *Stream) laneOpened(l *lane) {
	if s.router != nil {
		s.router.opened(l.index)
		if !s.router.settled && s.settling == nil {
			s.settling = time.AfterFunc(settleTime, s.settle)
		}
	}
	s.sendNow()
}

func (s *Stream) settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.router.settle()
}

func (s *Stream) laneDraining(l *lane) {
	if s.router != nil {
		s.router.draining(l.index)
		s.sendNow()
	}
	l.batchDue.wake()
}

// laneLost notes that a lane's connection has ended, and whether it answered anything or lasted.
func (s *Stream) laneLost(l *lane, wasUseful bool) {
	if s.router == nil {
		return
	}
	wasConnected := s.router.isConnected()
	s.router.lost(l.index)
	if wasUseful && wasConnected && !s.router.isConnected() {
		s.connectedUntil = time.Now()
	}
	s.sendNow()
}

// connectedAt returns when a lane last had a connection; zero without affinity.
func (s *Stream) connectedAt() time.Time {
	if s.router != nil && s.router.isConnected() {
		return time.Now()
	}
	return s.connectedUntil
}

// endIfAllAnswered lets the lanes of a stream with affinity end once no item needs them.
func (s *Stream) endIfAllAnswered() {
	if !s.finished && s.sendFailure == nil || s.hasUnanswered() {
		return
	}
	s.closeAllAnswered()
	for _, lane := range s.lanes {
		lane.batchDue.wake()
		if !lane.session.opened && lane.session.cancel != nil {
			lane.session.cancel()
		}
	}
}

func (s *Stream) isAllAnswered() bool {
	select {
	case <-s.allAnswered:
		return true
	default:
		return false
	}
}

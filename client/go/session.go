package ciosidecar

import (
	"context"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

type transformStream = grpc.BidiStreamingClient[v1.TransformStreamRequest, v1.TransformStreamResponse]

// sessionState is the state of a session: one TransformStream call. A lane that reconnects has
// several sessions, one after another.
type sessionState struct {
	opened   bool // StreamOpened has arrived
	draining bool // Drain has arrived: nothing more may be sent in this session
	ended    bool // the call has ended
	cancel   context.CancelFunc
}

// run keeps the lane connected until all items have results, or the reconnect backoff gives up.
func (l *lane) run() {
	s := l.stream
	failure := l.keepConnected()
	s.mu.Lock()
	if failure != nil && s.failure == nil {
		s.failure = failure
	}
	failed := s.failure != nil
	s.resultsAdded.wake()
	s.roomAvailable.wake()
	s.mu.Unlock()
	if failed {
		s.cancel() // the other lanes end, too
	}
}

func (l *lane) keepConnected() error {
	s := l.stream
	if s.invalidOptions != nil {
		return s.invalidOptions
	}
	backoff := reconnectBackoff{
		reconnectFor: s.options.ReconnectFor, first: s.first, startedAt: time.Now(),
	}
	for {
		answeredBefore, startedAt := l.outstanding.answeredCount, time.Now()
		err := l.runSession()
		if s.ctx.Err() != nil {
			return callError(s.ctx.Err())
		}
		if s.isAllAnswered() {
			return nil // a lane that still connected was told to end
		}
		reason := "the sidecar ended the stream"
		if s.hasSendFailure() {
			reason = "items that were sent before a failure of the client have no result"
		} else if err != nil {
			if !isRetryable(status.Code(err)) {
				return callError(err)
			}
			reason = status.Convert(err).Message()
		}
		s.mu.Lock()
		done := (s.finished || s.sendFailure != nil) && !s.hasUnanswered()
		sendFailure := s.sendFailure
		progress := l.outstanding.answeredCount > answeredBefore
		if !done {
			s.laneLost(l, progress || time.Since(startedAt) > maxReconnectDelay)
		}
		connectedAt := s.connectedAt()
		s.mu.Unlock()
		if done {
			return sendFailure
		}
		delay, limit := backoff.next(time.Since(startedAt), progress, connectedAt)
		if limit != 0 {
			return callError(status.Errorf(codes.Unavailable,
				"no answer for %s from %s: %s", limit, s.first.addresses, reason))
		}
		select {
		case <-time.After(delay):
		case <-s.allAnswered:
			return nil
		case <-s.ctx.Done():
			return callError(s.ctx.Err())
		}
		s.mu.Lock()
		s.reconnects++
		s.mu.Unlock()
	}
}

// runSession runs one session to its end. It returns the status of the call, nil for OK.
func (l *lane) runSession() error {
	s := l.stream
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	s.mu.Lock()
	l.session = sessionState{cancel: cancel}
	s.mu.Unlock()
	if s.isAllAnswered() {
		return nil
	}
	call, err := l.stub.TransformStream(ctx)
	if err != nil {
		return err
	}
	if err := call.Send(s.options.openStream()); err != nil && err != io.EOF {
		return err
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		l.sendBatches(call)
	}()
	err = l.receive(call)
	// Cancelling unblocks a Send that waits for the server's flow control window.
	cancel()
	s.mu.Lock()
	l.session.ended = true
	l.batchDue.wake()
	s.mu.Unlock()
	<-sent
	return err
}

// receive handles the server's messages until the call ends.
func (l *lane) receive(call transformStream) error {
	for {
		response, err := call.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := l.handleResponse(response); err != nil {
			return contractBroken(err)
		}
	}
}

func (l *lane) handleResponse(response *v1.TransformStreamResponse) error {
	s := l.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	switch message := response.GetMessage().(type) {
	case *v1.TransformStreamResponse_Results:
		answered, returned, err := l.outstanding.addResults(message.Results)
		if err != nil {
			return err
		}
		s.addedResults(l, answered, returned)
	case *v1.TransformStreamResponse_Opened:
		if l.session.opened {
			return fmt.Errorf("opened twice")
		}
		s.first.made.Store(true)
		l.outstanding.startSession(message.Opened.GetLimits())
		l.session.opened = true
		s.laneOpened(l)
	case *v1.TransformStreamResponse_Drain:
		l.session.draining = true
		s.laneDraining(l)
	}
	return nil
}

// sendBatches sends batches until the stream is finished or the session drains or ends. If a send
// fails because of the call's end, receive returns the reason.
func (l *lane) sendBatches(call transformStream) {
	for {
		messages := l.nextMessages()
		if messages == nil {
			break
		}
		for _, message := range messages {
			if err := call.Send(message); err != nil {
				if !isSendFailure(err) {
					return
				}
				l.stopSending(err)
				break
			}
		}
	}
	finish := &v1.TransformStreamRequest{
		Message: &v1.TransformStreamRequest_Finish{Finish: &v1.Finish{}},
	}
	if call.Send(finish) == nil {
		_ = call.CloseSend()
	}
}

// isSendFailure reports whether a send failed because of its message; gRPC has then cancelled the
// call. Other errors, io.EOF among them, only report that the call has ended.
func isSendFailure(err error) bool {
	switch status.Code(err) {
	case codes.Canceled, codes.DeadlineExceeded, codes.Unavailable:
		return false
	}
	return err != io.EOF
}

// stopSending ends the stream with the error after all items that were sent before have results. The
// batch that failed, and the items behind it, will have no result.
func (l *lane) stopSending(err error) {
	s := l.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sendFailure = callError(err)
	l.outstanding.dropUnsent()
	if s.router != nil {
		s.router.drop()
		s.endIfAllAnswered()
	}
	s.roomAvailable.wake()
}

func (s *Stream) hasSendFailure() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sendFailure != nil
}

// nextMessages waits for a batch that is full or has lingered. It returns nil if the session sends
// nothing more.
func (l *lane) nextMessages() []*v1.TransformStreamRequest {
	s := l.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		hasUnsent := len(l.outstanding.unsent) != 0
		now := time.Now()
		switch {
		case l.session.ended, l.session.draining:
			return nil
		case !l.session.opened:
		case l.hasSentAll():
			return nil
		case hasUnsent && (l.outstanding.fillsBatch() || !now.Before(l.dueAt)):
			return l.outstanding.takeMessages()
		}
		lingering := s.ctx
		cancel := func() {}
		if l.session.opened && hasUnsent {
			lingering, cancel = context.WithDeadline(s.ctx, l.dueAt)
		}
		s.wait(lingering, &l.batchDue)
		cancel()
		if s.ctx.Err() != nil {
			return nil
		}
	}
}

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

// sessionState is the state of a session: one TransformStream call. A stream that reconnects has
// several sessions, one after another.
type sessionState struct {
	opened   bool // StreamOpened has arrived
	draining bool // Drain has arrived: nothing more may be sent in this session
	ended    bool // the call has ended
}

// run keeps the stream connected until all items have results, or the reconnect backoff gives up.
func (s *Stream) run() {
	defer close(s.stopped)
	defer s.cancel()
	failure := s.keepConnected()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = failure
	s.resultsAdded.wake()
	s.roomAvailable.wake()
}

func (s *Stream) keepConnected() error {
	if s.invalidOptions != nil {
		return s.invalidOptions
	}
	backoff := reconnectBackoff{
		reconnectFor: s.options.ReconnectFor, first: s.first, startedAt: time.Now(),
	}
	for {
		answeredBefore, startedAt := s.outstanding.answeredCount, time.Now()
		err := s.runSession()
		if s.ctx.Err() != nil {
			return callError(s.ctx.Err())
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
		done := (s.finished || s.sendFailure != nil) && !s.outstanding.hasUnanswered()
		sendFailure := s.sendFailure
		progress := s.outstanding.answeredCount > answeredBefore
		s.mu.Unlock()
		if done {
			return sendFailure
		}
		delay, limit := backoff.next(time.Since(startedAt), progress)
		if limit != 0 {
			return callError(status.Errorf(codes.Unavailable,
				"no answer for %s from %s: %s", limit, s.first.addresses, reason))
		}
		select {
		case <-time.After(delay):
		case <-s.ctx.Done():
			return callError(s.ctx.Err())
		}
		s.mu.Lock()
		s.reconnects++
		s.mu.Unlock()
	}
}

// runSession runs one session to its end. It returns the status of the call, nil for OK.
func (s *Stream) runSession() error {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	s.mu.Lock()
	s.session = sessionState{}
	s.mu.Unlock()
	call, err := s.stub.TransformStream(ctx)
	if err != nil {
		return err
	}
	if err := call.Send(s.options.openStream()); err != nil && err != io.EOF {
		return err
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		s.sendBatches(call)
	}()
	err = s.receive(call)
	// Cancelling unblocks a Send that waits for the server's flow control window.
	cancel()
	s.mu.Lock()
	s.session.ended = true
	s.batchDue.wake()
	s.mu.Unlock()
	<-sent
	return err
}

// receive handles the server's messages until the call ends.
func (s *Stream) receive(call transformStream) error {
	for {
		response, err := call.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.handleResponse(response); err != nil {
			return contractBroken(err)
		}
	}
}

func (s *Stream) handleResponse(response *v1.TransformStreamResponse) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch message := response.GetMessage().(type) {
	case *v1.TransformStreamResponse_Results:
		s.resultsAdded.wake()
		return s.outstanding.addResults(message.Results)
	case *v1.TransformStreamResponse_Opened:
		if s.session.opened {
			return fmt.Errorf("opened twice")
		}
		s.first.made.Store(true)
		s.outstanding.startSession(message.Opened.GetLimits())
		s.session.opened = true
		s.sendNow()
	case *v1.TransformStreamResponse_Drain:
		s.session.draining = true
		s.batchDue.wake()
	}
	return nil
}

// sendBatches sends batches until the stream is finished or the session drains or ends. If a send
// fails because of the call's end, receive returns the reason.
func (s *Stream) sendBatches(call transformStream) {
	for {
		messages := s.nextMessages()
		if messages == nil {
			break
		}
		for _, message := range messages {
			if err := call.Send(message); err != nil {
				if !isSendFailure(err) {
					return
				}
				s.stopSending(err)
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
func (s *Stream) stopSending(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sendFailure = callError(err)
	s.outstanding.dropUnsent()
	s.roomAvailable.wake()
}

func (s *Stream) hasSendFailure() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sendFailure != nil
}

// nextMessages waits for a batch that is full or has lingered. It returns nil if the session sends
// nothing more.
func (s *Stream) nextMessages() []*v1.TransformStreamRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		hasUnsent := len(s.outstanding.unsent) != 0
		now := time.Now()
		switch {
		case s.session.ended, s.session.draining:
			return nil
		case !s.session.opened:
		case !hasUnsent && (s.finished || s.sendFailure != nil):
			return nil
		case hasUnsent && (s.outstanding.fillsBatch() || !now.Before(s.dueAt)):
			messages := s.outstanding.takeMessages()
			if len(s.outstanding.unsent) == 0 {
				s.dueAt = time.Time{}
			}
			return messages
		}
		lingering := s.ctx
		cancel := func() {}
		if s.session.opened && hasUnsent {
			lingering, cancel = context.WithDeadline(s.ctx, s.dueAt)
		}
		s.wait(lingering, &s.batchDue)
		cancel()
		if s.ctx.Err() != nil {
			return nil
		}
	}
}

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

type call = grpc.BidiStreamingClient[v1.TransformStreamRequest, v1.TransformStreamResponse]

// connection is how far a stream has got with the server it talks to.
type connection struct {
	opened   bool // the server has said Opened
	draining bool // it has said Drain: nothing more may be sent there
	over     bool // it says nothing more
}

// run keeps the stream connected until all is answered, or no hope is left.
func (s *Stream) run() {
	defer close(s.stopped)
	defer s.cancel()
	failure := s.keepConnected()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = failure
	s.answered.wake()
	s.room.wake()
}

func (s *Stream) keepConnected() error {
	if s.unusable != nil {
		return s.unusable
	}
	patience := patience{reconnectFor: s.options.ReconnectFor}
	for {
		answeredBefore, began := s.ledger.answered, time.Now()
		err := s.connect()
		if s.ctx.Err() != nil {
			return callError(s.ctx.Err())
		}
		reason := "the sidecar ended the stream"
		if s.hasFault() {
			reason = "what was sent before a fault of the client has no answer"
		} else if err != nil {
			if !worthAnotherTry(status.Code(err)) {
				return callError(err)
			}
			reason = status.Convert(err).Message()
		}
		s.mu.Lock()
		done := (s.finished || s.fault != nil) && !s.ledger.unanswered()
		fault := s.fault
		progress := s.ledger.answered > answeredBefore
		s.mu.Unlock()
		if done {
			return fault
		}
		pause, ok := patience.pause(time.Since(began), progress)
		if !ok {
			return callError(status.Errorf(codes.Unavailable,
				"no answer for %s: %s", s.options.ReconnectFor, reason))
		}
		select {
		case <-time.After(pause):
		case <-s.ctx.Done():
			return callError(s.ctx.Err())
		}
		s.mu.Lock()
		s.reconnects++
		s.mu.Unlock()
	}
}

// connect is one stream from open to end. It returns the status it ended with, nil for OK.
func (s *Stream) connect() error {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	s.mu.Lock()
	s.connection = connection{}
	s.mu.Unlock()
	call, err := s.stub.TransformStream(ctx)
	if err != nil {
		return err
	}
	if err := call.Send(s.options.open()); err != nil && err != io.EOF {
		return err
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		s.sendBatches(call)
	}()
	err = s.receive(call)
	// A Send that waits for the peer's window returns now.
	cancel()
	s.mu.Lock()
	s.connection.over = true
	s.toSend.wake()
	s.mu.Unlock()
	<-sent
	return err
}

// receive takes what the server says, to its end.
func (s *Stream) receive(call call) error {
	for {
		response, err := call.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.hear(response); err != nil {
			return contractBroken(err)
		}
	}
}

func (s *Stream) hear(response *v1.TransformStreamResponse) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch message := response.GetMessage().(type) {
	case *v1.TransformStreamResponse_Results:
		s.answered.wake()
		return s.ledger.answer(message.Results)
	case *v1.TransformStreamResponse_Opened:
		if s.connection.opened {
			return fmt.Errorf("opened twice")
		}
		s.ledger.connect(message.Opened.GetLimits())
		s.connection.opened = true
		s.sendNow()
	case *v1.TransformStreamResponse_Drain:
		s.connection.draining = true
		s.toSend.wake()
	}
	return nil
}

// sendBatches sends what there is to send until the stream is finished, drained or over. How a
// send failed is what receive hears.
func (s *Stream) sendBatches(call call) {
	for {
		messages := s.nextMessages()
		if messages == nil {
			break
		}
		for _, message := range messages {
			if err := call.Send(message); err != nil {
				if !isOwnFault(err) {
					return
				}
				s.giveUpSending(err)
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

// isOwnFault tells whether a send failed because of what was sent: gRPC has cancelled the call then.
// How a call ended otherwise is what receive hears; io.EOF only says that it has.
func isOwnFault(err error) bool {
	switch status.Code(err) {
	case codes.Canceled, codes.DeadlineExceeded, codes.Unavailable:
		return false
	}
	return err != io.EOF
}

// giveUpSending ends the stream with the error, once what was sent before is answered. The batch
// that could not be sent, and what waits behind it, will have no answer.
func (s *Stream) giveUpSending(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = callError(err)
	s.ledger.dropUnsent()
	s.room.wake()
}

func (s *Stream) hasFault() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault != nil
}

// nextMessages waits for a batch that is full or has lingered; nil if this connection sends no
// more.
func (s *Stream) nextMessages() []*v1.TransformStreamRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		waiting := len(s.ledger.waiting) != 0
		now := time.Now()
		switch {
		case s.connection.over, s.connection.draining:
			return nil
		case !s.connection.opened:
		case !waiting && (s.finished || s.fault != nil):
			return nil
		case waiting && (s.ledger.batchIsFull() || !now.Before(s.dueAt)):
			messages := s.ledger.takeMessages()
			if len(s.ledger.waiting) == 0 {
				s.dueAt = time.Time{}
			}
			return messages
		}
		lingering := s.ctx
		cancel := func() {}
		if s.connection.opened && waiting {
			lingering, cancel = context.WithDeadline(s.ctx, s.dueAt)
		}
		s.wait(lingering, &s.toSend)
		cancel()
		if s.ctx.Err() != nil {
			return nil
		}
	}
}

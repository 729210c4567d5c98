package ciosidecar

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ErrFinished says that an item was sent after CloseSend.
var ErrFinished = errors.New("ciosidecar: the stream takes no more items: it is finished")

// ErrClosed says that a stream was used after Close, its own or its client's.
var ErrClosed = errors.New("ciosidecar: the stream is closed")

// ErrNoDestination says that an item names no destination, and there is no default one.
var ErrNoDestination = errors.New("ciosidecar: an item names no destination, and there is no default")

// CallError says why a call or a stream failed: nobody answered (codes.Unavailable), it was
// refused, or its context ended.
//
// status.Code tells its code, and errors.Is knows one whose context ended as
// context.DeadlineExceeded or context.Canceled. What is wrong with an event is in its Result.
type CallError struct {
	status *status.Status
}

// Error is the code and what was said of it.
func (e *CallError) Error() string {
	return "ciosidecar: " + e.status.Code().String() + ": " + e.status.Message()
}

// GRPCStatus is the status, with its details, as package status looks for it.
func (e *CallError) GRPCStatus() *status.Status { return e.status }

// Is reports whether target is the context's error that the code stands for.
func (e *CallError) Is(target error) bool {
	switch e.status.Code() {
	case codes.DeadlineExceeded:
		return target == context.DeadlineExceeded
	case codes.Canceled:
		return target == context.Canceled
	default:
		return false
	}
}

// callError is a failure of gRPC's, or the end of a context, as one of ours; nil for nil.
func callError(err error) error {
	if err == nil {
		return nil
	}
	found, ok := status.FromError(err)
	if !ok {
		found = status.FromContextError(err)
	}
	return &CallError{status: found}
}

// worthAnotherTry tells whether a stream that ended with this code may be opened again with some
// hope. INTERNAL is what a connection reset in the middle of a stream comes to; a server that
// really has a fault is given up on when it makes no progress.
func worthAnotherTry(code codes.Code) bool {
	return code == codes.Unavailable || code == codes.Aborted || code == codes.Internal
}

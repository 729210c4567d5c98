package ciosidecar

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ErrFinished is returned if an item is sent after CloseSend.
var ErrFinished = errors.New("ciosidecar: the stream takes no more items: it is finished")

// ErrClosed is returned if a stream is used after its Close, or after its client's Close.
var ErrClosed = errors.New("ciosidecar: the stream is closed")

// ErrNoDestination is returned if an item names no destination, and the stream or call has no
// default destination.
var ErrNoDestination = errors.New("ciosidecar: an item names no destination, and there is no default")

// CallError is the reason why a call or a stream failed: the sidecar did not answer
// (codes.Unavailable), the sidecar rejected the call, or the context ended.
//
// status.Code returns its code. If the context ended, errors.Is matches context.DeadlineExceeded or
// context.Canceled. What is wrong with an event is in its Result.
type CallError struct {
	status *status.Status
}

// Error returns the code and the message.
func (e *CallError) Error() string {
	return "ciosidecar: " + e.status.Code().String() + ": " + e.status.Message()
}

// GRPCStatus returns the status with its details. Package status uses this method.
func (e *CallError) GRPCStatus() *status.Status { return e.status }

// Is reports whether target is the context's error that corresponds to the code.
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

const tokenAdvice = " (set Token, TokenFile or TokenSource to a token of the sidecar's --auth-token-file)"

// callError converts an error of gRPC or of a context to a CallError, and nil to nil.
func callError(err error) error {
	if err == nil {
		return nil
	}
	callStatus, ok := status.FromError(err)
	if !ok {
		callStatus = status.FromContextError(err)
	}
	if callStatus.Code() == codes.Unauthenticated {
		callStatus = status.New(codes.Unauthenticated, callStatus.Message()+tokenAdvice)
	}
	return &CallError{status: callStatus}
}

// contractBroken returns the error of a call with an invalid response. The same call would get the
// same response again, so the code is not retryable.
func contractBroken(err error) error {
	return callError(status.Errorf(codes.Unknown, "the sidecar broke the contract: %v", err))
}

// isRetryable reports whether a stream that ended with this code is opened again. gRPC reports
// INTERNAL if a connection is reset in mid-stream. If the server itself has a fault, the reconnect
// backoff gives up, because the stream makes no progress.
func isRetryable(code codes.Code) bool {
	return code == codes.Unavailable || code == codes.Aborted || code == codes.Internal
}

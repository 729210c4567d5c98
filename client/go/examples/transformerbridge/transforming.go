package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
	"github.com/ciosidecar/ciosidecar/client/go/router"
)

// transformJobs answers /routerTransform and /batch.
func (b *bridge) transformJobs(
	writer http.ResponseWriter, request *http.Request, appendJSON func(*router.TransformResponse, []byte) []byte,
) {
	body, jobs := b.readJobs(writer, request)
	if jobs == nil {
		return
	}
	if !b.answersFor(jobs) {
		b.handOnBody(writer, request, body)
		return
	}
	ctx, cancel := context.WithTimeout(request.Context(), b.settings.timeout)
	defer cancel()
	response, err := b.transformer.Transform(ctx, jobs)
	b.noteOutcome(request, err)
	switch {
	case err == nil:
	case request.Context().Err() != nil:
		return // the caller is gone
	case isOutage(err):
		askAgain(writer, "sidecar_unavailable", "the sidecar does not answer")
		return
	default:
		response = jobs.Failed(err)
	}
	answer(writer, http.StatusOK, appendJSON(response, nil))
}

// transformEvents answers the processor.
func (b *bridge) transformEvents(writer http.ResponseWriter, request *http.Request) {
	_, jobs := b.readJobs(writer, request)
	if jobs == nil {
		return
	}
	ctx, cancel := context.WithTimeout(request.Context(), b.settings.timeout)
	defer cancel()
	events, err := b.transformer.TransformEvents(ctx, jobs)
	b.noteOutcome(request, err)
	switch {
	case err == nil:
		answer(writer, http.StatusOK, events.AppendJSON(nil))
	case request.Context().Err() == nil:
		// A processor drops events with any other failure.
		askAgain(writer, "sidecar_unavailable", "the sidecar does not answer")
	}
}

// appendOutputs appends the outputs alone, as /batch answers.
func appendOutputs(response *router.TransformResponse, text []byte) []byte {
	whole := response.AppendJSON(nil)
	return append(text, whole[len(`{"output":`):len(whole)-len(`}`)]...)
}

// readJobs returns the body and the jobs of a request. If they cannot be read, it answers and returns no jobs.
func (b *bridge) readJobs(writer http.ResponseWriter, request *http.Request) (*body, *router.TransformRequest) {
	body, err := readBody(writer, request, b.settings.maxBody)
	if err != nil {
		refuseBody(writer, err)
		return nil, nil
	}
	jobs, err := parseJobs(body.text)
	if err != nil {
		refuse(writer, http.StatusBadRequest, "the body is not the expected JSON: "+err.Error())
		return nil, nil
	}
	return body, jobs
}

func refuseBody(writer http.ResponseWriter, err error) {
	unreadable := &bodyError{http.StatusBadRequest, err.Error()}
	_ = errors.As(err, &unreadable)
	refuse(writer, unreadable.status, unreadable.reason)
}

// parseJobs reads jobs in all forms: an array, an object with input, and the compacted form. The form is told by the
// JSON itself; the header X-Content-Format says the same.
func parseJobs(text []byte) (*router.TransformRequest, error) {
	jobs := &router.TransformRequest{}
	if start := bytes.TrimLeft(text, " \t\r\n"); len(start) != 0 && start[0] == '[' {
		return jobs, json.Unmarshal(text, &jobs.Input)
	}
	if err := json.Unmarshal(text, jobs); err != nil {
		return nil, err
	}
	if jobs.Input == nil {
		return nil, errors.New("it has no input")
	}
	return jobs, nil
}

// answersFor reports whether the jobs are Customer.io's.
func (b *bridge) answersFor(jobs *router.TransformRequest) bool {
	if jobs.DestType == "" {
		return b.upstream == nil
	}
	return strings.EqualFold(jobs.DestType, destinationType)
}

// noteOutcome tells the log about the sidecar, unless the caller ended the call.
func (b *bridge) noteOutcome(request *http.Request, err error) {
	if request.Context().Err() == nil {
		b.noteSidecar(err)
	}
}

// isOutage reports whether a call failed for a reason that the jobs did not cause, so that the same call may succeed
// later: no sidecar answers, or the sidecar does not accept the bridge.
func isOutage(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ciosidecar.ErrClosed) {
		return true
	}
	switch status.Code(err) {
	case codes.Unknown, codes.InvalidArgument, codes.ResourceExhausted:
		return false
	default:
		return true
	}
}

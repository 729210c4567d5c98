package router

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync/atomic"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
)

var (
	errNoDestination  = errors.New("the job names no destination that the request has")
	errBadDestination = errors.New("the job's destination cannot be read")
	errTooLarge       = fmt.Errorf("the message or body has more than %d bytes", maxMessageBytes)
)

// maxMessageBytes is the largest size of a job's message: the client cannot send a larger one, and
// would fail the whole call.
const maxMessageBytes = 63 << 20

// TransformerOptions are the options of a [Transformer]. A field that is zero has its default.
type TransformerOptions struct {
	// Streams is the number of streams to keep open. Calls take turns among them, and each stream
	// connects to the next of the client's addresses. Use the number of sidecars. Defaults to 1.
	Streams int
	// DontBatch, if true, prevents requests from covering several jobs, as a job's own dontBatch does.
	DontBatch bool
	// DestinationDefaults are settings for every destination whose config does not have them. They
	// serve settings that the dashboard does not offer: apiVersion, eventIds, identifyFallback, ….
	// The destinations of the response are unchanged.
	DestinationDefaults map[string]json.RawMessage
	// Stream are further options of the streams.
	Stream ciosidecar.StreamOptions
}

// Transformer turns router jobs into requests. Make one with [NewTransformer] and keep it.
type Transformer struct {
	streams   *streamPool
	dontBatch bool
	defaults  map[string]json.RawMessage
	calls     atomic.Uint32
}

// NewTransformer returns a transformer that uses the client's sidecars. Nil options are the defaults.
func NewTransformer(client *ciosidecar.Client, options *TransformerOptions) *Transformer {
	if options == nil {
		options = &TransformerOptions{}
	}
	return &Transformer{
		streams:   newStreamPool(client, options.Streams, options.Stream),
		dontBatch: options.DontBatch,
		defaults:  maps.Clone(options.DestinationDefaults),
	}
}

// Close ends every call. It does not close the client.
func (t *Transformer) Close() { t.streams.close() }

// Transform transforms the jobs of a router's request. Every job is in exactly one output. The jobs may
// have different destinations.
//
// The outputs are in the order in which the requests of any one person must be sent. What is wrong
// with a job is in its output. Transform returns an error if the call fails, because no sidecar
// answers or because ctx ends. In that case nothing was done, and every job can be sent again.
func (t *Transformer) Transform(ctx context.Context, request *TransformRequest) (*TransformResponse, error) {
	jobs, err := t.answer(ctx, request, forRouter)
	if err != nil {
		return nil, err
	}
	return &TransformResponse{Output: outputsOf(jobs)}, nil
}

// caller is the part of a data plane that calls a transformer.
type caller int

const (
	forRouter caller = iota
	// forProcessor: no two events share a request, and no event is the output of an earlier transform.
	forProcessor
)

// answer returns the jobs of a request with their results.
func (t *Transformer) answer(ctx context.Context, request *TransformRequest, caller caller) ([]answeredJob, error) {
	jobs := make([]answeredJob, len(request.Input))
	items := make([]ciosidecar.BatchItem, 0, len(jobs))
	jobOfItem := make([]int, 0, len(jobs))
	reader := jobReader{
		request: request, dontBatch: t.dontBatch || caller == forProcessor, defaults: t.defaults,
		destinations: make(map[string]parsedDestination),
	}
	for index := range request.Input {
		job := &jobs[index]
		job.metadata = readMetadata(request.Input[index].Metadata)
		job.job = reader.resolve(request.Input[index], &job.metadata)
		if caller == forRouter && isTransformed(job.job.Message) {
			job.passedThrough = true
			continue
		}
		item, err := reader.item(&job.job, &job.metadata)
		if err != nil {
			job.result = invalidJobResult(err)
			continue
		}
		items = append(items, item)
		jobOfItem = append(jobOfItem, index)
	}
	results, err := t.streams.call(ctx, int(t.calls.Add(1)), items, 0)
	if err != nil {
		return nil, err
	}
	for index, result := range results {
		// Positions count the items of the stream. Those of one call are consecutive.
		for _, apiRequest := range result.Requests {
			for n, position := range apiRequest.Positions {
				apiRequest.Positions[n] = int64(jobOfItem[position-results[0].Position])
			}
		}
		jobs[jobOfItem[index]].result = result
	}
	return jobs, nil
}

// invalidJobResult returns the result of a job that cannot be sent to the sidecar: the one that the
// sidecar would return.
func invalidJobResult(problem error) ciosidecar.Result {
	if errors.Is(problem, errNoDestination) {
		return ciosidecar.Result{Status: 503, Error: &ciosidecar.EventError{
			Code: "UNKNOWN_DESTINATION", Type: "internal", Message: problem.Error(), Retryable: true,
		}}
	}
	if errors.Is(problem, errTooLarge) {
		return ciosidecar.Result{Status: 400, Error: &ciosidecar.EventError{
			Code: "TOO_LARGE", Type: "instrumentation", Message: problem.Error(),
		}}
	}
	return ciosidecar.Result{Status: 400, Error: &ciosidecar.EventError{
		Code: "INVALID_DESTINATION", Type: "configuration", Message: problem.Error(),
	}}
}

package router

import (
	"context"
	"errors"
	"sync/atomic"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
)

var (
	errNoDestination  = errors.New("the job names no destination that the request has")
	errBadDestination = errors.New("the job's destination cannot be read")
)

// TransformerOptions say how a [Transformer] works. The zero value, and nil, mean the defaults.
type TransformerOptions struct {
	// Streams is how many streams to keep open, each to the next of the client's addresses: as
	// many as there are sidecars. Default 1.
	Streams int
	// DontBatch keeps requests from covering several jobs, as a job's own dontBatch does.
	DontBatch bool
	// Stream are further options of the streams.
	Stream ciosidecar.StreamOptions
}

// Transformer turns router jobs into requests. Make one with [NewTransformer] and keep it.
type Transformer struct {
	lines     *lines
	dontBatch bool
	turn      atomic.Uint32
}

// NewTransformer makes a transformer that asks the client's sidecars.
func NewTransformer(client *ciosidecar.Client, options *TransformerOptions) *Transformer {
	if options == nil {
		options = &TransformerOptions{}
	}
	return &Transformer{
		lines:     newLines(client, options.Streams, options.Stream),
		dontBatch: options.DontBatch,
	}
}

// Close ends every call, and leaves the client open.
func (t *Transformer) Close() { t.lines.close() }

// Transform answers a router's request: every job of the input is in exactly one output. Jobs of
// several destinations may be mixed.
//
// Outputs come in the order in which their requests must be sent for any one person. What is wrong
// with a job is in its output. An error is one of the call's (the sidecar is not there, or ctx has
// ended): nothing was done, and every job is worth another try.
func (t *Transformer) Transform(ctx context.Context, request *TransformRequest) (*TransformResponse, error) {
	jobs := make([]answeredJob, len(request.Input))
	items := make([]ciosidecar.Item, 0, len(jobs))
	sent := make([]int, 0, len(jobs)) // which job an item is
	reader := jobReader{request, t.dontBatch, make(map[string]readDestination)}
	for index := range request.Input {
		found := &jobs[index]
		found.metadata = readMetadata(request.Input[index].Metadata)
		found.job = reader.resolve(request.Input[index], &found.metadata)
		if alreadyTransformed(found.job.Message) {
			found.handedOn = true
			continue
		}
		item, err := reader.item(&found.job, &found.metadata)
		if err != nil {
			found.result = refusedHere(err)
			continue
		}
		items = append(items, item)
		sent = append(sent, index)
	}
	results, err := t.lines.call(ctx, int(t.turn.Add(1)), items, 0)
	if err != nil {
		return nil, err
	}
	for index, result := range results {
		// Positions count the items of the stream; a call's are sent one after another.
		for _, one := range result.Requests {
			for n, position := range one.Positions {
				one.Positions[n] = uint64(sent[position-results[0].Position])
			}
		}
		jobs[sent[index]].result = result
	}
	return &TransformResponse{Output: outputsOf(jobs)}, nil
}

// refusedHere is the result of a job that did not reach the sidecar, as the sidecar would say it.
func refusedHere(problem error) ciosidecar.Result {
	if errors.Is(problem, errNoDestination) {
		return ciosidecar.Result{Status: 503, Error: &ciosidecar.Error{
			Code: "UNKNOWN_DESTINATION", Type: "internal", Message: problem.Error(), Retryable: true,
		}}
	}
	return ciosidecar.Result{Status: 400, Error: &ciosidecar.Error{
		Code: "INVALID_DESTINATION", Type: "configuration", Message: problem.Error(),
	}}
}

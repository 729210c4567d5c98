package router

import (
	"context"
	"encoding/json"
	"strconv"
)

// TransformedEvent is one output of a processor's event. An event that became several requests has
// several outputs with the same metadata.
type TransformedEvent struct {
	// Output is a [PostParameters] object. Absent if there is nothing to send.
	Output json.RawMessage `json:"output,omitempty"`
	// Metadata is the metadata of the event, unchanged.
	Metadata json.RawMessage `json:"metadata"`
	// StatusCode is 200: to be delivered. 298: filtered. 4xx: a permanent failure. 5xx: the sidecar
	// failed with this event.
	StatusCode int `json:"statusCode"`
	// Error is the code and the message of the error, if StatusCode is not 200.
	Error string `json:"error,omitempty"`
	// StatTags are tags for metrics, if StatusCode is not 200. Each tag has few values.
	StatTags map[string]string `json:"statTags,omitempty"`
}

// TransformedEvents is the response that a processor expects of a transformer.
type TransformedEvents []TransformedEvent

// TransformEvents transforms the events of a processor, which are jobs without an id of their own.
// The outputs are in the order of the events. No two events share a request.
//
// TransformEvents returns an error if the call fails, as [Transformer.Transform] does.
func (t *Transformer) TransformEvents(ctx context.Context, request *TransformRequest) (TransformedEvents, error) {
	jobs, err := t.answer(ctx, request, forProcessor)
	if err != nil {
		return nil, err
	}
	outputs := make(TransformedEvents, 0, len(jobs))
	for index := range jobs {
		job := &jobs[index]
		if len(job.result.Requests) == 0 {
			failed := withoutRequest(jobs, index, "processor")
			outputs = append(outputs, TransformedEvent{
				Metadata: job.job.Metadata, StatusCode: failed.StatusCode, Error: failed.Error, StatTags: failed.StatTags,
			})
			continue
		}
		for n := range job.result.Requests {
			outputs = append(outputs, TransformedEvent{
				Output:     batchedRequest(jobs, job.result.Requests[n:n+1], []int{index}),
				Metadata:   job.job.Metadata,
				StatusCode: 200,
			})
		}
	}
	return outputs, nil
}

// AppendJSON appends the response as JSON, with the metadata of the events byte for byte.
func (r TransformedEvents) AppendJSON(text []byte) []byte {
	text = append(text, '[')
	for index := range r {
		event := &r[index]
		if index != 0 {
			text = append(text, ',')
		}
		text = append(text, '{')
		if len(event.Output) != 0 {
			text = append(append(append(text, `"output":`...), event.Output...), ',')
		}
		if len(event.Metadata) != 0 {
			text = append(append(append(text, `"metadata":`...), event.Metadata...), ',')
		}
		text = strconv.AppendInt(append(text, `"statusCode":`...), int64(event.StatusCode), 10)
		text = append(appendFailure(text, event.Error, event.StatTags), '}')
	}
	return append(text, ']')
}

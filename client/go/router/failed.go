package router

import (
	"encoding/json"
	"net/http"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
)

// Failed returns the response for a call that failed: every job has status 500, so that the router sends
// each job again.
func (r *TransformRequest) Failed(err error) *TransformResponse {
	reader := jobReader{request: r}
	response := &TransformResponse{Output: make([]DestinationJob, len(r.Input))}
	for index := range r.Input {
		metadata := readMetadata(r.Input[index].Metadata)
		job := reader.resolve(r.Input[index], &metadata)
		result := noAnswer(http.StatusInternalServerError, err)
		response.Output[index] = DestinationJob{
			Metadata:    []json.RawMessage{job.Metadata},
			Destination: job.Destination,
			Connection:  job.Connection,
			StatusCode:  result.Status,
			Error:       errorText(result.Error),
			StatTags:    statTags("router", result, &metadata),
		}
	}
	return response
}

// Failed returns the response for a call that failed: every job has status 503, so that the router sends
// each job again. The request may have been sent.
func (p *ProxyRequest) Failed(err error) *ProxyResponse {
	return p.response(p.jobs(), noAnswer(http.StatusServiceUnavailable, err))
}

func noAnswer(status int, err error) *ciosidecar.Result {
	return &ciosidecar.Result{Status: status, Error: &ciosidecar.EventError{
		Code: "NO_ANSWER", Type: "internal", Message: err.Error(), Retryable: true,
	}}
}

package router

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
)

// TransformRequest is a router's request to a transformer. In its usual form, each job has its
// destination and connection. In the compacted form, the jobs name them by their metadata.
type TransformRequest struct {
	Input []Job `json:"input"`
	// DestType is not read.
	DestType string `json:"destType,omitempty"`
	// Destinations are, in the compacted form, the destinations by destinationId.
	Destinations map[string]json.RawMessage `json:"destinations,omitempty"`
	// Connections are, in the compacted form, the connections by "sourceId:destinationId".
	Connections map[string]json.RawMessage `json:"connections,omitempty"`
}

// Job is a job of the router. Each part is the JSON that the router holds.
type Job struct {
	// Message is a RudderStack event. The output of an earlier transform is also allowed; it is
	// returned unchanged.
	Message json.RawMessage `json:"message"`
	// Metadata is the router's own object, returned unchanged. The package reads destinationId,
	// sourceId, workspaceId, userId, jobId, attemptNum, dontBatch and traceparent.
	Metadata json.RawMessage `json:"metadata"`
	// Destination has ID, RevisionID and Config. Absent in the compacted form.
	Destination json.RawMessage `json:"destination,omitempty"`
	// Connection has a config. Optional.
	Connection json.RawMessage `json:"connection,omitempty"`
}

// jobMetadata has the members of a job's metadata that the package reads.
type jobMetadata struct {
	JobID         json.RawMessage `json:"jobId"`
	UserID        string          `json:"userId"`
	SourceID      string          `json:"sourceId"`
	DestinationID string          `json:"destinationId"`
	WorkspaceID   string          `json:"workspaceId"`
	AttemptNum    int64           `json:"attemptNum"`
	DontBatch     bool            `json:"dontBatch"`
	Traceparent   string          `json:"traceparent"`
}

// readMetadata reads a job's metadata. A member of an unexpected type counts as absent, because the
// router defines its metadata.
func readMetadata(text json.RawMessage) (metadata jobMetadata) {
	_ = json.Unmarshal(text, &metadata)
	return metadata
}

// attempt returns the number of times that the job was tried before, for BatchItem.Attempt.
func (m *jobMetadata) attempt() int32 {
	return int32(min(max(m.AttemptNum, 0), math.MaxInt32))
}

// jobReader converts the jobs of one request to items. Jobs repeat their destination, which has
// several kilobytes, so each destination is parsed once.
type jobReader struct {
	request      *TransformRequest
	dontBatch    bool
	defaults     map[string]json.RawMessage
	destinations map[string]parsedDestination
}

type parsedDestination struct {
	destination ciosidecar.Destination
	problem     error
}

// item returns the item of a job, or the reason why the job cannot be sent.
func (r *jobReader) item(job *Job, metadata *jobMetadata) (ciosidecar.BatchItem, error) {
	destination, err := r.destination(job.Destination)
	if err != nil {
		return ciosidecar.BatchItem{}, err
	}
	if len(job.Message) > maxMessageBytes {
		return ciosidecar.BatchItem{}, errTooLarge
	}
	return ciosidecar.BatchItem{
		JSON:        job.Message,
		Destination: destination,
		Connection:  parseConnection(job.Connection),
		Attempt:     metadata.attempt(),
		DontBatch:   r.dontBatch || metadata.DontBatch,
		Traceparent: metadata.Traceparent,
	}, nil
}

// resolve returns the job with the destination and connection that the compacted form has elsewhere.
func (r *jobReader) resolve(job Job, metadata *jobMetadata) Job {
	if absent(job.Destination) {
		job.Destination = r.request.Destinations[metadata.DestinationID]
	}
	if absent(job.Connection) {
		job.Connection = r.request.Connections[metadata.SourceID+":"+metadata.DestinationID]
	}
	return job
}

func (r *jobReader) destination(text json.RawMessage) (ciosidecar.Destination, error) {
	parsed, known := r.destinations[string(text)]
	if !known {
		parsed.destination, parsed.problem = parseDestination(text, r.defaults)
		r.destinations[string(text)] = parsed
	}
	return parsed.destination, parsed.problem
}

func parseDestination(text json.RawMessage, defaults map[string]json.RawMessage) (ciosidecar.Destination, error) {
	if absent(text) {
		return ciosidecar.Destination{}, errNoDestination
	}
	var destination struct {
		ID         string
		RevisionID string
		Config     json.RawMessage
	}
	if err := json.Unmarshal(text, &destination); err != nil {
		return ciosidecar.Destination{}, fmt.Errorf("%w: %w", errBadDestination, err)
	}
	config := withDefaults(destination.Config, defaults)
	return ciosidecar.NewDestination(destination.ID+":"+destination.RevisionID, config), nil
}

// parseConnection returns the job's connection. It returns none for a connection without a config: a
// router writes an empty connection if there is none.
func parseConnection(text json.RawMessage) ciosidecar.SourceConnection {
	var connection struct {
		Config json.RawMessage `json:"config"`
	}
	if absent(text) || json.Unmarshal(text, &connection) != nil || absent(connection.Config) {
		return ciosidecar.SourceConnection{}
	}
	return ciosidecar.NewSourceConnection(connection.Config)
}

func absent(text json.RawMessage) bool {
	return len(text) == 0 || string(text) == "null"
}

// isTransformed reports whether a message is the output of an earlier transform: an array of requests,
// or an object with a statusCode or of the type REST. No event has these.
func isTransformed(message json.RawMessage) bool {
	if text := bytes.TrimLeft(message, " \t\r\n"); len(text) != 0 && text[0] == '[' {
		return true
	}
	if !bytes.Contains(message, []byte(`"statusCode"`)) && !bytes.Contains(message, []byte(`"REST"`)) {
		return false
	}
	var output struct {
		Type       json.RawMessage `json:"type"`
		StatusCode json.RawMessage `json:"statusCode"`
	}
	return json.Unmarshal(message, &output) == nil &&
		(len(output.StatusCode) != 0 || string(output.Type) == `"REST"`)
}

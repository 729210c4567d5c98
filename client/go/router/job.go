package router

import (
	"bytes"
	"encoding/json"
	"fmt"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
)

// TransformRequest is what a router asks of a transformer, in one of two forms: each job with its
// destination and connection, or the compacted one, where the jobs name them by their metadata.
type TransformRequest struct {
	Input []Job `json:"input"`
	// DestType is not read.
	DestType string `json:"destType,omitempty"`
	// Destinations, in the compacted form, by destinationId.
	Destinations map[string]json.RawMessage `json:"destinations,omitempty"`
	// Connections, in the compacted form, by "sourceId:destinationId".
	Connections map[string]json.RawMessage `json:"connections,omitempty"`
}

// Job is one of the router's, each part the JSON that it holds.
type Job struct {
	// Message is a RudderStack event; or what an earlier transform made of one, which is handed
	// on as it is.
	Message json.RawMessage `json:"message"`
	// Metadata is the router's own. destinationId, sourceId, workspaceId, userId, jobId,
	// attemptNum, dontBatch and traceparent are read; all of it comes back.
	Metadata json.RawMessage `json:"metadata"`
	// Destination has ID, RevisionID and Config. Absent in the compacted form.
	Destination json.RawMessage `json:"destination,omitempty"`
	// Connection has a config. May be absent.
	Connection json.RawMessage `json:"connection,omitempty"`
}

// jobMetadata is what is read of a job's metadata.
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

// readMetadata takes what it can: a member of a strange type counts as absent, for the router's
// metadata is its own affair.
func readMetadata(text json.RawMessage) (found jobMetadata) {
	_ = json.Unmarshal(text, &found)
	return found
}

// attempt is how often the job was tried before, as an Item has it.
func (m *jobMetadata) attempt() uint32 {
	return uint32(min(max(m.AttemptNum, 0), 1<<31))
}

// jobReader turns the jobs of one request into items. Jobs repeat their destination, several
// kilobytes of it: each is read once.
type jobReader struct {
	request      *TransformRequest
	dontBatch    bool
	destinations map[string]readDestination
}

type readDestination struct {
	destination ciosidecar.Destination
	problem     error
}

// item is the job as it travels, or why it cannot.
func (r *jobReader) item(job *Job, metadata *jobMetadata) (ciosidecar.Item, error) {
	destination, err := r.destination(job.Destination)
	if err != nil {
		return ciosidecar.Item{}, err
	}
	return ciosidecar.Item{
		JSON:        job.Message,
		Destination: destination,
		Connection:  connectionOf(job.Connection, metadata),
		Attempt:     metadata.attempt(),
		DontBatch:   r.dontBatch || metadata.DontBatch,
		Traceparent: metadata.Traceparent,
	}, nil
}

// resolve fills in what the compacted form says elsewhere.
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
	found, known := r.destinations[string(text)]
	if !known {
		found.destination, found.problem = parseDestination(text)
		r.destinations[string(text)] = found
	}
	return found.destination, found.problem
}

func parseDestination(text json.RawMessage) (ciosidecar.Destination, error) {
	if absent(text) {
		return ciosidecar.Destination{}, errNoDestination
	}
	var found struct {
		ID         string
		RevisionID string
		Config     json.RawMessage
	}
	if err := json.Unmarshal(text, &found); err != nil {
		return ciosidecar.Destination{}, fmt.Errorf("%w: %w", errBadDestination, err)
	}
	return ciosidecar.NewDestination(found.ID+":"+found.RevisionID, found.Config), nil
}

// connectionOf is the job's connection, none if it has no config: a router that has no connection
// writes an empty one.
func connectionOf(text json.RawMessage, metadata *jobMetadata) ciosidecar.Connection {
	var found struct {
		Config json.RawMessage `json:"config"`
	}
	if absent(text) || json.Unmarshal(text, &found) != nil || absent(found.Config) {
		return ciosidecar.Connection{}
	}
	return ciosidecar.NewConnection(metadata.SourceID+":"+metadata.DestinationID, found.Config)
}

func absent(text json.RawMessage) bool {
	return len(text) == 0 || string(text) == "null"
}

// alreadyTransformed tells whether a message is what an earlier transform made: an array of
// requests, or one that has a statusCode or is of type REST, which no event is.
func alreadyTransformed(message json.RawMessage) bool {
	if text := bytes.TrimLeft(message, " \t\r\n"); len(text) != 0 && text[0] == '[' {
		return true
	}
	if !bytes.Contains(message, []byte(`"statusCode"`)) && !bytes.Contains(message, []byte(`"REST"`)) {
		return false
	}
	var found struct {
		Type       json.RawMessage `json:"type"`
		StatusCode json.RawMessage `json:"statusCode"`
	}
	return json.Unmarshal(message, &found) == nil &&
		(len(found.StatusCode) != 0 || string(found.Type) == `"REST"`)
}

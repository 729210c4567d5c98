package router

import (
	"bytes"
	"context"
	"encoding/json"
	"hash/fnv"
	"net/http"
	"time"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
)

// ProxyRequest is a router's request to a transformer's proxy: to deliver one request, which covers
// one or several jobs.
type ProxyRequest struct {
	PostParameters
	// Metadata has the metadata of the jobs. The package reads jobId, destinationId, workspaceId,
	// attemptNum, dontBatch and traceparent.
	Metadata ProxyMetadata `json:"metadata"`
	// DestinationConfig and DestinationVersion are not read: the headers have the credentials.
	DestinationConfig  json.RawMessage `json:"destinationConfig,omitempty"`
	DestinationVersion int             `json:"destinationVersion,omitempty"`
	// Timeout is the time limit for the delivery, retries included. A router sends it in the header
	// RdProxy-Timeout. 0: the deadline of the context, or the sidecar's own limit.
	Timeout time.Duration `json:"-"`
}

// ProxyMetadata is the metadata of the jobs of a request. In JSON it is an array, or one object: in proxy
// v0, a router sends the metadata of the first job alone.
type ProxyMetadata []json.RawMessage

// UnmarshalJSON reads both forms.
func (m *ProxyMetadata) UnmarshalJSON(text []byte) error {
	if len(text) == 0 || text[0] != '{' {
		return json.Unmarshal(text, (*[]json.RawMessage)(m))
	}
	*m = ProxyMetadata{bytes.Clone(text)}
	return nil
}

// ProxyResponse is the response that a router expects of a transformer's proxy.
type ProxyResponse struct {
	Output ProxyOutput `json:"output"`
}

// ProxyOutput has the result of the request, and of each job.
type ProxyOutput struct {
	// Status is the status of the request, as in [ciosidecar.Result].
	Status   int                `json:"status"`
	Message  string             `json:"message"`
	Response []ProxyJobResponse `json:"response"`
	// DestinationStatus is the last status that Customer.io answered. 0: none is known.
	DestinationStatus int `json:"-"`
	// StatTags are tags for metrics, if not all was delivered. Each tag has few values.
	StatTags map[string]string `json:"statTags,omitempty"`
}

// ProxyJobResponse is the result of one job.
type ProxyJobResponse struct {
	// StatusCode is 200: delivered. 4xx, except 408 and 429: a permanent failure. Others: a retryable
	// failure.
	StatusCode int `json:"statusCode"`
	// Metadata is the metadata of the job, unchanged, except for a dontBatch that was set.
	Metadata json.RawMessage `json:"metadata"`
	// Error is "success", or the error with Customer.io's own reason.
	Error string `json:"error"`
	// Code is the code of the error. Empty if the job was delivered. A job with the code BLOCKED was not
	// sent, so a router that limits the tries of a job does not count it.
	Code string `json:"-"`
	// RetryAfter is the time to wait before the next try. 0: not known.
	RetryAfter time.Duration `json:"-"`
}

// Final reports whether the status is final: the job was delivered, or has a permanent failure. Other jobs must be sent
// again, with an attemptNum above 0.
func (j *ProxyJobResponse) Final() bool {
	return j.StatusCode < 500 && j.StatusCode != http.StatusRequestTimeout && j.StatusCode != http.StatusTooManyRequests
}

// V0Status returns the status of all jobs for proxy v0: the status of the first job.
func (r *ProxyResponse) V0Status() int {
	if len(r.Output.Response) == 0 {
		return r.Output.Status
	}
	return r.Output.Response[0].StatusCode
}

func (r *ProxyResponse) v0Error() string {
	if len(r.Output.Response) == 0 {
		return r.Output.Message
	}
	return r.Output.Response[0].Error
}

// DelivererOptions are the options of a [Deliverer]. A field that is zero has its default.
type DelivererOptions struct {
	// Streams is the number of streams to keep open. Each destination uses one of them, because the
	// sidecar keeps the order of each person by stream. Defaults to 1.
	Streams int
	// Stream are further options of the streams.
	Stream ciosidecar.StreamOptions
}

// Deliverer delivers prepared requests. Make one with [NewDeliverer] and keep it.
type Deliverer struct {
	streams *streamPool
}

// NewDeliverer returns a deliverer that uses the client's sidecars. Nil options are the defaults. If the
// sidecars do not offer FEATURE_DELIVERY, Deliver fails with codes.Unimplemented.
func NewDeliverer(client *ciosidecar.Client, options *DelivererOptions) *Deliverer {
	if options == nil {
		options = &DelivererOptions{}
	}
	stream := options.Stream
	if stream.Delivery == nil {
		stream.Delivery = &ciosidecar.DeliveryOptions{DetailLevel: ciosidecar.DetailLevelNotable}
	}
	return &Deliverer{newStreamPool(client, options.Streams, stream)}
}

// Close ends every call. It does not close the client.
func (d *Deliverer) Close() { d.streams.close() }

// Deliver delivers one request and returns a status for each of its jobs. The sidecar keeps the order of
// each person, and repeats failed attempts within the timeout.
//
// Deliver returns an error if the call fails. In that case it is not known whether the request was
// sent, and every job must be tried again.
func (d *Deliverer) Deliver(ctx context.Context, request *ProxyRequest) (*ProxyResponse, error) {
	jobs := request.jobs()
	prepared, err := request.prepare()
	if err != nil {
		invalid := &ciosidecar.Result{Status: 400, Error: &ciosidecar.EventError{
			Code: "INVALID_ITEM", Type: "internal", Message: err.Error(),
		}}
		return request.response(jobs, invalid), nil
	}
	item := ciosidecar.BatchItem{
		Prepared:    prepared,
		Traceparent: jobs[0].Traceparent,
	}
	for index := range jobs {
		item.Attempt = max(item.Attempt, jobs[index].attempt())
		item.DontBatch = item.DontBatch || jobs[index].DontBatch
	}
	timeout := request.Timeout
	if deadline, ok := ctx.Deadline(); ok && timeout == 0 {
		timeout = time.Until(deadline)
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(jobs[0].DestinationID))
	results, err := d.streams.call(ctx, int(hash.Sum32()), []ciosidecar.BatchItem{item}, timeout)
	if err != nil {
		return nil, err
	}
	return request.response(jobs, &results[0]), nil
}

// jobs returns the metadata of the jobs, with one that is empty if the request has none.
func (p *ProxyRequest) jobs() []jobMetadata {
	if len(p.Metadata) == 0 {
		return []jobMetadata{{}}
	}
	jobs := make([]jobMetadata, len(p.Metadata))
	for index, text := range p.Metadata {
		jobs[index] = readMetadata(text)
	}
	return jobs
}

// response returns the meaning of the request's result for each job.
func (p *ProxyRequest) response(jobs []jobMetadata, result *ciosidecar.Result) *ProxyResponse {
	output := ProxyOutput{Status: result.Status, Message: "delivered"}
	switch {
	case result.Delivery != nil:
		output.DestinationStatus = result.Delivery.HTTPStatus
	case result.OK():
		output.DestinationStatus = http.StatusOK
	}
	text, failed := "success", ProxyJobResponse{}
	if result.Error != nil {
		failed.Code, failed.RetryAfter = result.Error.Code, result.Error.RetryAfter
		text = errorText(result.Error)
		if result.Delivery != nil && result.Delivery.Reason != "" {
			text += ": " + result.Delivery.Reason
		}
		output.Message = text
		output.StatTags = statTags("dataDelivery", result, &jobs[0])
	}
	var refused map[string]string
	resendAlone := false
	switch {
	case result.Status == http.StatusMultiStatus:
		if refused = p.refusedJobs(jobs, result.Delivery); refused == nil {
			resendAlone = true
		}
	case len(p.Metadata) > 1 && result.Error != nil && result.Error.Code == "REFUSED" && !result.Error.Retryable:
		resendAlone = true
	}
	output.Response = make([]ProxyJobResponse, len(p.Metadata))
	for index, metadata := range p.Metadata {
		job := failed
		job.StatusCode, job.Metadata, job.Error = result.Status, metadata, text
		switch {
		case resendAlone:
			// The job at fault is not known, so the router must send each job again by itself.
			job.StatusCode = http.StatusInternalServerError
			job.Metadata = withDontBatch(metadata)
		case refused != nil:
			job = ProxyJobResponse{StatusCode: http.StatusOK, Metadata: metadata, Error: "success"}
			if reason, isRefused := refused[string(jobs[index].JobID)]; isRefused {
				job.StatusCode, job.Error, job.Code = http.StatusBadRequest, reason, "REFUSED"
			}
		}
		output.Response[index] = job
	}
	return &ProxyResponse{output}
}

// refusedJobs returns the reasons for the jobs whose items Customer.io refused, by job id. It returns
// nil if the jobs of these items are not known.
func (p *ProxyRequest) refusedJobs(jobs []jobMetadata, delivery *ciosidecar.DeliveryReport) map[string]string {
	if delivery == nil || len(delivery.FailedItems) == 0 {
		return nil
	}
	ids := p.jobIDsOfItems(jobs)
	refused := make(map[string]string)
	for _, item := range delivery.FailedItems {
		reason := "REFUSED: Customer.io refused this item: " + item.Reason
		if item.Field != "" {
			reason += " (" + item.Field + ")"
		}
		switch {
		case len(jobs) == 1:
			refused[string(jobs[0].JobID)] = reason
		case item.Index < len(ids):
			refused[ids[item.Index]] = reason
		default:
			return nil
		}
	}
	return refused
}

// jobIDsOfItems returns the job id of each item of the body: those beside the body, or those of the
// metadata if the body has an item for each job. It returns none if they are not known.
func (p *ProxyRequest) jobIDsOfItems(jobs []jobMetadata) []string {
	var array struct {
		JobIDs []string `json:"jobIds"`
	}
	if text := p.Body["JSON_ARRAY"]; !emptyObject(text) {
		if json.Unmarshal(text, &array) != nil {
			return nil
		}
		return array.JobIDs
	}
	var body struct {
		Batch []json.RawMessage `json:"batch"`
	}
	if json.Unmarshal(p.Body["JSON"], &body) != nil || len(body.Batch) != len(jobs) {
		return nil
	}
	ids := make([]string, len(jobs))
	for index := range jobs {
		ids[index] = string(jobs[index].JobID)
	}
	return ids
}

package router

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"net/http"
	"time"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
)

// ProxyRequest is what a router asks of a transformer's proxy: to send one request, which covers
// some jobs.
type ProxyRequest struct {
	PostParameters
	// Metadata are those of the jobs. jobId, destinationId, workspaceId, attemptNum, dontBatch and
	// traceparent are read.
	Metadata []json.RawMessage `json:"metadata"`
	// DestinationConfig and DestinationVersion are not read: the request has its own credentials.
	DestinationConfig  json.RawMessage `json:"destinationConfig,omitempty"`
	DestinationVersion int             `json:"destinationVersion,omitempty"`
	// Timeout is how long the delivery may take, retries included: a router says it in the header
	// RdProxy-Timeout. 0: until ctx ends, or the sidecar's default.
	Timeout time.Duration `json:"-"`
}

// ProxyResponse is what a router expects of a transformer's proxy.
type ProxyResponse struct {
	Output ProxyOutput `json:"output"`
}

// ProxyOutput says what became of the request, and of each job.
type ProxyOutput struct {
	// Status is the request's: as a Result has it.
	Status   int                `json:"status"`
	Message  string             `json:"message"`
	Response []ProxyJobResponse `json:"response"`
	// StatTags are for metrics, of few values each, where not all was delivered.
	StatTags map[string]string `json:"statTags,omitempty"`
}

// ProxyJobResponse says what became of one job.
type ProxyJobResponse struct {
	// StatusCode is 200 delivered; 4xx but 408 and 429 refused for good; else worth another try.
	StatusCode int `json:"statusCode"`
	// Metadata is the job's, as it came, but for a dontBatch that was set.
	Metadata json.RawMessage `json:"metadata"`
	// Error is "success", or what went wrong, with Customer.io's own reason.
	Error string `json:"error"`
}

// DelivererOptions say how a [Deliverer] works. The zero value, and nil, mean the defaults.
type DelivererOptions struct {
	// Streams is how many streams to keep open. A destination keeps to one of them: the sidecar
	// keeps each person's order by stream. Default 1.
	Streams int
	// Stream are further options of the streams.
	Stream ciosidecar.StreamOptions
}

// Deliverer sends prepared requests. Make one with [NewDeliverer] and keep it.
type Deliverer struct {
	lines *lines
}

// NewDeliverer makes a deliverer that asks the client's sidecars. They must offer
// FEATURE_DELIVERY, as Capabilities tells; else Deliver fails with codes.Unimplemented.
func NewDeliverer(client *ciosidecar.Client, options *DelivererOptions) *Deliverer {
	if options == nil {
		options = &DelivererOptions{}
	}
	stream := options.Stream
	if stream.Delivery == nil {
		stream.Delivery = &ciosidecar.DeliveryOptions{DetailForExceptionsOnly: true}
	}
	return &Deliverer{newLines(client, options.Streams, stream)}
}

// Close ends every call, and leaves the client open.
func (d *Deliverer) Close() { d.lines.close() }

// Deliver sends one request and says for each of its jobs how that went. The sidecar keeps each
// person's order, and tries again within the timeout.
//
// An error is one of the call's: whether the request was sent is not known, and every job is worth
// another try.
func (d *Deliverer) Deliver(ctx context.Context, request *ProxyRequest) (*ProxyResponse, error) {
	jobs := make([]jobMetadata, len(request.Metadata))
	for index, text := range request.Metadata {
		jobs[index] = readMetadata(text)
	}
	if len(jobs) == 0 {
		jobs = []jobMetadata{{}}
	}
	prepared, err := request.prepare()
	if err != nil {
		refused := &ciosidecar.Result{Status: 400, Error: &ciosidecar.Error{
			Code: "INVALID_ITEM", Type: "internal", Message: err.Error(),
		}}
		return request.answer(jobs, refused), nil
	}
	item := ciosidecar.Item{
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
	results, err := d.lines.call(ctx, int(hash.Sum32()), []ciosidecar.Item{item}, timeout)
	if err != nil {
		return nil, err
	}
	return request.answer(jobs, &results[0]), nil
}

// answer says for each job what the request's result means for it.
func (p *ProxyRequest) answer(jobs []jobMetadata, result *ciosidecar.Result) *ProxyResponse {
	output := ProxyOutput{Status: result.Status, Message: "delivered"}
	text := "success"
	if result.Error != nil {
		text = errorText(result.Error)
		if result.Delivery != nil && result.Delivery.Reason != "" {
			text += ": " + result.Delivery.Reason
		}
		output.Message = text
		output.StatTags = statTags("dataDelivery", result, &jobs[0])
	}
	var refused map[string]string
	alone := false
	switch {
	case result.Status == http.StatusMultiStatus:
		if refused = p.refusedJobs(jobs, result.Delivery); refused == nil {
			alone = true
		}
	case len(p.Metadata) > 1 && result.Error != nil && result.Error.Code == "REFUSED" && !result.Error.Retryable:
		alone = true
	}
	output.Response = make([]ProxyJobResponse, len(p.Metadata))
	for index, metadata := range p.Metadata {
		job := ProxyJobResponse{StatusCode: result.Status, Metadata: metadata, Error: text}
		switch {
		case alone:
			// One of the jobs is at fault and nobody knows which: each is to come again by itself.
			job.StatusCode = http.StatusInternalServerError
			job.Metadata = withDontBatch(metadata)
		case refused != nil:
			job.StatusCode, job.Error = http.StatusOK, "success"
			if reason, found := refused[string(jobs[index].JobID)]; found {
				job.StatusCode, job.Error = http.StatusBadRequest, reason
			}
		}
		output.Response[index] = job
	}
	return &ProxyResponse{output}
}

// refusedJobs are the reasons of the jobs whose items were refused, by job id; nil where it cannot
// be known whose they were.
func (p *ProxyRequest) refusedJobs(jobs []jobMetadata, delivery *ciosidecar.Delivery) map[string]string {
	if delivery == nil || len(delivery.FailedItems) == 0 {
		return nil
	}
	var ids []string
	if len(jobs) > 1 {
		var body struct {
			JobIDs []string `json:"jobIds"`
		}
		if json.Unmarshal(p.Body["JSON_ARRAY"], &body) != nil {
			return nil
		}
		ids = body.JobIDs
	}
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

package ciosidecar

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

// Result is the result of one item.
type Result struct {
	// Position is the index of the item in the call, or among all items sent on the stream, from 0.
	Position int64
	// Attachment is the caller's own object, from the BatchItem.
	Attachment any
	// Status is 200: transformed, or delivered. 207: a prepared request of which Customer.io refused
	// some items. 298: filtered. 408, 429 and 5xx: a retryable failure. Other 4xx: a permanent failure.
	Status int
	// Requests are the requests that the item became. A request that covers several items is in the
	// result of the last of them. Sending the requests in the order of their results keeps the order
	// of every person. With delivery, Requests is empty unless DeliveryOptions.IncludeRequests is set.
	Requests []APIRequest
	// Error is the reason why the item became no request, or was not delivered. Nil: no error.
	Error *EventError
	// Warnings are repairs and omissions. The requests are valid all the same.
	Warnings []EventWarning
	// FilterReason is DEVICE_MODE, CONSENT or ANONYMOUS with status 298, else empty.
	FilterReason string
	// Delivery is Customer.io's answer, with delivery. Nil if DeliveryOptions.DetailLevel leaves it
	// out.
	Delivery *DeliveryReport
	// Tag is the item's own Tag, if the result has more than a status.
	Tag []byte
}

// OK reports whether the status is 200: the whole item was transformed or delivered.
func (r *Result) OK() bool { return r.Status == http.StatusOK }

// APIRequest is one complete HTTP request to Customer.io.
type APIRequest struct {
	// Method is PUT, POST or DELETE.
	Method string
	// URL is the complete URL, percent-encoded.
	URL string
	// EndpointPath is the endpoint of Customer.io's API, without identifiers: v1/customers/events, …
	// Routers throttle by this value.
	EndpointPath string
	// Headers are all headers, Authorization included. The caller MUST treat them as a secret, and
	// MUST NOT change the map: many requests share it.
	Headers map[string]string
	// Body is the bytes to send. Empty: the request has no body.
	Body []byte
	// Positions are the positions of the items that the request covers, as in Result.Position,
	// ascending. In a request to v2/batch the n-th position belongs to the n-th item of the body.
	Positions []int64
}

// HTTP returns the request for net/http.
func (r *APIRequest) HTTP(ctx context.Context) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, r.Method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return nil, fmt.Errorf("ciosidecar: net/http cannot send a request: %w", err)
	}
	for name, value := range r.Headers {
		request.Header.Set(name, value)
	}
	return request, nil
}

// Prepared returns the request as the payload of a BatchItem that is only to be delivered.
func (r *APIRequest) Prepared() *v1.PreparedRequest {
	return &v1.PreparedRequest{
		Method: r.Method, Url: r.URL, EndpointPath: r.EndpointPath, Headers: r.Headers, Body: r.Body,
	}
}

// EventError is the reason why an item became no request, or was not delivered.
type EventError struct {
	// Code is a code of docs/rules.md: INVALID_JSON, MISSING_IDENTITY, … If this client does not know
	// the code, Code is its number.
	Code string
	// Type is the party that can correct the error: instrumentation, configuration, delivery or
	// internal.
	Type string
	// Message is the field and the rule, for people. It contains no personal data and no secrets.
	Message string
	// Retryable reports whether the same item may succeed later.
	Retryable bool
	// RetryAfter is the time to wait before the caller sends the item again. 0: not known.
	RetryAfter time.Duration
	// BlockedBy is, with the code BLOCKED, the Position of the earlier item that failed. Nil if that
	// item was sent on another stream, or more than 10,000 batches ago.
	BlockedBy *int64
}

// EventWarning is something that was repaired or left out.
type EventWarning struct {
	// Code is a code of docs/rules.md: TEXT_CUT, UNUSABLE_TIME, …
	Code string
	// Message is the field and what became of it, for people. It contains no personal data and no
	// secrets.
	Message string
}

// DeliveryReport describes what became of an item's delivery.
type DeliveryReport struct {
	// Attempts is the number of times that a request that covers the item was sent.
	Attempts int
	// HTTPStatus is the last status that Customer.io answered. 0: Customer.io did not answer.
	HTTPStatus int
	// Reason is Customer.io's own reason, at most 1024 bytes.
	Reason string
	// Field is the field that Customer.io named, if it named one.
	Field string
	// Latency is the time from the first attempt to the last answer.
	Latency time.Duration
	// FailedItems are, with status 207, the items of the prepared request's body that Customer.io
	// refused. It accepted the others.
	FailedItems []FailedItem
}

// FailedItem is an item of a prepared request's body that Customer.io refused.
type FailedItem struct {
	// Index is the index of the item in the body, from 0.
	Index int
	// Reason is Customer.io's own reason, at most 1024 bytes.
	Reason string
	// Field is the field that Customer.io named, if it named one.
	Field string
}

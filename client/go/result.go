package ciosidecar

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

// Result is what one item came to.
type Result struct {
	// Position counts the items of the call, or those sent on the stream, from 0.
	Position uint64
	// Value is the caller's own, from the Item.
	Value any
	// Status is 200 transformed or delivered; 298 filtered; 4xx refused for good (but 408 and
	// 429); 408, 429 and 5xx worth another try later; 207 a prepared request some of whose items
	// were refused.
	Status int
	// Requests are what the item became. A request that covers several items is with the last of
	// them: requests in the order of their results are in the order in which they must be sent
	// for any one person. On a stream that delivers there are none unless asked for.
	Requests []Request
	// Error is why there are none, or why the item was not delivered; nil if all is well.
	Error *Error
	// Warnings say what was repaired or left out. The requests are good all the same.
	Warnings []Warning
	// FilterReason is DEVICE_MODE, CONSENT or ANONYMOUS with status 298, else empty.
	FilterReason string
	// Delivery is what Customer.io answered, on a stream that delivers and where a Detail is due.
	Delivery *Delivery
	// Tag is the item's own, where the result has more to say than its status.
	Tag []byte
}

// OK tells whether the status is 200: all of the item was transformed or delivered.
func (r *Result) OK() bool { return r.Status == http.StatusOK }

// Request is one HTTP call to Customer.io, complete in itself.
type Request struct {
	// Method is PUT, POST or DELETE.
	Method string
	// URL is complete, percent-encoded.
	URL string
	// EndpointPath is the call without identifiers, by which routers key their throttles:
	// v1/customers/events, …
	EndpointPath string
	// Headers hold the credentials: treat them as a secret. The map is shared by many requests
	// and must not be changed.
	Headers map[string]string
	// Body is what to send; empty for none.
	Body []byte
	// Positions are those of the items it covers, as in Result.Position, ascending. For a call to
	// v2/batch the n-th position belongs to the n-th item of its body.
	Positions []uint64
}

// HTTP is the request as net/http sends it.
func (r *Request) HTTP(ctx context.Context) (*http.Request, error) {
	found, err := http.NewRequestWithContext(ctx, r.Method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return nil, fmt.Errorf("ciosidecar: a request that net/http cannot send: %w", err)
	}
	for name, value := range r.Headers {
		found.Header.Set(name, value)
	}
	return found, nil
}

// Prepared is the request as an Item that only delivers it, on a stream that delivers.
func (r *Request) Prepared() *v1.PreparedRequest {
	return &v1.PreparedRequest{
		Method: r.Method, Url: r.URL, EndpointPath: r.EndpointPath, Headers: r.Headers, Body: r.Body,
	}
}

// Error is why an item became no request, or was not delivered.
type Error struct {
	// Code is as in docs/rules.md: INVALID_JSON, MISSING_IDENTITY, … A code that this client is
	// too old to know is its number.
	Code string
	// Type says whose matter it is: instrumentation, configuration, delivery or internal.
	Type string
	// Message is for people. It holds no personal data and no secrets.
	Message string
	// Retryable tells whether the same item may succeed later.
	Retryable bool
	// RetryAfter is when it is worth another try; 0 where that is not known.
	RetryAfter time.Duration
	// BlockedBy is, with the code BLOCKED, the Position of the earlier item that failed and that
	// this one waits for. Nil where that was another stream's, or is no longer remembered.
	BlockedBy *uint64
}

// Warning is something that was repaired or left out.
type Warning struct {
	// Code is as in docs/rules.md: TEXT_CUT, UNUSABLE_TIME, …
	Code string
	// Message is for people. It holds no personal data and no secrets.
	Message string
}

// Delivery is what became of an item's delivery.
type Delivery struct {
	// Attempts counts the requests sent that cover the item.
	Attempts uint32
	// HTTPStatus is the last one Customer.io answered; 0 if it answered none.
	HTTPStatus int
	// Reason is Customer.io's own, at most 1024 bytes.
	Reason string
	// Field is what Customer.io named, if it named one.
	Field string
	// Latency is from the first attempt to the last answer.
	Latency time.Duration
	// FailedItems are, with status 207 of a prepared request to v2/batch, the items of its body
	// that were refused. The others were accepted.
	FailedItems []FailedItem
}

// FailedItem is an item of a prepared request's body that Customer.io refused.
type FailedItem struct {
	// Index is which one, from 0.
	Index int
	// Reason is Customer.io's own, at most 1024 bytes.
	Reason string
	// Field is what Customer.io named, if it named one.
	Field string
}

func readError(found *v1.Error, positionOf func(*v1.ItemRef) *uint64) *Error {
	if found == nil {
		return nil
	}
	return &Error{
		Code:       word(found.GetCode(), "ERROR_CODE_"),
		Type:       strings.ToLower(word(found.GetType(), "ERROR_TYPE_")),
		Message:    found.GetText(),
		Retryable:  found.GetRetryable(),
		RetryAfter: found.GetRetryAfter().AsDuration(),
		BlockedBy:  positionOf(found.GetBlockedBy()),
	}
}

func readWarnings(found []*v1.Warning) []Warning {
	if len(found) == 0 {
		return nil
	}
	warnings := make([]Warning, len(found))
	for index, one := range found {
		warnings[index] = Warning{word(one.GetCode(), "WARNING_CODE_"), one.GetText()}
	}
	return warnings
}

func readDelivery(found *v1.Delivery) *Delivery {
	if found == nil {
		return nil
	}
	delivery := &Delivery{
		Attempts:   found.GetAttempts(),
		HTTPStatus: int(found.GetHttpStatus()),
		Reason:     found.GetReason(),
		Field:      found.GetField(),
		Latency:    found.GetLatency().AsDuration(),
	}
	for _, one := range found.GetFailedItems() {
		delivery.FailedItems = append(delivery.FailedItems,
			FailedItem{int(one.GetIndex()), one.GetReason(), one.GetField()})
	}
	return delivery
}

// word is an enum's word without its prefix; a number of a newer contract as it is.
func word(value fmt.Stringer, prefix string) string {
	return strings.TrimPrefix(value.String(), prefix)
}

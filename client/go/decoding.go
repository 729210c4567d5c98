package ciosidecar

import (
	"fmt"
	"strings"

	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

// resultsDecoder decodes the Results messages of one batch.
type resultsDecoder struct {
	// count is the number of items in the batch.
	count int
	// positionOf returns the Result.Position of a position in the batch.
	positionOf func(batchPosition int) int64
	// positionOfRef returns the Result.Position of an item of any batch, or nil if it is not known.
	positionOfRef func(item *v1.ItemRef) *int64
	// store is called for each answered position of the batch.
	store func(batchPosition int, result Result)
}

// decode stores a complete Result for each answered position. It returns an error if the server broke
// the contract; it may have stored some results by then.
func (d *resultsDecoder) decode(results *v1.Results) error {
	positions, err := d.answeredPositions(results)
	if err != nil {
		return err
	}
	requests, err := d.decodeRequests(results)
	if err != nil {
		return err
	}
	details := make(map[int]*v1.EventDetail, len(results.GetDetails()))
	for _, detail := range results.GetDetails() {
		details[int(detail.GetPosition())] = detail
	}
	for index, status := range results.GetStatuses() {
		position := positions(index)
		if position < 0 || position >= d.count {
			return fmt.Errorf("position %d answered in a batch of %d", position, d.count)
		}
		result := Result{
			Position: d.positionOf(position),
			Status:   int(status),
			Requests: requests[position],
		}
		if detail := details[position]; detail != nil {
			d.addDetail(&result, detail)
		}
		d.store(position, result)
	}
	return nil
}

// answeredPositions returns the position of the n-th status.
func (d *resultsDecoder) answeredPositions(results *v1.Results) (func(n int) int, error) {
	positions := results.GetPositions()
	if len(positions) == 0 {
		return func(n int) int { return int(results.GetFirstPosition()) + n }, nil
	}
	if len(positions) != len(results.GetStatuses()) {
		return nil, fmt.Errorf("%d positions with %d statuses", len(positions), len(results.GetStatuses()))
	}
	return func(n int) int { return int(positions[n]) }, nil
}

func (d *resultsDecoder) addDetail(result *Result, detail *v1.EventDetail) {
	result.Error = decodeError(detail.GetError(), d.positionOfRef)
	result.Warnings = decodeWarnings(detail.GetWarnings())
	result.Delivery = decodeDelivery(detail.GetDelivery())
	result.Tag = detail.GetTag()
	if reason := detail.GetFilterReason(); reason != v1.FilterReason_FILTER_REASON_UNSPECIFIED {
		result.FilterReason = enumName(reason, "FILTER_REASON_")
	}
}

// decodeRequests returns the complete requests, by the last position that each covers.
func (d *resultsDecoder) decodeRequests(results *v1.Results) (map[int][]APIRequest, error) {
	templates := results.GetTemplates()
	requests := make(map[int][]APIRequest, len(results.GetRequests()))
	for _, request := range results.GetRequests() {
		templateIndex := int(request.GetTemplate())
		if templateIndex < 0 || templateIndex >= len(templates) {
			return nil, fmt.Errorf("template %d of %d", templateIndex, len(templates))
		}
		covered, last, err := d.coveredPositions(request)
		if err != nil {
			return nil, err
		}
		template := templates[templateIndex]
		requests[last] = append(requests[last], APIRequest{
			Method:       template.GetMethod(),
			URL:          template.GetBaseUrl() + request.GetPath(),
			EndpointPath: template.GetEndpointPath(),
			Headers:      template.GetHeaders(),
			Body:         request.GetBody(),
			Positions:    covered,
		})
	}
	return requests, nil
}

// coveredPositions returns the Result.Position of each item that a request covers, and the last of
// their positions in the batch.
func (d *resultsDecoder) coveredPositions(request *v1.ApiRequest) (covered []int64, last int, err error) {
	if len(request.GetPositions()) == 0 {
		return nil, 0, fmt.Errorf("a request without positions")
	}
	covered = make([]int64, len(request.GetPositions()))
	for index, position := range request.GetPositions() {
		last = int(position)
		if last < 0 || last >= d.count {
			return nil, 0, fmt.Errorf("a request for position %d of a batch of %d", position, d.count)
		}
		covered[index] = d.positionOf(last)
	}
	return covered, last, nil
}

func decodeError(eventError *v1.EventError, positionOfRef func(*v1.ItemRef) *int64) *EventError {
	if eventError == nil {
		return nil
	}
	return &EventError{
		Code:       enumName(eventError.GetCode(), "ERROR_CODE_"),
		Type:       strings.ToLower(enumName(eventError.GetType(), "ERROR_TYPE_")),
		Message:    eventError.GetMessage(),
		Retryable:  eventError.GetRetryable(),
		RetryAfter: eventError.GetRetryAfter().AsDuration(),
		BlockedBy:  positionOfRef(eventError.GetBlockedBy()),
	}
}

func decodeWarnings(eventWarnings []*v1.EventWarning) []EventWarning {
	if len(eventWarnings) == 0 {
		return nil
	}
	warnings := make([]EventWarning, len(eventWarnings))
	for index, warning := range eventWarnings {
		warnings[index] = EventWarning{enumName(warning.GetCode(), "WARNING_CODE_"), warning.GetMessage()}
	}
	return warnings
}

func decodeDelivery(report *v1.DeliveryReport) *DeliveryReport {
	if report == nil {
		return nil
	}
	delivery := &DeliveryReport{
		Attempts:   int(report.GetAttempts()),
		HTTPStatus: int(report.GetHttpStatus()),
		Reason:     report.GetReason(),
		Field:      report.GetField(),
		Latency:    report.GetLatency().AsDuration(),
	}
	for _, item := range report.GetFailedItems() {
		delivery.FailedItems = append(delivery.FailedItems,
			FailedItem{int(item.GetIndex()), item.GetReason(), item.GetField()})
	}
	return delivery
}

// enumName returns the name of an enum value without its prefix, or the number of a value that this
// client does not know.
func enumName(value fmt.Stringer, prefix string) string {
	return strings.TrimPrefix(value.String(), prefix)
}

package ciosidecar

import (
	"fmt"

	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

// reading is how a batch's results are read: what positions in it stand for, and where results go.
type reading struct {
	// count is how many items the batch has.
	count int
	// numberOf is the Result.Position of a position in the batch.
	numberOf func(position int) uint64
	// numberOfOther is that of an item of any batch, nil if it is not known.
	numberOfOther func(item *v1.ItemRef) *uint64
	// fill gets every position that is answered, with its result, requests and all.
	fill func(position int, result Result)
}

// readResults puts what the lean wire says back together. An error means that the server broke the
// contract; some positions may have been filled.
func readResults(results *v1.Results, batch reading) error {
	statuses := results.GetStatuses()
	positions := results.GetPositions()
	if len(positions) != 0 && len(positions) != len(statuses) {
		return fmt.Errorf("%d positions with %d statuses", len(positions), len(statuses))
	}
	requests, err := readRequests(results, batch)
	if err != nil {
		return err
	}
	details := results.GetDetails()
	byPosition := make(map[uint32]*v1.Detail, len(details))
	for _, detail := range details {
		byPosition[detail.GetPosition()] = detail
	}
	for index, code := range statuses {
		position := results.GetFirstPosition() + uint32(index)
		if len(positions) != 0 {
			position = positions[index]
		}
		if int64(position) >= int64(batch.count) {
			return fmt.Errorf("position %d answered in a batch of %d", position, batch.count)
		}
		result := Result{
			Position: batch.numberOf(int(position)),
			Status:   int(code),
			Requests: requests[position],
		}
		if detail := byPosition[position]; detail != nil {
			result.Error = readError(detail.GetError(), batch.numberOfOther)
			result.Warnings = readWarnings(detail.GetWarnings())
			result.Delivery = readDelivery(detail.GetDelivery())
			result.Tag = detail.GetTag()
			if reason := detail.GetFilterReason(); reason != v1.FilterReason_FILTER_REASON_UNSPECIFIED {
				result.FilterReason = word(reason, "FILTER_REASON_")
			}
		}
		batch.fill(int(position), result)
	}
	return nil
}

// readRequests resolves requests, each under the last position it covers.
func readRequests(results *v1.Results, batch reading) (map[uint32][]Request, error) {
	templates := results.GetTemplates()
	requests := make(map[uint32][]Request, len(results.GetRequests()))
	for _, one := range results.GetRequests() {
		if int64(one.GetTemplate()) >= int64(len(templates)) {
			return nil, fmt.Errorf("template %d of %d", one.GetTemplate(), len(templates))
		}
		template := templates[one.GetTemplate()]
		positions := one.GetPositions()
		if len(positions) == 0 {
			positions = []uint32{one.GetPosition()}
		}
		covered := make([]uint64, len(positions))
		for index, position := range positions {
			if int64(position) >= int64(batch.count) {
				return nil, fmt.Errorf("a request for position %d of a batch of %d", position, batch.count)
			}
			covered[index] = batch.numberOf(int(position))
		}
		last := positions[len(positions)-1]
		requests[last] = append(requests[last], Request{
			Method:       template.GetMethod(),
			URL:          template.GetBaseUrl() + one.GetPath(),
			EndpointPath: template.GetEndpointPath(),
			Headers:      template.GetHeaders(),
			Body:         one.GetBody(),
			Positions:    covered,
		})
	}
	return requests, nil
}

package ciosidecar

// maxAnsweredBatches is the number of answered batches whose items EventError.BlockedBy can still
// refer to.
const maxAnsweredBatches = 10_000

// answeredBatches keeps the stream positions of the items of answered batches, oldest dropped first.
type answeredBatches struct {
	positions map[int64]batchPositions
	oldest    []int64
}

// batchPositions holds the stream positions of one batch's items. They are consecutive, unless the
// batch contains items that were sent again, or only those of some persons.
type batchPositions struct {
	first     int64
	count     int
	scattered []int64
}

func newAnsweredBatches() *answeredBatches {
	return &answeredBatches{positions: make(map[int64]batchPositions)}
}

func (a *answeredBatches) add(id int64, positions batchPositions) {
	a.positions[id] = positions
	a.oldest = append(a.oldest, id)
	if len(a.oldest) > maxAnsweredBatches {
		delete(a.positions, a.oldest[0])
		a.oldest = a.oldest[1:]
	}
}

// at returns the stream position of the item at a batch position, or nil if the batch has no such
// item.
func (p batchPositions) at(batchPosition int32) *int64 {
	if batchPosition < 0 || int(batchPosition) >= p.count {
		return nil
	}
	streamPosition := p.first + int64(batchPosition)
	if p.scattered != nil {
		streamPosition = p.scattered[batchPosition]
	}
	return &streamPosition
}

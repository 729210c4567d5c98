package ciosidecar

// maxRememberedBatches is how many answered batches an error may still name: an item waits for one
// that failed earlier.
const maxRememberedBatches = 10_000

// rememberedBatches knows where on a stream the items of answered batches were.
type rememberedBatches struct {
	positions map[uint64]batchPositions
	oldest    []uint64
}

// batchPositions are those of one batch's items: a run, but for what was sent again.
type batchPositions struct {
	first     uint64
	count     int
	scattered []uint64
}

func newRememberedBatches() *rememberedBatches {
	return &rememberedBatches{positions: make(map[uint64]batchPositions)}
}

func (r *rememberedBatches) add(id uint64, positions batchPositions) {
	r.positions[id] = positions
	r.oldest = append(r.oldest, id)
	if len(r.oldest) > maxRememberedBatches {
		delete(r.positions, r.oldest[0])
		r.oldest = r.oldest[1:]
	}
}

// at is where an item was on the stream; nil if the batch has none such.
func (p batchPositions) at(position uint32) *uint64 {
	if int64(position) >= int64(p.count) {
		return nil
	}
	found := p.first + uint64(position)
	if p.scattered != nil {
		found = p.scattered[position]
	}
	return &found
}

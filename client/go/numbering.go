package ciosidecar

import v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"

// numbering gives destinations, or connections, the small numbers that a server knows them by.
type numbering[K comparable] struct {
	limit  int
	known  map[K]*numbered
	oldest []K
}

// numbered is a number, and the last batch that names it: the server must not be told meanwhile
// that it stands for something else.
type numbered struct {
	number  uint32
	batchID uint64
}

// newNumbering gives out at most limit numbers, and no less than one.
func newNumbering[K comparable](limit int) *numbering[K] {
	return &numbering[K]{limit: max(1, limit), known: make(map[K]*numbered)}
}

// number is the number of key for an item of a batch, and whether it is new and must be declared
// before the batch; 0, for the zero key. When all are given out the oldest is taken back; ok is
// false if the batch itself still needs that one.
func (n *numbering[K]) number(key K, batchID uint64) (number uint32, isNew, ok bool) {
	var none K
	if key == none {
		return 0, false, true
	}
	if found := n.known[key]; found != nil {
		found.batchID = batchID
		return found.number, false, true
	}
	number = uint32(len(n.known) + 1)
	if len(n.known) == n.limit {
		oldest := n.known[n.oldest[0]]
		if oldest.batchID == batchID {
			return 0, false, false
		}
		number = oldest.number
		delete(n.known, n.oldest[0])
		n.oldest = n.oldest[1:]
	}
	n.known[key] = &numbered{number, batchID}
	n.oldest = append(n.oldest, key)
	return number, true, true
}

func encodeDestination(destination Destination, number uint32) *v1.Destination {
	return &v1.Destination{
		Number:         number,
		DestinationRef: destination.ref,
		Settings:       &v1.Destination_ConfigJson{ConfigJson: []byte(destination.config)},
	}
}

func encodeConnection(connection Connection, number uint32) *v1.Connection {
	return &v1.Connection{
		Number:        number,
		ConnectionRef: connection.ref,
		Settings:      &v1.Connection_ConfigJson{ConfigJson: []byte(connection.config)},
	}
}

package ciosidecar

import v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"

// referenceTable assigns the reference ids by which batches refer to destinations, or to source
// connections.
type referenceTable[K comparable] struct {
	maxIDs     int
	references map[K]*reference
	oldest     []K
}

// reference is a reference id and the last batch that refers to it. The id MUST NOT be declared
// again before that batch was sent.
type reference struct {
	id          int32
	lastBatchID int64
}

// newReferenceTable returns a table that assigns at most maxIDs ids, and at least one.
func newReferenceTable[K comparable](maxIDs int) *referenceTable[K] {
	return &referenceTable[K]{maxIDs: max(1, maxIDs), references: make(map[K]*reference)}
}

// assign returns the reference id of key for an item of a batch. The zero key has the id 0.
//
// If isNew is true, the id MUST be declared before the batch is sent. If all ids are assigned, the
// oldest is assigned again; ok is false if the same batch already refers to that id.
func (t *referenceTable[K]) assign(key K, batchID int64) (id int32, isNew, ok bool) {
	var zero K
	if key == zero {
		return 0, false, true
	}
	if known := t.references[key]; known != nil {
		known.lastBatchID = batchID
		return known.id, false, true
	}
	id = int32(len(t.references) + 1)
	if len(t.references) == t.maxIDs {
		oldest := t.references[t.oldest[0]]
		if oldest.lastBatchID == batchID {
			return 0, false, false
		}
		id = oldest.id
		delete(t.references, t.oldest[0])
		t.oldest = t.oldest[1:]
	}
	t.references[key] = &reference{id, batchID}
	t.oldest = append(t.oldest, key)
	return id, true, true
}

func encodeDestination(destination Destination, referenceID int32) *v1.Destination {
	message := &v1.Destination{ReferenceId: referenceID, DestinationRef: destination.ref}
	// A declaration with neither ref nor config would fail the whole stream.
	if !destination.named || destination.ref == "" {
		message.Settings = &v1.Destination_ConfigJson{ConfigJson: []byte(destination.config)}
	}
	return message
}

func encodeConnection(connection SourceConnection, referenceID int32) *v1.SourceConnection {
	return &v1.SourceConnection{
		ReferenceId: referenceID,
		Settings:    &v1.SourceConnection_ConfigJson{ConfigJson: []byte(connection.config)},
	}
}

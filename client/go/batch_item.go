package ciosidecar

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

// BatchItem is one event, or one prepared request, with its options. Its payload is Event if that is
// set, else Prepared if that is set, else JSON.
//
// An item belongs to the client from Send until its result is received. Until then, the caller MUST
// NOT change the contents of JSON, Prepared and Tag. Send copies Event.
type BatchItem struct {
	// JSON is a RudderStack event as JSON: an object in UTF-8, as the caller already holds it. This
	// form is the fastest and loses nothing. If it is not valid JSON, the result has the error
	// INVALID_JSON.
	JSON []byte
	// Event is a RudderStack event as fields.
	Event *v1.RudderEvent
	// Prepared is a request that an earlier call returned, to be delivered as it is. Allowed only
	// with delivery.
	Prepared *v1.PreparedRequest

	// Destination is the item's destination. Optional. Defaults to the destination of the stream or
	// the call. Not needed with Prepared, which contains its own address.
	Destination Destination
	// Connection is the item's connection, for records and audiences. Optional.
	Connection SourceConnection
	// SourceType is the type of the event's source: web, android, cloud, … Optional. If empty, the
	// event's channel decides.
	SourceType string
	// OrderingKey is the key of items that are delivered one after another. Optional. If empty, the
	// items of each person are. Used only with delivery.
	OrderingKey string
	// Attempt is the number of times that the caller has already sent this item. It MUST NOT be
	// negative. With delivery, an item with an Attempt above 0 is not blocked by failures that the
	// caller already knows of.
	Attempt int32
	// DontBatch, if true, prevents the item from sharing a request with another item.
	DontBatch bool
	// Traceparent is the W3C trace context of the item. Optional.
	Traceparent string
	// Tag is any bytes, at most 4096. Optional. Result.Tag repeats them if the result has more than
	// a status.
	Tag []byte

	// Attachment is any object of the caller. Result.Attachment returns it. It never leaves the
	// process.
	Attachment any
}

// maxEventBytes is the largest size of an item's payload: a message has at most 64 MiB, of which
// 64 KiB are reserved for the other fields.
const maxEventBytes = maxMessageBytes - 64<<10

var errNegativeAttempt = errors.New("ciosidecar: an item's Attempt must not be negative")

// check returns the number of bytes that the item's payload counts. It returns an error for an item
// that cannot be sent; a string that is not UTF-8 would end the whole stream.
func (i *BatchItem) check() (size int, err error) {
	if i.Destination == (Destination{}) && i.Prepared == nil {
		return 0, ErrNoDestination
	}
	if i.Attempt < 0 {
		return 0, errNegativeAttempt
	}
	for _, field := range [...]struct{ name, text string }{
		{"SourceType", i.SourceType}, {"OrderingKey", i.OrderingKey}, {"Traceparent", i.Traceparent},
	} {
		if !utf8.ValidString(field.text) {
			return 0, fmt.Errorf("ciosidecar: an item's %s is not UTF-8", field.name)
		}
	}
	size = len(i.JSON)
	switch {
	case i.Event != nil:
		if nestedTooDeeply(i.Event) {
			return 0, errNestedTooDeeply
		}
		i.Event = proto.CloneOf(i.Event)
		size, err = encodedSize(i.Event)
	case i.Prepared != nil:
		size, err = encodedSize(i.Prepared)
	}
	if err == nil && size > maxEventBytes {
		err = fmt.Errorf("ciosidecar: an item has %d bytes; the limit is %d", size, maxEventBytes)
	}
	return size, err
}

func encodedSize(message proto.Message) (int, error) {
	encoded, err := proto.Marshal(message)
	if err != nil {
		return 0, fmt.Errorf("ciosidecar: an item cannot be encoded: %w", err)
	}
	return len(encoded), nil
}

// encode returns the item as a message that refers to its destination and connection by their
// reference ids.
func (i *BatchItem) encode(destination, connection int32) *v1.BatchItem {
	encoded := &v1.BatchItem{
		Destination: destination,
		Connection:  connection,
		SourceType:  i.SourceType,
		OrderingKey: i.OrderingKey,
		Attempt:     i.Attempt,
		DontBatch:   i.DontBatch,
		Traceparent: i.Traceparent,
		Tag:         i.Tag,
	}
	switch {
	case i.Event != nil:
		encoded.Payload = &v1.BatchItem_Event{Event: i.Event}
	case i.Prepared != nil:
		encoded.Payload = &v1.BatchItem_Prepared{Prepared: i.Prepared}
	default:
		encoded.Payload = &v1.BatchItem_Json{Json: i.JSON}
	}
	return encoded
}

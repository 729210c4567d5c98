package ciosidecar

import (
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

// Item is one event, or one prepared request, and what its sender wants said about it. Its payload
// is Message or Prepared if set, else JSON.
//
// An item belongs to the client from the moment it is sent until its result is taken: what JSON,
// Prepared and Tag point to must not be changed meanwhile. A Message is copied.
type Item struct {
	// JSON is one RudderStack event in UTF-8, as the caller already holds it: the fast way, and
	// the one that keeps every digit. What is no JSON is refused in its result.
	JSON []byte
	// Message is one RudderStack event built field by field.
	Message *v1.Message
	// Prepared is a request of an earlier transform that is only to be delivered, on a stream
	// that delivers.
	Prepared *v1.PreparedRequest

	// Destination is where it goes; if zero, where the stream or call goes by default. A prepared
	// request needs none: it says itself where it goes.
	Destination Destination
	// Connection is for records and audiences; zero for none.
	Connection Connection
	// SourceType is the type of the source that sent the event: web, android, cloud, … If empty,
	// the event's channel decides.
	SourceType string
	// OrderingKey makes items that share it be delivered one after another. If empty, the person
	// does. Read only on a stream that delivers.
	OrderingKey string
	// Attempt says how often the caller has tried this item before; 0 the first time. It changes
	// the order: on a stream that delivers, an item that was tried before is never held back for
	// an earlier failure of the same person, because the caller knows of it.
	Attempt uint32
	// DontBatch keeps the item's requests from covering any other item.
	DontBatch bool
	// Traceparent is the item's W3C trace context.
	Traceparent string
	// Tag is at most 4096 bytes that come back as Result.Tag where the result has anything to say
	// but its status.
	Tag []byte

	// Value is anything of the caller's. It comes back as Result.Value and never leaves the
	// process.
	Value any
}

// maxEventBytes is what an item may have: a message holds 64 MiB, and its other fields need room.
const maxEventBytes = maxMessageBytes - 64<<10

// check is what the item's payload counts against limits in bytes, or what keeps the item from
// travelling: a text that is not UTF-8 would end the whole stream.
func (i *Item) check() (size int, err error) {
	if i.Destination == (Destination{}) && i.Prepared == nil {
		return 0, ErrNoDestination
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
	case i.Message != nil:
		if nestedTooDeeply(i.Message) {
			return 0, errNestedTooDeeply
		}
		i.Message = proto.CloneOf(i.Message)
		size, err = encodedSize(i.Message)
	case i.Prepared != nil:
		size, err = encodedSize(i.Prepared)
	}
	if err == nil && size > maxEventBytes {
		err = fmt.Errorf("ciosidecar: an item has %d bytes, %d at most travel", size, maxEventBytes)
	}
	return size, err
}

func encodedSize(message proto.Message) (int, error) {
	encoded, err := proto.Marshal(message)
	if err != nil {
		return 0, fmt.Errorf("ciosidecar: an item that cannot be sent: %w", err)
	}
	return len(encoded), nil
}

// encode is the item as it travels, under the numbers of its destination and connection.
func (i *Item) encode(destination, connection uint32) *v1.Item {
	found := &v1.Item{
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
	case i.Message != nil:
		found.Payload = &v1.Item_Message{Message: i.Message}
	case i.Prepared != nil:
		found.Payload = &v1.Item_Prepared{Prepared: i.Prepared}
	default:
		found.Payload = &v1.Item_Json{Json: i.JSON}
	}
	return found
}

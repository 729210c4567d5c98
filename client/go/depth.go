package ciosidecar

import (
	"errors"

	"google.golang.org/protobuf/types/known/structpb"

	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

// maxDepth is the number of levels of messages that the sidecar's protobuf reads below a call's own
// message. An item that nests more deeply fails the whole call, with all other items.
const maxDepth = 100

// structDepth is the level of a Struct in an event: request, batch, item, event, JsonObject, Struct.
const structDepth = 5

var errNestedTooDeeply = errors.New(
	"ciosidecar: an item's fields are nested too deeply for protobuf: send the event as JSON")

// nestedTooDeeply reports whether the event has more levels than the sidecar reads.
func nestedTooDeeply(event *v1.RudderEvent) bool {
	for _, object := range []*v1.JsonObject{
		event.GetTraits(), event.GetProperties(), event.GetContext(), userProperties(event),
		event.GetIdentifiers(),
	} {
		if structTooDeep(object.GetFields(), structDepth) {
			return true
		}
	}
	return false
}

// userProperties returns a field that RudderStack deprecated. Callers may still send it, and it
// counts like the others.
func userProperties(event *v1.RudderEvent) *v1.JsonObject {
	//lint:ignore SA1019 events of old SDKs have the field.
	return event.GetUserProperties()
}

func structTooDeep(object *structpb.Struct, depth int) bool {
	if depth > maxDepth {
		return true
	}
	for _, value := range object.GetFields() {
		// Each field is an entry of a map, a message of its own that contains the value.
		if valueTooDeep(value, depth+2) {
			return true
		}
	}
	return false
}

func valueTooDeep(value *structpb.Value, depth int) bool {
	if depth > maxDepth {
		return true
	}
	switch kind := value.GetKind().(type) {
	case *structpb.Value_StructValue:
		return structTooDeep(kind.StructValue, depth+1)
	case *structpb.Value_ListValue:
		for _, element := range kind.ListValue.GetValues() {
			if valueTooDeep(element, depth+2) {
				return true
			}
		}
		return depth+1 > maxDepth
	}
	return false
}

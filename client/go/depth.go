package ciosidecar

import (
	"errors"

	"google.golang.org/protobuf/types/known/structpb"

	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

// maxDepth is how many levels of messages the sidecar's protobuf reads, below a call's own message.
// One that is nested more deeply fails the whole call, with every other item in it.
const maxDepth = 100

// structDepth is the level of a Struct that is a field of an event: request, batch, item, message,
// Json, Struct.
const structDepth = 5

var errNestedTooDeeply = errors.New(
	"ciosidecar: an item's fields are nested too deeply for protobuf: send the event as JSON")

// nestedTooDeeply tells whether the sidecar could not read the event.
func nestedTooDeeply(event *v1.Message) bool {
	for _, one := range []*v1.Json{
		event.GetTraits(), event.GetProperties(), event.GetContext(), event.GetUserProperties(),
		event.GetIdentifiers(),
	} {
		if structTooDeep(one.GetFields(), structDepth) {
			return true
		}
	}
	return false
}

func structTooDeep(fields *structpb.Struct, depth int) bool {
	if depth > maxDepth {
		return true
	}
	for _, value := range fields.GetFields() {
		// A field is an entry of a map, which holds the value.
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
		for _, one := range kind.ListValue.GetValues() {
			if valueTooDeep(one, depth+2) {
				return true
			}
		}
		return depth+1 > maxDepth
	}
	return false
}

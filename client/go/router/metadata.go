package router

import (
	"bytes"
	"encoding/json"
)

// withDontBatch is a job's metadata with "dontBatch": true, everything else byte for byte.
// Metadata that is no object comes back as it is.
func withDontBatch(metadata json.RawMessage) json.RawMessage {
	decoder := json.NewDecoder(bytes.NewReader(metadata))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return metadata
	}
	empty := !decoder.More()
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return metadata
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return metadata
		}
		if name == "dontBatch" {
			end := int(decoder.InputOffset())
			return splice(metadata, end-len(value), end, "true")
		}
	}
	if _, err := decoder.Token(); err != nil {
		return metadata
	}
	end := int(decoder.InputOffset()) - 1
	if empty {
		return splice(metadata, end, end, `"dontBatch":true`)
	}
	return splice(metadata, end, end, `,"dontBatch":true`)
}

// splice is the text with a part of it replaced; the text itself stays as it is.
func splice(text []byte, from, to int, replacement string) []byte {
	found := make([]byte, 0, len(text)+len(replacement))
	found = append(found, text[:from]...)
	found = append(found, replacement...)
	return append(found, text[to:]...)
}

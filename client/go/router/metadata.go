package router

import (
	"bytes"
	"encoding/json"
)

// withDontBatch returns a job's metadata with "dontBatch": true and everything else byte for byte.
// Metadata that is not a JSON object is returned unchanged.
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

// splice returns a copy of the text in which a part is replaced.
func splice(text []byte, from, to int, replacement string) []byte {
	spliced := make([]byte, 0, len(text)+len(replacement))
	spliced = append(spliced, text[:from]...)
	spliced = append(spliced, replacement...)
	return append(spliced, text[to:]...)
}

package router

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
)

// PostParameters is a request as a router holds it.
type PostParameters struct {
	Version      string            `json:"version,omitempty"`
	Type         string            `json:"type"`
	Method       string            `json:"method"`
	Endpoint     string            `json:"endpoint"`
	EndpointPath string            `json:"endpointPath,omitempty"`
	UserID       string            `json:"userId"`
	Headers      map[string]string `json:"headers"`
	// Params become the query.
	Params map[string]json.RawMessage `json:"params"`
	// Body has one of JSON, JSON_ARRAY, XML, FORM and GZIP that is not empty, or none.
	Body  map[string]json.RawMessage `json:"body"`
	Files map[string]json.RawMessage `json:"files"`
}

// batchedRequest is the requests of one output as its batchedRequest.
func batchedRequest(jobs []answeredJob, requests []ciosidecar.Request) json.RawMessage {
	var text []byte
	if len(requests) == 1 {
		return appendRequest(text, jobs, &requests[0])
	}
	for index := range requests {
		text = appendRequest(append(text, "[,"[min(index, 1)]), jobs, &requests[index])
	}
	return append(text, ']')
}

// appendRequest writes a request as PostParameters, its body as bytes: encoding/json would take
// the white space out of it.
func appendRequest(text []byte, jobs []answeredJob, request *ciosidecar.Request) []byte {
	text = append(text, `{"version":"1","type":"REST","method":`...)
	text = appendString(text, request.Method)
	text = append(text, `,"endpoint":`...)
	text = appendString(text, request.URL)
	text = append(text, `,"endpointPath":`...)
	text = appendString(text, request.EndpointPath)
	text = append(text, `,"userId":`...)
	userID := ""
	if len(request.Positions) == 1 {
		userID = jobs[request.Positions[0]].metadata.UserID
	}
	text = appendString(text, userID)
	text = append(text, `,"headers":{`...)
	names := make([]string, 0, len(request.Headers))
	for name := range request.Headers {
		names = append(names, name)
	}
	slices.Sort(names)
	for index, name := range names {
		if index != 0 {
			text = append(text, ',')
		}
		text = append(appendString(text, name), ':')
		text = appendString(text, request.Headers[name])
	}
	text = append(text, `},"params":{},"body":`...)
	text = appendBody(text, request.Body, jobIDs(jobs, request.Positions))
	return append(text, `,"files":{}}`...)
}

// appendBody writes a body in the form that a router sends unharmed.
//
// A router decodes JSON into float64s and maps, and sends nothing for an empty object: that form
// is for bodies that survive it. Any other goes as JSON_ARRAY, whose text a router sends as it
// stands, under the same content type. So does one that covers several jobs, because that form has
// room for their ids, by which a [Deliverer] knows whose item was refused.
func appendBody(text, body []byte, jobs []string) []byte {
	switch {
	case len(body) == 0:
		return append(text, `{"JSON":{},"JSON_ARRAY":{},"XML":{},"FORM":{}}`...)
	case len(jobs) == 0 && survivesDecoding(body):
		text = append(append(text, `{"JSON":`...), body...)
		return append(text, `,"JSON_ARRAY":{},"XML":{},"FORM":{}}`...)
	}
	text = append(text, `{"JSON":{},"JSON_ARRAY":{"batch":`...)
	text = appendString(text, string(body))
	if len(jobs) != 0 {
		text = append(text, `,"jobIds":["`...)
		text = append(append(text, strings.Join(jobs, `","`)...), `"]`...)
	}
	return append(text, `},"XML":{},"FORM":{}}`...)
}

// jobIDs are those of the jobs that the items of a shared request's body belong to, item by item;
// none if it is not shared, or if a job has no id that is a number.
func jobIDs(jobs []answeredJob, positions []uint64) []string {
	if len(positions) < 2 {
		return nil
	}
	ids := make([]string, len(positions))
	for index, position := range positions {
		id := string(jobs[position].metadata.JobID)
		if id == "" || strings.Trim(id, "0123456789") != "" {
			return nil
		}
		ids[index] = id
	}
	return ids
}

// survivesDecoding tells whether an object is the same after it was decoded into Go's map[string]any
// and encoded again: it is not empty, and a float64 holds each of its numbers.
func survivesDecoding(body []byte) bool {
	body = bytes.TrimSpace(body)
	if len(body) < 2 || body[0] != '{' || len(bytes.TrimSpace(body[1:len(body)-1])) == 0 {
		return false
	}
	for index := 0; index < len(body); {
		switch letter := body[index]; {
		case letter == '"':
			index = afterString(body, index)
		case letter == '-' || letter >= '0' && letter <= '9':
			after := index
			for after < len(body) && bytes.IndexByte([]byte("-+.eE0123456789"), body[after]) >= 0 {
				after++
			}
			if !heldByFloat64(body[index:after]) {
				return false
			}
			index = after
		default:
			index++
		}
	}
	return true
}

// heldByFloat64 tells whether a number has at most the 15 digits that any float64 keeps, and no
// exponent, which would need a closer look.
func heldByFloat64(number []byte) bool {
	digits := 0
	for _, letter := range number {
		switch {
		case letter == 'e' || letter == 'E':
			return false
		case letter >= '1' && letter <= '9', letter == '0' && digits != 0:
			digits++
		}
	}
	return digits <= 15
}

// afterString is the index after a text that starts at one.
func afterString(body []byte, index int) int {
	for index++; index < len(body) && body[index] != '"'; index++ {
		if body[index] == '\\' {
			index++
		}
	}
	return index + 1
}

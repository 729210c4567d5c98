package router

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
)

// PostParameters is a request in the form that a router holds.
type PostParameters struct {
	Version      string            `json:"version,omitempty"`
	Type         string            `json:"type"`
	Method       string            `json:"method"`
	Endpoint     string            `json:"endpoint"`
	EndpointPath string            `json:"endpointPath,omitempty"`
	UserID       string            `json:"userId"`
	Headers      map[string]string `json:"headers"`
	// Params are added to the query of the endpoint.
	Params map[string]json.RawMessage `json:"params"`
	// Body has at most one form that is not empty: JSON, JSON_ARRAY, XML, FORM or GZIP.
	Body  map[string]json.RawMessage `json:"body"`
	Files map[string]json.RawMessage `json:"files"`
}

// batchedRequest returns the requests of one output as PostParameters: one object, or an array. The
// members are the indexes of the output's jobs.
func batchedRequest(jobs []answeredJob, requests []ciosidecar.APIRequest, members []int) json.RawMessage {
	var text []byte
	if len(requests) == 1 {
		return appendRequest(text, jobs, &requests[0], inOrderOf(members, requests[0].Positions))
	}
	for index := range requests {
		text = appendRequest(append(text, "[,"[min(index, 1)]), jobs, &requests[index], false)
	}
	return append(text, ']')
}

// inOrderOf reports whether the n-th item of a request belongs to the n-th job of its output.
func inOrderOf(members []int, positions []int64) bool {
	return slices.EqualFunc(members, positions, func(member int, position int64) bool {
		return int64(member) == position
	})
}

// eventUserID returns the event's own userId as text. It is empty if the event has none. It looks at the top level
// of a valid object only, because decoding the whole event would cost more than all the rest of an output.
func eventUserID(message json.RawMessage) string {
	var value []byte
	depth := 0
	for index := 0; index < len(message); index++ {
		switch message[index] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '"':
			end := min(afterString(message, index), len(message))
			if depth == 1 && string(message[index:end]) == `"userId"` {
				if text, isMember := bytes.CutPrefix(bytes.TrimLeft(message[end:], " \t\r\n"), []byte(":")); isMember {
					value = scalar(bytes.TrimLeft(text, " \t\r\n"))
				}
			}
			index = end - 1
		}
	}
	var text string
	switch {
	case len(value) != 0 && value[0] == '"' && json.Unmarshal(value, &text) == nil:
		return text
	case strings.Trim(string(value), "0123456789") == "":
		return string(value)
	}
	return ""
}

// scalar returns the string, number or word that a text begins with. It is empty for an object or an array.
func scalar(text []byte) []byte {
	if len(text) != 0 && text[0] == '"' {
		return text[:min(afterString(text, 0), len(text))]
	}
	end := bytes.IndexAny(text, ",}]{[ \t\r\n")
	return text[:max(end, 0)]
}

// appendRequest appends a request as PostParameters, with the body byte for byte; encoding/json would
// remove the white space.
func appendRequest(text []byte, jobs []answeredJob, request *ciosidecar.APIRequest, inOrder bool) []byte {
	text = append(text, `{"version":"1","type":"REST","method":`...)
	text = appendString(text, request.Method)
	text = append(text, `,"endpoint":`...)
	text = appendString(text, request.URL)
	text = append(text, `,"endpointPath":`...)
	text = appendString(text, request.EndpointPath)
	text = append(text, `,"userId":`...)
	userID := ""
	if len(request.Positions) == 1 {
		userID = eventUserID(jobs[request.Positions[0]].job.Message)
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
	text = appendBody(text, request.Body, jobIDs(jobs, request.Positions), inOrder)
	return append(text, `,"files":{}}`...)
}

// appendBody appends a body in a form that a router sends without loss.
//
// A router decodes the form JSON into float64s and maps, and sends no body for an empty object. So
// appendBody uses JSON only for bodies that stay the same. For others it uses JSON_ARRAY, whose text
// a router sends unchanged with the same content type.
//
// A [Deliverer] must find the jobs of the items that Customer.io refused. If the items are in the order
// of the output's metadata, which a router keeps, that order is enough. Otherwise appendBody uses
// JSON_ARRAY, which has room for the job ids.
func appendBody(text, body []byte, jobs []string, inOrder bool) []byte {
	switch {
	case len(body) == 0:
		return append(text, `{"JSON":{},"JSON_ARRAY":{},"XML":{},"FORM":{}}`...)
	case (len(jobs) == 0 || inOrder) && survivesDecoding(body):
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

// jobIDs returns the job id of each item of a shared request's body. It returns none if the request
// covers one job, or if a job id is not a number.
func jobIDs(jobs []answeredJob, positions []int64) []string {
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

// survivesDecoding reports whether an object stays the same if it is decoded into a map[string]any and
// encoded again: it is not empty, and a float64 holds each of its numbers.
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

// heldByFloat64 reports whether a number has at most 15 digits, which every float64 holds, and no
// exponent. Numbers with an exponent are not examined further.
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

// afterString returns the index after the string that starts at an index.
func afterString(body []byte, index int) int {
	for index++; index < len(body) && body[index] != '"'; index++ {
		if body[index] == '\\' {
			index++
		}
	}
	return index + 1
}

package router

import (
	"encoding/json"
	"slices"
	"strconv"
	"unicode/utf8"
)

// AppendJSON appends the response as JSON, with all parts of the request byte for byte. The output of
// encoding/json has the same meaning, but without white space, and with <, > and & escaped.
func (r *TransformResponse) AppendJSON(text []byte) []byte {
	text = append(text, `{"output":[`...)
	for index := range r.Output {
		if index != 0 {
			text = append(text, ',')
		}
		text = r.Output[index].appendJSON(text)
	}
	return append(text, `]}`...)
}

func (j *DestinationJob) appendJSON(text []byte) []byte {
	text = append(text, '{')
	for _, member := range []struct {
		name string
		text json.RawMessage
	}{{"batchedRequest", j.BatchedRequest}, {"destination", j.Destination}, {"connection", j.Connection}} {
		if len(member.text) != 0 {
			text = append(append(append(text, '"'), member.name...), `":`...)
			text = append(append(text, member.text...), ',')
		}
	}
	text = append(text, `"metadata":[`...)
	for index, metadata := range j.Metadata {
		if index != 0 {
			text = append(text, ',')
		}
		text = appendRaw(text, metadata)
	}
	text = strconv.AppendBool(append(text, `],"batched":`...), j.Batched)
	text = strconv.AppendInt(append(text, `,"statusCode":`...), int64(j.StatusCode), 10)
	return append(appendFailure(text, j.Error, j.StatTags), '}')
}

// appendFailure appends the members that only a failed output has.
func appendFailure(text []byte, message string, tags map[string]string) []byte {
	if message != "" {
		text = appendString(append(text, `,"error":`...), message)
	}
	if len(tags) != 0 {
		text = appendTags(append(text, `,"statTags":`...), tags)
	}
	return text
}

// AppendJSON appends the response as JSON, with the metadata of the jobs byte for byte.
func (r *ProxyResponse) AppendJSON(text []byte) []byte {
	text = strconv.AppendInt(append(text, `{"output":{"status":`...), int64(r.Output.Status), 10)
	text = appendString(append(text, `,"message":`...), r.Output.Message)
	text = append(text, `,"response":[`...)
	for index, job := range r.Output.Response {
		if index != 0 {
			text = append(text, ',')
		}
		text = strconv.AppendInt(append(text, `{"statusCode":`...), int64(job.StatusCode), 10)
		text = appendRaw(append(text, `,"metadata":`...), job.Metadata)
		text = append(appendString(append(text, `,"error":`...), job.Error), '}')
	}
	text = append(text, ']')
	return append(appendFailure(text, "", r.Output.StatTags), `}}`...)
}

// AppendJSONV0 appends the response in the form of proxy v0, which has one result for all jobs. In that
// form the router takes the status of the jobs from the status of the HTTP response: V0Status.
func (r *ProxyResponse) AppendJSONV0(text []byte) []byte {
	text = strconv.AppendInt(append(text, `{"output":{"status":`...), int64(r.V0Status()), 10)
	text = appendString(append(text, `,"message":`...), r.Output.Message)
	text = appendString(append(text, `,"destinationResponse":{"response":`...), r.v0Error())
	text = strconv.AppendInt(append(text, `,"status":`...), int64(r.Output.DestinationStatus), 10)
	text = append(text, '}')
	return append(appendFailure(text, "", r.Output.StatTags), `}}`...)
}

func appendTags(text []byte, tags map[string]string) []byte {
	names := make([]string, 0, len(tags))
	for name := range tags {
		names = append(names, name)
	}
	slices.Sort(names)
	for index, name := range names {
		text = append(text, "{,"[min(index, 1)])
		text = append(appendString(text, name), ':')
		text = appendString(text, tags[name])
	}
	return append(text, '}')
}

func appendRaw(text []byte, raw json.RawMessage) []byte {
	if len(raw) == 0 {
		return append(text, "null"...)
	}
	return append(text, raw...)
}

// appendString appends a JSON string with only the necessary escapes. Bytes that are not UTF-8 become
// U+FFFD.
func appendString(text []byte, value string) []byte {
	text = append(text, '"')
	for _, letter := range value {
		switch {
		case letter == '"' || letter == '\\':
			text = append(text, '\\', byte(letter))
		case letter < ' ':
			const digits = "0123456789abcdef"
			text = append(text, `\u00`...)
			text = append(text, digits[letter>>4], digits[letter&0xf])
		default:
			text = utf8.AppendRune(text, letter)
		}
	}
	return append(text, '"')
}

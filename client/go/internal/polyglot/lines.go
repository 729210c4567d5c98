package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"sync/atomic"

	"google.golang.org/protobuf/types/known/structpb"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

// inputLines reads line by line, no sooner than it is asked.
type inputLines struct {
	reader       *bufio.Reader
	destinations []ciosidecar.Destination
	fields       map[string]saidFields
	typed        []int
	read         atomic.Int64
}

// next is the next line without its end; io.EOF after the last.
func (l *inputLines) next() ([]byte, error) {
	line, err := l.reader.ReadBytes('\n')
	if len(line) == 0 || (err != nil && err != io.EOF) {
		return nil, err
	}
	l.read.Add(1)
	return bytes.TrimSuffix(line, []byte("\n")), nil
}

// item reads one event, INDEX<TAB>EVENT, with its index in the input; io.EOF after the last.
func (l *inputLines) item() (int, ciosidecar.Item, error) {
	index := l.count()
	line, err := l.next()
	if err != nil {
		return index, ciosidecar.Item{}, err
	}
	config, event, found := bytes.Cut(line, []byte("\t"))
	number, err := strconv.Atoi(string(config))
	if !found || err != nil || number < 0 || number >= len(l.destinations) {
		return index, ciosidecar.Item{}, errors.New("a line that is not INDEX<TAB>EVENT")
	}
	said := l.fields[strconv.Itoa(index)]
	item := ciosidecar.Item{
		JSON: event, Destination: l.destinations[number],
		SourceType: said.SourceType, OrderingKey: said.OrderingKey, Attempt: said.Attempt,
		DontBatch: said.DontBatch, Traceparent: said.Traceparent, Tag: []byte(said.Tag),
	}
	if slices.Contains(l.typed, index) {
		item.Message, err = messageOf(event)
	}
	return index, item, err
}

// messageOf is the event built field by field.
func messageOf(event []byte) (*v1.Message, error) {
	var told struct {
		Type       string         `json:"type"`
		UserID     string         `json:"userId"`
		Event      string         `json:"event"`
		Properties map[string]any `json:"properties"`
	}
	if err := json.Unmarshal(event, &told); err != nil {
		return nil, err
	}
	fields, err := structpb.NewStruct(told.Properties)
	return &v1.Message{
		Type: told.Type, UserId: told.UserID, Event: told.Event,
		Properties: &v1.Json{Form: &v1.Json_Fields{Fields: fields}},
	}, err
}

// saidFields are what a scenario says about an event.
type saidFields struct {
	SourceType  string `json:"source_type"`
	OrderingKey string `json:"ordering_key"`
	Attempt     uint32 `json:"attempt"`
	DontBatch   bool   `json:"dont_batch"`
	Traceparent string `json:"traceparent"`
	Tag         string `json:"tag"`
}

// count is how many lines were read after the first.
func (l *inputLines) count() int { return int(l.read.Load()) }

// answerLines writes one JSON object a line, each at once.
type answerLines struct {
	output      io.Writer
	answers     int
	cancelAfter int
	cancel      func()
	closeAfter  int
	close       func()
}

func (a *answerLines) write(line any) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(line); err != nil {
		return err
	}
	_, err := a.output.Write(text.Bytes())
	return err
}

type answerLine struct {
	Position     uint64        `json:"position"`
	Status       int           `json:"status"`
	OK           bool          `json:"ok"`
	Requests     []requestLine `json:"requests"`
	Error        *errorLine    `json:"error,omitempty"`
	Warnings     []warningLine `json:"warnings,omitempty"`
	Tag          string        `json:"tag,omitempty"`
	FilterReason string        `json:"filter_reason,omitempty"`
	Delivery     *deliveryLine `json:"delivery,omitempty"`
}

type requestLine struct {
	Method       string            `json:"method"`
	URL          string            `json:"url"`
	EndpointPath string            `json:"endpoint_path"`
	Headers      map[string]string `json:"headers"`
	Body         string            `json:"body"`
	Positions    []uint64          `json:"positions"`
}

type errorLine struct {
	Code         string  `json:"code"`
	Type         string  `json:"type"`
	Message      string  `json:"message"`
	Retryable    bool    `json:"retryable"`
	RetryAfterMS int64   `json:"retry_after_ms,omitempty"`
	BlockedBy    *uint64 `json:"blocked_by,omitempty"`
}

type warningLine struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

type deliveryLine struct {
	Attempts    uint32       `json:"attempts"`
	HTTPStatus  int          `json:"http_status"`
	Reason      string       `json:"reason"`
	Field       string       `json:"field"`
	LatencyMS   int64        `json:"latency_ms"`
	FailedItems []failedLine `json:"failed_items"`
}

type failedLine struct {
	Index  int    `json:"index"`
	Reason string `json:"reason"`
	Field  string `json:"field"`
}

// answer writes a result, and cancels the call once so many are out.
func (a *answerLines) answer(result *ciosidecar.Result) error {
	line := answerLine{
		Position:     result.Position,
		Status:       result.Status,
		OK:           result.OK(),
		Tag:          string(result.Tag),
		Requests:     []requestLine{},
		FilterReason: result.FilterReason,
	}
	for _, one := range result.Requests {
		line.Requests = append(line.Requests, requestLine{
			one.Method, one.URL, one.EndpointPath, one.Headers, string(one.Body), one.Positions,
		})
	}
	if one := result.Error; one != nil {
		line.Error = &errorLine{
			one.Code, one.Type, one.Message, one.Retryable, one.RetryAfter.Milliseconds(), one.BlockedBy,
		}
	}
	for _, one := range result.Warnings {
		line.Warnings = append(line.Warnings, warningLine(one))
	}
	if one := result.Delivery; one != nil {
		line.Delivery = &deliveryLine{
			one.Attempts, one.HTTPStatus, one.Reason, one.Field, one.Latency.Milliseconds(), []failedLine{},
		}
		for _, item := range one.FailedItems {
			line.Delivery.FailedItems = append(line.Delivery.FailedItems, failedLine(item))
		}
	}
	if err := a.write(line); err != nil {
		return err
	}
	a.answers++
	if a.answers == a.cancelAfter {
		a.cancel()
	}
	if a.answers == a.closeAfter {
		a.close()
	}
	return nil
}

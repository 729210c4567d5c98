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

// inputLines reads the input line by line, not before a line is needed.
type inputLines struct {
	reader       *bufio.Reader
	destinations []ciosidecar.Destination
	options      map[string]itemOptions
	typed        []int
	read         atomic.Int64
}

// next returns the next line without its end, or io.EOF after the last line.
func (l *inputLines) next() ([]byte, error) {
	line, err := l.reader.ReadBytes('\n')
	if len(line) == 0 || (err != nil && err != io.EOF) {
		return nil, err
	}
	l.read.Add(1)
	return bytes.TrimSuffix(line, []byte("\n")), nil
}

// item returns the next event, INDEX<TAB>EVENT, and its index in the input, or io.EOF after the last.
func (l *inputLines) item() (int, ciosidecar.BatchItem, error) {
	index := l.count()
	line, err := l.next()
	if err != nil {
		return index, ciosidecar.BatchItem{}, err
	}
	config, event, hasTab := bytes.Cut(line, []byte("\t"))
	destination, err := strconv.Atoi(string(config))
	if !hasTab || err != nil || destination < 0 || destination >= len(l.destinations) {
		return index, ciosidecar.BatchItem{}, errors.New("a line that is not INDEX<TAB>EVENT")
	}
	options := l.options[strconv.Itoa(index)]
	item := ciosidecar.BatchItem{
		JSON: event, Destination: l.destinations[destination],
		SourceType: options.SourceType, OrderingKey: options.OrderingKey, Attempt: options.Attempt,
		DontBatch: options.DontBatch, Traceparent: options.Traceparent, Tag: []byte(options.Tag),
	}
	if slices.Contains(l.typed, index) {
		item.Event, err = typedEvent(event)
	}
	return index, item, err
}

// typedEvent returns the event as fields.
func typedEvent(event []byte) (*v1.RudderEvent, error) {
	var decoded struct {
		Type       string         `json:"type"`
		UserID     string         `json:"userId"`
		Event      string         `json:"event"`
		Properties map[string]any `json:"properties"`
	}
	if err := json.Unmarshal(event, &decoded); err != nil {
		return nil, err
	}
	fields, err := structpb.NewStruct(decoded.Properties)
	return &v1.RudderEvent{
		Type: decoded.Type, UserId: decoded.UserID, Event: decoded.Event,
		Properties: &v1.JsonObject{Form: &v1.JsonObject_Fields{Fields: fields}},
	}, err
}

// itemOptions are the options of one event in a scenario.
type itemOptions struct {
	SourceType  string `json:"source_type"`
	OrderingKey string `json:"ordering_key"`
	Attempt     int32  `json:"attempt"`
	DontBatch   bool   `json:"dont_batch"`
	Traceparent string `json:"traceparent"`
	Tag         string `json:"tag"`
}

// items returns all remaining events.
func (l *inputLines) items() ([]ciosidecar.BatchItem, error) {
	var items []ciosidecar.BatchItem
	for {
		_, item, err := l.item()
		if err == io.EOF {
			return items, nil
		}
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
}

// count returns the number of lines that were read after the first.
func (l *inputLines) count() int { return int(l.read.Load()) }

// answerLines writes one JSON object a line, without buffering.
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
	Position     int64         `json:"position"`
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
	Positions    []int64           `json:"positions"`
}

type errorLine struct {
	Code         string `json:"code"`
	Type         string `json:"type"`
	Message      string `json:"message"`
	Retryable    bool   `json:"retryable"`
	RetryAfterMS int64  `json:"retry_after_ms,omitempty"`
	BlockedBy    *int64 `json:"blocked_by,omitempty"`
}

type warningLine struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

type deliveryLine struct {
	Attempts    int          `json:"attempts"`
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

// results writes the results of one call and returns its outcome.
func (a *answerLines) results(results []ciosidecar.Result, failure error, read int) (outcome, error) {
	for _, result := range results {
		if err := a.answer(&result); err != nil {
			return outcome{}, err
		}
	}
	return ended(failure, 0, read), nil
}

// answer writes a result. It cancels the call, or closes the client, after the number of results that the
// scenario sets.
func (a *answerLines) answer(result *ciosidecar.Result) error {
	line := answerLine{
		Position:     result.Position,
		Status:       result.Status,
		OK:           result.OK(),
		Tag:          string(result.Tag),
		Requests:     []requestLine{},
		FilterReason: result.FilterReason,
	}
	for _, request := range result.Requests {
		line.Requests = append(line.Requests, requestLine{
			request.Method, request.URL, request.EndpointPath, request.Headers, string(request.Body),
			request.Positions,
		})
	}
	if eventError := result.Error; eventError != nil {
		line.Error = &errorLine{
			eventError.Code, eventError.Type, eventError.Message, eventError.Retryable,
			eventError.RetryAfter.Milliseconds(), eventError.BlockedBy,
		}
	}
	for _, warning := range result.Warnings {
		line.Warnings = append(line.Warnings, warningLine(warning))
	}
	if report := result.Delivery; report != nil {
		line.Delivery = &deliveryLine{
			report.Attempts, report.HTTPStatus, report.Reason, report.Field,
			report.Latency.Milliseconds(), []failedLine{},
		}
		for _, item := range report.FailedItems {
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

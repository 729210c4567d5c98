package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync/atomic"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
)

// inputLines reads line by line, no sooner than it is asked.
type inputLines struct {
	reader       *bufio.Reader
	destinations []ciosidecar.Destination
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

// each reads events, INDEX<TAB>EVENT, until take fails or there are no more.
func (l *inputLines) each(take func(ciosidecar.Item) error) error {
	for {
		line, err := l.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		index, event, found := bytes.Cut(line, []byte("\t"))
		number, err := strconv.Atoi(string(index))
		if !found || err != nil || number < 0 || number >= len(l.destinations) {
			return errors.New("a line that is not INDEX<TAB>EVENT")
		}
		if err := take(ciosidecar.Item{JSON: event, Destination: l.destinations[number]}); err != nil {
			return err
		}
	}
}

// count is how many lines were read after the first.
func (l *inputLines) count() int { return int(l.read.Load()) }

// answerLines writes one JSON object a line, each at once.
type answerLines struct {
	output      io.Writer
	answers     int
	cancelAfter int
	cancel      func()
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
	Requests     []requestLine `json:"requests"`
	Error        *errorLine    `json:"error,omitempty"`
	Warnings     []string      `json:"warnings,omitempty"`
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
	Code      string `json:"code"`
	Type      string `json:"type"`
	Message   string `json:"message"`
	Retryable bool   `json:"retryable"`
}

type deliveryLine struct {
	Attempts   uint32 `json:"attempts"`
	HTTPStatus int    `json:"http_status"`
	Reason     string `json:"reason"`
}

// answer writes a result, and cancels the call once so many are out.
func (a *answerLines) answer(result *ciosidecar.Result) error {
	line := answerLine{
		Position:     result.Position,
		Status:       result.Status,
		Requests:     []requestLine{},
		FilterReason: result.FilterReason,
	}
	for _, one := range result.Requests {
		line.Requests = append(line.Requests, requestLine{
			one.Method, one.URL, one.EndpointPath, one.Headers, string(one.Body), one.Positions,
		})
	}
	if one := result.Error; one != nil {
		line.Error = &errorLine{one.Code, strings.ToUpper(one.Type), one.Message, one.Retryable}
	}
	for _, one := range result.Warnings {
		line.Warnings = append(line.Warnings, one.Code)
	}
	if one := result.Delivery; one != nil {
		line.Delivery = &deliveryLine{one.Attempts, one.HTTPStatus, one.Reason}
	}
	if err := a.write(line); err != nil {
		return err
	}
	a.answers++
	if a.answers == a.cancelAfter {
		a.cancel()
	}
	return nil
}

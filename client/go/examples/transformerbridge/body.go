package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// body is the body of a request.
type body struct {
	// received is the body as it came, for the transformer.
	received []byte
	// text is the body without compression.
	text []byte
}

// bodyError is the reason why a body cannot be read, with the status of the answer.
type bodyError struct {
	status int
	reason string
}

func (e *bodyError) Error() string { return e.reason }

// readBody reads a body, which may be compressed with gzip.
func readBody(writer http.ResponseWriter, request *http.Request, limit int64) (*body, error) {
	received, err := readAll(http.MaxBytesReader(writer, request.Body, limit), request.ContentLength, limit)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, &bodyError{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d bytes", limit)}
	}
	if err != nil {
		return nil, &bodyError{http.StatusBadRequest, "the body cannot be read: " + err.Error()}
	}
	switch encoding := strings.ToLower(request.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
		return &body{received, received}, nil
	case "gzip":
		text, err := gunzip(received, limit)
		return &body{received, text}, err
	default:
		return nil, &bodyError{http.StatusUnsupportedMediaType, "the body has a Content-Encoding other than gzip"}
	}
}

func gunzip(compressed []byte, limit int64) ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil, &bodyError{http.StatusBadRequest, "the body is not gzip, as its Content-Encoding says"}
	}
	text, err := io.ReadAll(io.LimitReader(reader, limit+1))
	switch {
	case err != nil:
		return nil, &bodyError{http.StatusBadRequest, "the body's gzip is broken: " + err.Error()}
	case int64(len(text)) > limit:
		return nil, &bodyError{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d bytes after gunzip", limit)}
	}
	return text, nil
}

// readAll reads everything. It trusts the length that the caller names up to 1 MiB.
func readAll(reader io.Reader, length, limit int64) ([]byte, error) {
	var buffer bytes.Buffer
	buffer.Grow(int(max(0, min(length, limit, 1<<20))) + bytes.MinRead)
	_, err := buffer.ReadFrom(reader)
	return buffer.Bytes(), err
}

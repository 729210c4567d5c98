package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// answer writes an answer in JSON.
func answer(writer http.ResponseWriter, status int, text []byte) {
	writer.Header().Set("Content-Type", "application/json; charset=utf-8")
	writer.Header().Set("Content-Length", strconv.Itoa(len(text)))
	writer.WriteHeader(status)
	_, _ = writer.Write(text) // a caller that is gone needs no answer
}

// refuse writes an answer with the reason why the request cannot be processed.
func refuse(writer http.ResponseWriter, status int, reason string) {
	text, _ := json.Marshal(map[string]string{"error": reason}) // strings can always be encoded
	answer(writer, status, text)
}

// askAgain writes the answer that makes rudder-server send the request again, for ever. Without the header, it
// counts its tries, and stops the whole process after the last.
func askAgain(writer http.ResponseWriter, reason, message string) {
	writer.Header().Set("X-Rudder-Should-Retry", "true")
	writer.Header().Set("X-Rudder-Error-Reason", reason)
	refuse(writer, http.StatusServiceUnavailable, message)
}

func (b *bridge) answerHealth(writer http.ResponseWriter) {
	if b.draining.Load() {
		refuse(writer, http.StatusServiceUnavailable, "draining")
		return
	}
	answer(writer, http.StatusOK, []byte(`{"service":"UP"}`))
}

// readinessTimeout is shorter than the second that probes usually allow.
const readinessTimeout = 900 * time.Millisecond

// answerReadiness also asks the sidecar.
func (b *bridge) answerReadiness(writer http.ResponseWriter, request *http.Request) {
	ctx, cancel := context.WithTimeout(request.Context(), readinessTimeout)
	defer cancel()
	if _, err := b.client.Capabilities(ctx); err != nil && !b.draining.Load() {
		refuse(writer, http.StatusServiceUnavailable, "the sidecar does not answer")
		return
	}
	b.answerHealth(writer)
}

package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/ciosidecar/ciosidecar/client/go/router"
)

// deliveryMargin is the time that the sidecar has to answer after the time limit of a delivery.
const deliveryMargin = 5 * time.Second

// maxDeliveryTimeout is far above every useful limit. It keeps absurd headers from overflowing.
const maxDeliveryTimeout = time.Hour

// deliver answers for the transformer's delivery proxy.
func (b *bridge) deliver(
	writer http.ResponseWriter, request *http.Request, answerProxy func(http.ResponseWriter, *router.ProxyResponse),
) {
	if b.deliverer == nil {
		b.handOn(writer, request)
		return
	}
	body, err := readBody(writer, request, b.settings.maxBody)
	if err != nil {
		refuseBody(writer, err)
		return
	}
	var prepared router.ProxyRequest
	if err := json.Unmarshal(body.text, &prepared); err != nil {
		refuse(writer, http.StatusBadRequest, "the body is not the expected JSON: "+err.Error())
		return
	}
	if len(prepared.Metadata) == 0 {
		refuse(writer, http.StatusBadRequest, "the body has no metadata")
		return
	}
	prepared.Timeout = b.deliveryTimeout(request.Header)
	ctx, cancel := context.WithTimeout(request.Context(), prepared.Timeout+deliveryMargin)
	defer cancel()
	response, err := b.deliverer.Deliver(ctx, &prepared)
	b.noteOutcome(request, err)
	if err != nil {
		if request.Context().Err() != nil {
			return // the caller is gone
		}
		response = prepared.Failed(err)
	}
	answerProxy(writer, response)
}

// deliveryTimeout returns the time limit that rudder-server sends, in milliseconds.
func (b *bridge) deliveryTimeout(header http.Header) time.Duration {
	milliseconds, err := strconv.ParseInt(header.Get("RdProxy-Timeout"), 10, 64)
	if err != nil || milliseconds <= 0 {
		return b.settings.timeout
	}
	return time.Duration(min(milliseconds, maxDeliveryTimeout.Milliseconds())) * time.Millisecond
}

// answerProxyV1 answers with a status for each job. The status of the answer itself says only that it is one.
func answerProxyV1(writer http.ResponseWriter, response *router.ProxyResponse) {
	answer(writer, http.StatusOK, response.AppendJSON(nil))
}

// answerProxyV0 answers with the status of all jobs as the status of the answer.
func answerProxyV0(writer http.ResponseWriter, response *router.ProxyResponse) {
	status := response.V0Status()
	if status == http.StatusNotFound {
		// rudder-server takes a 404 for a missing proxy, and would send the job again for ever.
		status = http.StatusBadRequest
	}
	answer(writer, status, response.AppendJSONV0(nil))
}

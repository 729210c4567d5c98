package router_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ciosidecar/ciosidecar/client/go/router"
)

// A processor's events are answered one by one and in order, with unchanged metadata, although they have
// one job id. No two events share a request.
func TestEventsOfAProcessorAreAnsweredInOrder(t *testing.T) {
	transformer := newTransformer(t, plainSidecar(t), nil)
	jobs := []router.Job{
		job(7, group("a")), job(7, group("b")), job(7, `{"type":"track","userId":"u"}`), job(7, `no JSON`),
		job(7, `{"type":"track","userId":5,"event":"E","channel":"web"}`), job(7, `{"type":"REST","statusCode":200}`),
	}
	for index := range jobs {
		jobs[index].Metadata = fmt.Appendf(nil, `{ "n":%d, "jobId":7,"recordId":12345678901234567890,"z":1.0}`, index)
	}
	events, err := transformer.TransformEvents(within(t), &router.TransformRequest{Input: jobs})
	if err != nil {
		t.Fatal(err)
	}
	statuses := []int{200, 200, 400, 400, 200, 400}
	if len(events) != len(statuses) {
		t.Fatalf("%+v", events)
	}
	for index, event := range events {
		if event.StatusCode != statuses[index] || string(event.Metadata) != string(jobs[index].Metadata) {
			t.Errorf("%d: %+v", index, event)
		}
		if (event.StatusCode == 200) != (len(event.Output) != 0) || (event.StatusCode == 200) != (event.Error == "") {
			t.Errorf("%d: %+v", index, event)
		}
	}
	var output router.PostParameters
	if err := json.Unmarshal(events[4].Output, &output); err != nil || output.UserID != "5" || output.Type != "REST" {
		t.Errorf("%s, %v", events[4].Output, err)
	}
	if events[2].StatTags["feature"] != "processor" || events[2].StatTags["meta"] != "MISSING_EVENT_NAME" {
		t.Errorf("%v", events[2].StatTags)
	}
	text := string(events.AppendJSON(nil))
	if !json.Valid([]byte(text)) || strings.Count(text, `"recordId":12345678901234567890,"z":1.0}`) != len(jobs) {
		t.Errorf("%s", text)
	}
}

// Settings that the dashboard does not offer come from the transformer's defaults. The destination of the
// output is unchanged.
func TestDestinationDefaultsAreUsed(t *testing.T) {
	transformer := newTransformer(t, plainSidecar(t), &router.TransformerOptions{
		DestinationDefaults: map[string]json.RawMessage{"apiVersion": json.RawMessage(`"v2"`)},
	})
	own := job(2, track("b"))
	own.Destination = json.RawMessage(`{"ID":"own","Config":{"siteID":"s","apiKey":"k","apiVersion":"v1"}}`)
	outputs := transform(t, transformer, job(1, track("a")), own)
	for index, path := range []string{"v2/batch", "v1/customers/events"} {
		if parameters := requests(t, &outputs[index]); len(parameters) != 1 || parameters[0].EndpointPath != path {
			t.Errorf("%+v", parameters)
		}
	}
	if strings.Contains(string(outputs[0].Destination), "apiVersion") {
		t.Errorf("%s", outputs[0].Destination)
	}
}

// If a call failed, the response for it has every job once, to be sent again.
func TestAFailedCallHasAResponse(t *testing.T) {
	jobs := []router.Job{job(1, track("a")), job(2, track("b"))}
	response := (&router.TransformRequest{Input: jobs}).Failed(errors.New("no sidecar"))
	for index, output := range response.Output {
		if output.StatusCode != 500 || string(output.Metadata[0]) != string(jobs[index].Metadata) ||
			output.StatTags["errorType"] != "retryable" || output.Error != "NO_ANSWER: no sidecar" {
			t.Errorf("%+v", output)
		}
	}
	proxied := router.ProxyRequest{Metadata: []json.RawMessage{jobs[0].Metadata, jobs[1].Metadata}}
	for index, answer := range proxied.Failed(errors.New("no sidecar")).Output.Response {
		if answer.StatusCode != 503 || answer.Code != "NO_ANSWER" || string(answer.Metadata) != string(jobs[index].Metadata) {
			t.Errorf("%+v", answer)
		}
	}
}

package router_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
	"github.com/ciosidecar/ciosidecar/client/go/internal/sidecartest"
	"github.com/ciosidecar/ciosidecar/client/go/router"
)

// Jobs of every kind are in exactly one output each, with a status and their unchanged metadata.
func TestEveryJobIsInExactlyOneOutput(t *testing.T) {
	transformer := newTransformer(t, plainSidecar(t), nil)
	jobs := []router.Job{
		job(1, track("a")), job(2, group("b")), job(3, `no JSON`), job(4, group("c")),
		job(5, `{"type":"identify","userId":"d","context":{"device":{"token":"t","type":"ios"}}}`),
		job(6, track("e")), job(7, track("f")), job(8, track("g")),
	}
	jobs[5].Destination = json.RawMessage(`{"ID":"other","Config":{"siteID":"s","apiKey":"k","connectionMode":{"web":"device"}}}`)
	jobs[5].Message = json.RawMessage(`{"type":"track","userId":"e","event":"E","channel":"web"}`)
	jobs[6].Destination = nil
	jobs[7].Destination = json.RawMessage(`[]`)
	outputs := transform(t, transformer, jobs...)

	seen := map[int64]int{}
	for index := range outputs {
		output := &outputs[index]
		for n, id := range ids(t, output) {
			if seen[id] != 0 {
				t.Errorf("job %d is in two outputs", id)
			}
			seen[id] = output.StatusCode
			if string(output.Metadata[n]) != string(jobs[id-1].Metadata) {
				t.Errorf("metadata of job %d: %s", id, output.Metadata[n])
			}
			if string(output.Destination) != string(jobs[id-1].Destination) {
				t.Errorf("destination of job %d: %s", id, output.Destination)
			}
		}
		if (output.StatusCode == 200) != (len(output.BatchedRequest) != 0) || (output.StatusCode == 200) != (output.Error == "") {
			t.Errorf("%+v", output)
		}
	}
	expected := map[int64]int{1: 200, 2: 200, 3: 400, 4: 200, 5: 200, 6: 298, 7: 503, 8: 400}
	if !reflect.DeepEqual(seen, expected) {
		t.Errorf("statuses %v", seen)
	}
}

// The compacted form, in which jobs refer to destination and connection by ids, gives the same
// outputs.
func TestTheCompactedFormIsTheSame(t *testing.T) {
	transformer := newTransformer(t, plainSidecar(t), nil)
	plain := []router.Job{job(1, track("a")), job(2, group("b")), job(3, group("c"))}
	expected := transform(t, transformer, plain...)
	compacted := &router.TransformRequest{
		Destinations: map[string]json.RawMessage{"shop": plain[0].Destination},
		Connections:  map[string]json.RawMessage{"web:shop": json.RawMessage(`{"config":null}`)},
	}
	for _, compactedJob := range plain {
		compactedJob.Destination = nil
		compacted.Input = append(compacted.Input, compactedJob)
	}
	response, err := transformer.Transform(within(t), compacted)
	if err != nil {
		t.Fatal(err)
	}
	for index := range response.Output {
		if string(response.Output[index].Connection) != `{"config":null}` {
			t.Errorf("connection %s", response.Output[index].Connection)
		}
		response.Output[index].Connection = nil
	}
	if !reflect.DeepEqual(response.Output, expected) {
		t.Errorf("%+v instead of %+v", response.Output, expected)
	}
}

// A record needs a connection, in both forms of the request.
func TestARecordNeedsAConnection(t *testing.T) {
	transformer := newTransformer(t, plainSidecar(t), nil)
	connection := json.RawMessage(`{"sourceId":"web","destinationId":"shop","enabled":true,"config":{"destination":{"object":"person"}}}`)
	record := `{"type":"record","action":"insert","identifiers":{"id":"u1","plan":"pro"}}`
	with, without := job(1, record), job(2, record)
	with.Connection = connection
	without.Connection = json.RawMessage(`{"sourceId":"","destinationId":"","enabled":false,"config":null}`)
	outputs := transform(t, transformer, with, without)
	if outputs[0].StatusCode != 200 || requests(t, &outputs[0])[0].EndpointPath != "v1/customers" ||
		string(outputs[0].Connection) != string(connection) {
		t.Errorf("with a connection: %+v", outputs[0])
	}
	if outputs[1].StatusCode != 400 || outputs[1].StatTags["meta"] != "INVALID_RECORD" {
		t.Errorf("without: %+v", outputs[1])
	}
	compacted := &router.TransformRequest{
		Input: []router.Job{job(3, record)}, Connections: map[string]json.RawMessage{"web:shop": connection},
	}
	response, err := transformer.Transform(within(t), compacted)
	if err != nil || response.Output[0].StatusCode != 200 {
		t.Errorf("compacted: %+v, %v", response, err)
	}
}

// Jobs that share a request are in one output. With dontBatch, of the job or of the transformer,
// each job has its own output.
func TestJobsThatShareARequestAreOneOutput(t *testing.T) {
	address := plainSidecar(t)
	jobs := []router.Job{job(1, group("a")), job(2, track("x")), job(3, group("b")), job(4, group("c"))}
	jobs[3].Metadata = json.RawMessage(strings.Replace(string(jobs[3].Metadata), "{", `{"dontBatch":true,`, 1))
	covered := func(options *router.TransformerOptions) (jobIDs [][]int64) {
		for _, output := range transform(t, newTransformer(t, address, options), jobs...) {
			jobIDs = append(jobIDs, ids(t, &output))
			if output.Batched != (len(output.Metadata) > 1) || len(requests(t, &output)) != 1 {
				t.Errorf("%+v", output)
			}
		}
		return jobIDs
	}
	if jobIDs := covered(nil); !slices.EqualFunc(jobIDs, [][]int64{{2}, {1, 3}, {4}}, slices.Equal) {
		t.Errorf("outputs of jobs %v", jobIDs)
	}
	if jobIDs := covered(&router.TransformerOptions{DontBatch: true}); !slices.EqualFunc(jobIDs, [][]int64{{1}, {2}, {3}, {4}}, slices.Equal) {
		t.Errorf("outputs of jobs %v", jobIDs)
	}
}

// The output of a rejected job has a message for people, and tags with few values for metrics.
func TestARejectedJobHasTagsWithFewValues(t *testing.T) {
	transformer := newTransformer(t, plainSidecar(t), nil)
	outputs := transform(t, transformer, job(1, `{"type":"track","userId":"u"}`))
	expected := map[string]string{
		"destType": "CUSTOMERIO", "module": "destination", "implementation": "ciosidecar", "feature": "router",
		"errorCategory": "dataValidation", "errorType": "instrumentation", "meta": "MISSING_EVENT_NAME",
		"destinationId": "shop", "workspaceId": "w1",
	}
	if !reflect.DeepEqual(outputs[0].StatTags, expected) || !strings.HasPrefix(outputs[0].Error, "MISSING_EVENT_NAME: ") {
		t.Errorf("%+v", outputs[0])
	}
}

// The output of an earlier transform is returned unchanged: a request, an array of requests, or an
// object with a status.
func TestTheOutputOfAnEarlierTransformIsReturnedUnchanged(t *testing.T) {
	transformer := newTransformer(t, plainSidecar(t), nil)
	messages := []string{
		`[ {"endpoint":"x"} ]`, `{"type":"REST" ,"endpoint":"x"}`, `{"statusCode":200,"endpoint":"x","n":1.0}`,
		`{"type":"track","userId":"u","event":"REST","properties":{"statusCode":1,"a":"REST"}}`,
	}
	var jobs []router.Job
	for index, message := range messages {
		jobs = append(jobs, job(int64(index), message))
	}
	for index, output := range transform(t, transformer, jobs...) {
		if output.StatusCode != 200 || (string(output.BatchedRequest) == messages[index]) != (index < 3) {
			t.Errorf("%+v", output)
		}
	}
}

// Concurrent calls get the outputs of their own jobs, and share no requests.
func TestCallsDoNotMix(t *testing.T) {
	transformer := newTransformer(t, plainSidecar(t), &router.TransformerOptions{Streams: 2})
	var running sync.WaitGroup
	for caller := range 16 {
		running.Go(func() {
			for round := range 10 {
				first := int64(caller*1000 + round*10)
				outputs := transform(t, transformer,
					job(first, group(fmt.Sprint(first))), job(first+1, group(fmt.Sprint(first+1))))
				if len(outputs) != 1 || !slices.Equal(ids(t, &outputs[0]), []int64{first, first + 1}) ||
					!strings.Contains(string(outputs[0].BatchedRequest), fmt.Sprintf("g-%d", first+1)) {
					t.Errorf("caller %d: %+v", caller, outputs)
				}
			}
		})
	}
	running.Wait()
}

// A call fails if no sidecar answers or its context ends. Later calls succeed once the sidecar is
// back.
func TestACallSucceedsAfterAFailedCall(t *testing.T) {
	socket := "unix:" + t.TempDir() + "/s.sock"
	transformer := newTransformer(t, socket, &router.TransformerOptions{
		Stream: ciosidecar.StreamOptions{ReconnectFor: 1},
	})
	request := &router.TransformRequest{Input: []router.Job{job(1, track("u"))}}
	if _, err := transformer.Transform(within(t), request); status.Code(err) != codes.Unavailable {
		t.Errorf("no sidecar: %v", err)
	}
	ctx, cancel := context.WithCancel(within(t))
	cancel()
	if _, err := transformer.Transform(ctx, request); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	sidecartest.Start(t, "--listen", socket)
	response, err := transformer.Transform(within(t), request)
	for status.Code(err) == codes.Unavailable { // gRPC waits a moment before it tries the address again
		response, err = transformer.Transform(within(t), request)
	}
	if err != nil || response.Output[0].StatusCode != 200 {
		t.Errorf("%+v, %v", response, err)
	}
	transformer.Close()
	if _, err := transformer.Transform(within(t), request); !errors.Is(err, ciosidecar.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// A message that no call can carry has a permanent failure by itself.
func TestAMessageThatNoCallCanCarry(t *testing.T) {
	transformer := newTransformer(t, plainSidecar(t), nil)
	monster := job(1, `{"type":"track","userId":"u","event":"`+strings.Repeat("x", 64<<20)+`"}`)
	outputs := transform(t, transformer, monster, job(2, track("u")))
	if outputs[0].StatusCode != 400 || outputs[0].StatTags["meta"] != "TOO_LARGE" || outputs[1].StatusCode != 200 {
		t.Errorf("%+v", outputs)
	}
	request := router.ProxyRequest{Metadata: []json.RawMessage{outputs[0].Metadata[0]}}
	request.Body = map[string]json.RawMessage{"JSON": monster.Message}
	response, err := newDeliverer(t, plainSidecar(t)).Deliver(within(t), &request)
	if err != nil || response.Output.Response[0].StatusCode != 400 {
		t.Errorf("%+v, %v", response, err)
	}
}

// AppendJSON keeps metadata and destinations byte for byte.
func TestTheResponseAsJSONKeepsEveryByte(t *testing.T) {
	transformer := newTransformer(t, plainSidecar(t), nil)
	jobs := []router.Job{job(9007199254740993, track("<u>")), job(2, `{"type":"track"}`)}
	response, err := transformer.Transform(within(t), &router.TransformRequest{Input: jobs})
	if err != nil {
		t.Fatal(err)
	}
	text := string(response.AppendJSON(nil))
	for _, input := range jobs {
		if !strings.Contains(text, string(input.Metadata)) || !strings.Contains(text, string(input.Destination)) {
			t.Errorf("%s is not in %s", input.Metadata, text)
		}
	}
	encoded, err := json.Marshal(response)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(exactly(t, text), exactly(t, string(encoded))) {
		t.Errorf("%s means something else than %s", text, encoded)
	}
}

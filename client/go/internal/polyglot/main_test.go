package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
	"github.com/ciosidecar/ciosidecar/client/go/internal/sidecartest"
)

const shop = `{"siteID":"site","apiKey":"key"}`

// playAll returns all lines that the driver writes for a scenario.
func playAll(t *testing.T, scenario map[string]any, lines ...string) []map[string]any {
	t.Helper()
	first, err := json.Marshal(scenario)
	if err != nil {
		t.Fatal(err)
	}
	var output bytes.Buffer
	input := strings.Join(append([]string{string(first)}, lines...), "\n") + "\n"
	if err := play(strings.NewReader(input), &output); err != nil {
		t.Fatal(err)
	}
	var written []map[string]any
	for decoder := json.NewDecoder(&output); decoder.More(); {
		var line map[string]any
		if err := decoder.Decode(&line); err != nil {
			t.Fatal(err)
		}
		written = append(written, line)
	}
	return written
}

// transform and stream write one line for each event, in order, and a last line with the outcome.
func TestEventsAreAnsweredInOrder(t *testing.T) {
	address := sidecartest.Start(t).Address()
	for _, call := range []string{"transform", "stream"} {
		written := playAll(t,
			map[string]any{"call": call, "addresses": []string{address}, "configs": []string{shop, `{}`}},
			"0\t"+`{"type":"track","userId":"u","event":"<E>"}`, "1\t{}", "0\tno JSON",
			"0\t"+`{"type":"group","userId":"a","groupId":"g"}`, "0\t"+`{"type":"group","userId":"b","groupId":"g"}`)
		if len(written) != 6 {
			t.Fatalf("%s: %v", call, written)
		}
		request := written[0]["requests"].([]any)[0].(map[string]any)
		if request["body"] != `{"name":"<E>","type":"event","data":{}}` || request["endpoint_path"] != "v1/customers/events" {
			t.Errorf("%s: %v", call, request)
		}
		for index, code := range map[int]string{1: "INVALID_DESTINATION", 2: "INVALID_JSON"} {
			if refused := written[index]["error"].(map[string]any); refused["code"] != code || written[index]["position"] != float64(index) {
				t.Errorf("%s: %v", call, written[index])
			}
		}
		shared := written[4]["requests"].([]any)[0].(map[string]any)
		if len(written[3]["requests"].([]any)) != 0 || fmt.Sprint(shared["positions"]) != "[3 4]" {
			t.Errorf("%s: shared %v", call, shared)
		}
		if end := written[5]; end["end"] != "OK" || end["events_read"] != 5.0 || end["reconnects"] != 0.0 {
			t.Errorf("%s: ended %v", call, end)
		}
	}
}

// The last line has the gRPC code of a call that was cancelled, was too late, was rejected, or
// reached no sidecar.
func TestHowItEnded(t *testing.T) {
	address := sidecartest.Start(t, "--max-batch-events", "1").Address()
	event := "0\t" + `{"type":"page","userId":"u","name":"p"}`
	for name, test := range map[string]struct {
		scenario map[string]any
		end      string
	}{
		"cancelled": {map[string]any{"call": "stream", "cancel_after": 1}, "CANCELLED"},
		"too late":  {map[string]any{"call": "transform", "deadline_ms": 0.001}, "DEADLINE_EXCEEDED"},
		"refused":   {map[string]any{"call": "transform"}, "INVALID_ARGUMENT"},
		"no sidecar": {map[string]any{"call": "stream", "addresses": []string{"127.0.0.1:1"},
			"options": map[string]any{"reconnect_for_ms": 10}}, "UNAVAILABLE"},
	} {
		scenario := map[string]any{"addresses": []string{address}, "configs": []string{shop}}
		for key, value := range test.scenario {
			scenario[key] = value
		}
		written := playAll(t, scenario, event, event, event)
		if end := written[len(written)-1]; end["end"] != test.end {
			t.Errorf("%s: %v", name, written)
		}
	}
}

// raw sends and writes messages with the stubs alone.
func TestRawMessages(t *testing.T) {
	address := sidecartest.Start(t).Address()
	encoded := func(request *v1.TransformStreamRequest) string {
		text, err := proto.Marshal(request)
		if err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(text)
	}
	scenario := map[string]any{"call": "raw", "addresses": []string{address}, "configs": []string{}}
	written := playAll(t, scenario,
		encoded(&v1.TransformStreamRequest{Message: &v1.TransformStreamRequest_Open{Open: &v1.OpenStream{}}}),
		encoded(&v1.TransformStreamRequest{Message: &v1.TransformStreamRequest_Batch{Batch: &v1.Batch{
			BatchId: 7, Items: []*v1.BatchItem{{Payload: &v1.BatchItem_Json{Json: []byte("{}")}}},
		}}}))
	if len(written) != 3 || written[2]["end"] != "OK" {
		t.Fatalf("%v", written)
	}
	text, err := base64.StdEncoding.DecodeString(written[1]["response"].(string))
	if err != nil {
		t.Fatal(err)
	}
	var response v1.TransformStreamResponse
	if err := proto.Unmarshal(text, &response); err != nil {
		t.Fatal(err)
	}
	if results := response.GetResults(); results.GetBatchId() != 7 || results.GetStatuses()[0] != 503 {
		t.Errorf("answered %v", results)
	}
	written = playAll(t, scenario, encoded(&v1.TransformStreamRequest{}))
	if len(written) != 1 || written[0]["end"] != "INVALID_ARGUMENT" {
		t.Errorf("a bad first message: %v", written)
	}
}

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ciosidecar/ciosidecar/client/go/internal/sidecartest"
)

// vector is a worked case of the project.
type vector struct {
	Name   string
	Config json.RawMessage
	Event  json.RawMessage
	Expect struct {
		Requests []struct {
			Method, URL string
			Body        any
		}
		Error, Filtered string
	}
}

// outcome is what the bridge answered for one event: a status, an error, and requests.
type outcome struct {
	status   int
	problem  string
	requests []prepared
}

// prepared is a request of an answer, as rudder-server reads it.
type prepared struct {
	Version, Type, Method, Endpoint, EndpointPath, UserID string
	Headers                                               map[string]string
	Params, Files                                         map[string]any
	Body                                                  map[string]map[string]any
}

// Every worked case of the project comes out of the bridge as the rules say, for the router and the processor, in
// the compacted form. In the plain form, which differs only in where a destination stands, every fifth does.
func TestTheProjectsWorkedCases(t *testing.T) {
	bridge := withSidecar(t)
	for _, file := range []string{"track_v1.jsonl", "track_v2.jsonl"} {
		cases := readVectors(t, file)
		for name, play := range map[string]func(*testBridge, []vector, bool) []outcome{
			"router": playRouter, "processor": playProcessor,
		} {
			for _, compacted := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %s compacted=%v", file, name, compacted), func(t *testing.T) {
					played, disagreeing := cases, 0
					if !compacted {
						played = everyFifth(cases)
					}
					for chunk := range slices.Chunk(played, 100) {
						for index, got := range play(bridge, chunk, compacted) {
							if difference := disagreement(&chunk[index], got); difference != "" {
								disagreeing++
								t.Errorf("%s: %s\n%s", chunk[index].Name, difference, chunk[index].Event)
							}
						}
					}
					t.Logf("%d cases, %d disagree", len(played), disagreeing)
				})
			}
		}
	}
}

func everyFifth(cases []vector) (taken []vector) {
	for chunk := range slices.Chunk(cases, 5) {
		taken = append(taken, chunk[0])
	}
	return taken
}

func readVectors(t testing.TB, name string) (cases []vector) {
	t.Helper()
	file, err := os.Open(filepath.Join(sidecartest.Root(), "tests", "vectors", name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Buffer(nil, 1<<24); lines.Scan(); {
		var read vector
		decoder := json.NewDecoder(strings.NewReader(lines.Text()))
		decoder.UseNumber()
		if err := decoder.Decode(&read); err != nil {
			t.Fatal(err)
		}
		cases = append(cases, read)
	}
	if len(cases) < 100 {
		t.Fatalf("%s has %d cases", name, len(cases))
	}
	return cases
}

// inputOf returns the input of a request for the cases, and the destinations of the compacted form.
func inputOf(cases []vector, compacted bool) string {
	var input, destinations []string
	for index := range cases {
		destination := fmt.Sprintf(`{"ID":"d%d","Config":%s,"Enabled":true}`, index, cases[index].Config)
		job := fmt.Sprintf(`{"message":%s,"metadata":{"jobId":%d,"destinationId":"d%d","dontBatch":true}`, cases[index].Event, index, index)
		if compacted {
			destinations = append(destinations, fmt.Sprintf(`"d%d":%s`, index, destination))
		} else {
			job += `,"destination":` + destination
		}
		input = append(input, job+"}")
	}
	if !compacted {
		return "[" + strings.Join(input, ",") + "]"
	}
	return "[" + strings.Join(input, ",") + `],"destinations":{` + strings.Join(destinations, ",") + `},"connections":{}`
}

func headersOf(compacted bool) []string {
	if compacted {
		return []string{"X-Content-Format: json+compactedv1"}
	}
	return nil
}

func playRouter(bridge *testBridge, cases []vector, compacted bool) []outcome {
	got := bridge.post("/routerTransform", `{"destType":"customerio","input":`+inputOf(cases, compacted)+"}", headersOf(compacted)...)
	var response struct {
		Output []struct {
			BatchedRequest json.RawMessage
			Metadata       []struct{ JobID int }
			StatusCode     int
			Error          string
		}
	}
	got.decode(bridge, &response)
	outcomes := make([]outcome, len(cases))
	for _, output := range response.Output {
		for _, metadata := range output.Metadata {
			outcomes[metadata.JobID] = outcome{output.StatusCode, output.Error, readPrepared(bridge, output.BatchedRequest)}
		}
	}
	return outcomes
}

func playProcessor(bridge *testBridge, cases []vector, compacted bool) []outcome {
	body := inputOf(cases, compacted)
	if compacted {
		body = `{"input":` + body + "}"
	}
	got := bridge.post("/v0/destinations/customerio", body, headersOf(compacted)...)
	var events []struct {
		Output     json.RawMessage
		Metadata   struct{ JobID int }
		StatusCode int
		Error      string
	}
	got.decode(bridge, &events)
	outcomes := make([]outcome, len(cases))
	for _, event := range events {
		answer := &outcomes[event.Metadata.JobID]
		answer.status, answer.problem = event.StatusCode, event.Error
		answer.requests = append(answer.requests, readPrepared(bridge, event.Output)...)
	}
	return outcomes
}

func readPrepared(t testing.TB, text json.RawMessage) (requests []prepared) {
	if len(text) == 0 {
		return nil
	}
	if text[0] == '{' {
		text = slices.Concat([]byte("["), text, []byte("]"))
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	if err := decoder.Decode(&requests); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return requests
}

// disagreement says in what an answer differs from the case. It is empty if they agree.
func disagreement(expected *vector, got outcome) string {
	switch {
	case expected.Expect.Error != "":
		if got.status != 400 || got.problem == "" {
			return fmt.Sprintf("%+v instead of %s", got, expected.Expect.Error)
		}
		return ""
	case expected.Expect.Filtered != "":
		if got.status != 298 || got.problem != "filtered: "+expected.Expect.Filtered {
			return fmt.Sprintf("%+v instead of %s", got, expected.Expect.Filtered)
		}
		return ""
	case got.status != 200 || len(got.requests) != len(expected.Expect.Requests):
		return fmt.Sprintf("%+v", got)
	}
	for index, want := range expected.Expect.Requests {
		request := &got.requests[index]
		if request.Method != want.Method || unescaped(request.Endpoint) != unescaped(want.URL) ||
			request.Version != "1" || request.Type != "REST" || request.EndpointPath == "" ||
			!strings.HasPrefix(request.Headers["Authorization"], "Basic ") {
			return fmt.Sprintf("%+v", request)
		}
		if sent := request.sent(); !sameValue(want.Body, sent) {
			return fmt.Sprintf("%v instead of %v", sent, want.Body)
		}
	}
	return ""
}

func unescaped(text string) string {
	decoded, err := url.PathUnescape(text)
	if err != nil {
		return text
	}
	return decoded
}

// sent returns the body that rudder-server sends for a request: the first form that is not empty.
func (p *prepared) sent() any {
	if text, ok := p.Body["JSON_ARRAY"]["batch"].(string); ok {
		var value any
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		if decoder.Decode(&value) != nil {
			return text
		}
		return value
	}
	if len(p.Body["JSON"]) == 0 {
		return nil
	}
	return any(p.Body["JSON"])
}

// sameValue compares JSON values, with the placeholders of the cases.
func sameValue(want, got any) bool {
	switch want := want.(type) {
	case string:
		return sameText(want, got)
	case json.Number:
		number, ok := got.(json.Number)
		return ok && sameNumber(want.String(), number.String())
	case map[string]any:
		object, ok := got.(map[string]any)
		return ok && maps.EqualFunc(want, object, sameValue)
	case []any:
		array, ok := got.([]any)
		return ok && slices.EqualFunc(want, array, sameValue)
	default:
		return want == got
	}
}

func sameText(want string, got any) bool {
	text, isText := got.(string)
	switch {
	case want == "NOW":
		number, ok := got.(json.Number)
		seconds, err := strconv.ParseFloat(number.String(), 64)
		return ok && err == nil && math.Abs(seconds-float64(time.Now().Unix())) < 300
	case strings.HasPrefix(want, "ULID:"):
		return isText && len(text) == 26 && strings.HasPrefix(text, want[5:])
	case strings.HasPrefix(want, "NUM:"):
		return isText && sameNumber(want[4:], text)
	}
	return isText && text == want
}

func sameNumber(first, second string) bool {
	one, ok := new(big.Rat).SetString(first)
	two, also := new(big.Rat).SetString(second)
	return first == second || ok && also && one.Cmp(two) == 0
}

package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ciosidecar/ciosidecar/client/go/internal/sidecartest"
)

// exchange is a request of rudder-server and the answer that it expects, in testdata.
type exchange struct {
	Name, Path string
	Headers    []string
	Arguments  []string
	Request    json.RawMessage
	Answer     json.RawMessage
}

// Every exchange of testdata is answered with exactly the members that rudder-server expects, no more and no less.
func TestTheExchangesOfTestdata(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	sidecar := plainSidecar(t)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var exchanges []exchange
		if err := json.Unmarshal(text, &exchanges); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, exchange := range exchanges {
			t.Run(exchange.Name, func(t *testing.T) {
				bridge := startBridge(t, append([]string{"-sidecar", sidecar}, exchange.Arguments...)...)
				got := bridge.post(exchange.Path, string(exchange.Request), exchange.Headers...)
				if got.status != 200 || got.header.Get("Content-Type") != "application/json; charset=utf-8" {
					t.Errorf("status %d, %v", got.status, got.header)
				}
				if !reflect.DeepEqual(exactly(t, got.body), exactly(t, string(exchange.Answer))) {
					t.Errorf("answered\n%s\ninstead of\n%s", got.body, exchange.Answer)
				}
			})
		}
	}
}

func exactly(t *testing.T, text string) (value any) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return value
}

// Metadata and destinations come back byte for byte: long numbers, unknown members, white space, escapes.
func TestMetadataComesBackByteForByte(t *testing.T) {
	bridge := withSidecar(t)
	metadata := `{ "jobId":9007199254740993 ,"destinationId":"shop","recordId":12345678901234567890.10,"zeta":{"<a>":"\u003c&é\ud83d"}}`
	destination := strings.Replace(shop, "{", `{ "unknown":1.0,`, 1)
	job := `{"message":{"type":"track","userId":"u","event":"E"},"metadata":` + metadata + `,"destination":` + destination + `}`
	for path, body := range map[string]string{
		"/routerTransform":            `{"destType":"customerio","input":[` + job + `]}`,
		"/batch":                      `{"destType":"customerio","input":[` + job + `]}`,
		"/v0/destinations/customerio": `[` + job + `]`,
	} {
		got := bridge.post(path, body)
		if got.status != 200 || strings.Count(got.body, metadata) != 1 || !json.Valid([]byte(got.body)) {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
		if path != "/v0/destinations/customerio" && strings.Count(got.body, destination) != 1 {
			t.Errorf("%s: %s", path, got.body)
		}
	}
}

// The event id is made from the bytes of the properties as they were received (rule 5.6).
func TestEventIDsAreThoseOfTheReceivedBytes(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(sidecartest.Root(), "tests", "vectors", "event_ids.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	bridge := withSidecar(t)
	for line := range strings.Lines(string(text)) {
		var expected struct {
			Event string `json:"event_json"`
			ID    string
		}
		if err := json.Unmarshal([]byte(line), &expected); err != nil {
			t.Fatal(err)
		}
		body := `{"destType":"customerio","input":[{"message":` + expected.Event +
			`,"metadata":{"jobId":1},"destination":{"Config":{"siteID":"s","apiKey":"k"}}}]}`
		if got := bridge.post("/routerTransform", body); !strings.Contains(got.body, expected.ID) {
			t.Errorf("%s is not in %s", expected.ID, got.body)
		}
	}
}

// Every job is in exactly one output, whatever is wrong with it, and jobs of several destinations may be mixed.
func TestEveryJobIsAnsweredOnce(t *testing.T) {
	bridge := withSidecar(t)
	messages := []string{
		`{"type":"track","userId":"a","event":"E"}`, `{"type":"group","userId":"a","groupId":"g"}`, `{"type":"nonsense"}`,
		`{"type":"group","userId":"b","groupId":"g"}`, `[{"endpoint":"x"}]`, `null`, `5`, `{"statusCode":200,"endpoint":"x"}`,
	}
	body := jobs(messages...)
	body = strings.Replace(body, shop, `{"ID":"other","Config":{}}`, 1)
	body = strings.Replace(body, shop, `{"ID":"eu","Config":{"siteID":"s","apiKey":"k","region":"EU"}}`, 1)
	got := bridge.post("/routerTransform", body)
	var response struct {
		Output []struct {
			Metadata   []struct{ JobID int }
			StatusCode int
		}
	}
	got.decode(t, &response)
	statuses := map[int]int{}
	for _, output := range response.Output {
		for _, metadata := range output.Metadata {
			if statuses[metadata.JobID] != 0 {
				t.Errorf("job %d is in two outputs", metadata.JobID)
			}
			statuses[metadata.JobID] = output.StatusCode
		}
	}
	expected := map[int]int{1: 400, 2: 200, 3: 400, 4: 200, 5: 200, 6: 400, 7: 400, 8: 200}
	if !reflect.DeepEqual(statuses, expected) || !strings.Contains(got.body, "track-eu.customer.io") {
		t.Errorf("%v in %s", statuses, got.body)
	}
}

// Bodies may be compressed. What cannot be read is answered with the reason, and the bridge goes on.
func TestBodiesThatCannotBeReadAreRefused(t *testing.T) {
	bridge := withSidecar(t, "-max-body-bytes", "100000")
	good := jobs(`{"type":"track","userId":"u","event":"E"}`)
	for name, test := range map[string]struct {
		body, encoding, reason string
		status                 int
	}{
		"gzip":                    {zipped(good), "gzip", `"output"`, 200},
		"no JSON":                 {`{"input":[`, "", "not the expected JSON", 400},
		"nothing":                 {``, "", "not the expected JSON", 400},
		"another JSON":            {`{"input":{}}`, "", "not the expected JSON", 400},
		"no input":                {`{"destType":"customerio"}`, "", "no input", 400},
		"no gzip":                 {good, "gzip", "not gzip", 400},
		"half a gzip":             {zipped(good)[:30], "gzip", "broken", 400},
		"another encoding":        {good, "br", "other than gzip", 415},
		"too large":               {strings.Repeat(" ", 100_001), "", "more than 100000 bytes", 413},
		"too large after gunzip":  {zipped(strings.Repeat(" ", 10_000_000)), "gzip", "after gunzip", 413},
		"an empty list of jobs":   {`{"destType":"customerio","input":[]}`, "", `{"output":[]}`, 200},
		"as large as it can be":   {good + strings.Repeat(" ", 100_000-len(good)), "", `"output"`, 200},
		"jobs that are no object": {`{"destType":"customerio","input":[5]}`, "", "not the expected JSON", 400},
	} {
		for _, path := range []string{"/routerTransform", "/v0/destinations/customerio"} {
			if name == "an empty list of jobs" && path != "/routerTransform" {
				continue
			}
			reason := test.reason
			if path != "/routerTransform" && test.status == 200 {
				reason = `"output":{`
			}
			got := bridge.post(path, test.body, "Content-Encoding: "+test.encoding)
			if got.status != test.status || !strings.Contains(got.body, reason) || !json.Valid([]byte(got.body)) {
				t.Errorf("%s: %s: %d %s", name, path, got.status, got.body)
			}
		}
	}
}

func zipped(text string) string {
	var compressed bytes.Buffer
	writer := gzip.NewWriter(&compressed)
	_, _ = writer.Write([]byte(text))
	_ = writer.Close()
	return compressed.String()
}

// A request of many megabytes is answered, and an event that is too large fails alone.
func TestHugeRequests(t *testing.T) {
	bridge := withSidecar(t)
	messages := make([]string, 200)
	for index := range messages {
		messages[index] = fmt.Sprintf(`{"type":"track","userId":"u%d","event":"E","properties":{"text":%q}}`, index, strings.Repeat("x", 30_000))
	}
	messages[5] = fmt.Sprintf(`{"type":"track","userId":"u","event":"E","properties":{"text":%q}}`, strings.Repeat("x", 2_000_000))
	got := bridge.post("/routerTransform", jobs(messages...))
	if count := strings.Count(got.body, `"statusCode":200`); got.status != 200 || count != len(messages)-1 ||
		strings.Count(got.body, "TOO_LARGE: ") != 1 {
		t.Errorf("%d of %d: %.300s", count, len(messages), got.body)
	}
}

// Concurrent requests get the answers to their own jobs.
func TestConcurrentRequestsDoNotMix(t *testing.T) {
	bridge := withSidecar(t)
	var running sync.WaitGroup
	for caller := range 12 {
		running.Go(func() {
			for round := range 15 {
				user := fmt.Sprintf("u-%d-%d", caller, round)
				message := fmt.Sprintf(`{"type":"group","userId":%q,"groupId":"g"}`, user)
				path, body := "/routerTransform", jobs(message, message)
				if round%2 == 0 {
					path, body = "/v0/destinations/customerio", body[strings.Index(body, "["):len(body)-1]
				}
				got, err := bridge.try(http.MethodPost, path, strings.NewReader(body))
				if err != nil || got.status != 200 || strings.Count(got.body, `"id":"`+user+`"`) != 2 {
					t.Errorf("%s: %v, %+v", path, err, got)
				}
			}
		})
	}
	running.Wait()
}

// Settings of -defaults hold for destinations that do not have them.
func TestDefaultsOfAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "defaults.json")
	if err := os.WriteFile(file, []byte(`{"apiVersion":"v2"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	bridge := withSidecar(t, "-defaults", file)
	got := bridge.post("/routerTransform", jobs(`{"type":"track","userId":"u","event":"E"}`))
	if !strings.Contains(got.body, `"endpointPath":"v2/batch"`) || strings.Contains(got.body, "apiVersion") {
		t.Errorf("%s", got.body)
	}
	for _, wrong := range []string{`[]`, `{`} {
		if err := os.WriteFile(file, []byte(wrong), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := parseSettings([]string{"-defaults", file}, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "no JSON object") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

// Flags that cannot work are refused with the reason, and -h shows how to begin.
func TestFlagsAreCheckedAndExplained(t *testing.T) {
	for arguments, reason := range map[string]string{
		"-upstream transformer:9090": "http://host:port",
		"-upstream ftp://h":          "http://host:port",
		"-timeout 0":                 "must be positive",
		"-defaults /nothing/here":    "-defaults",
		"extra":                      "no option",
	} {
		if _, err := parseSettings(strings.Fields(arguments), &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: %v", arguments, err)
		}
	}
	settings, err := parseSettings([]string{"-sidecar", "a:1, b:2", "-sidecar", "c:3"}, &bytes.Buffer{})
	if err != nil || !slices.Equal(settings.sidecars, []string{"a:1", "b:2", "c:3"}) {
		t.Errorf("%v, %v", settings, err)
	}
	var help bytes.Buffer
	_, _ = parseSettings([]string{"-h"}, &help)
	for _, word := range []string{"DEST_TRANSFORM_URL", "-upstream", "-deliver", "-drain", "-defaults"} {
		if !strings.Contains(help.String(), word) {
			t.Errorf("-h does not name %s", word)
		}
	}
}

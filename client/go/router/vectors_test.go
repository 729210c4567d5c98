package router_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
	"github.com/ciosidecar/ciosidecar/client/go/internal/sidecartest"
	"github.com/ciosidecar/ciosidecar/client/go/router"
)

// For every test vector, the router sends the same JSON as the sidecar made, to the last digit.
func TestARouterSendsWhatTheSidecarMade(t *testing.T) {
	for _, name := range []string{"track_v1.jsonl", "track_v2.jsonl"} {
		t.Run(name, func(t *testing.T) { sendsWhatTheSidecarMade(t, name) })
	}
}

func sendsWhatTheSidecarMade(t *testing.T, name string) {
	address := plainSidecar(t)
	jobs, items := vectors(t, name)
	results, err := dial(t, address).Transform(within(t), ciosidecar.Destination{}, items)
	if err != nil {
		t.Fatal(err)
	}
	outputs := transform(t, newTransformer(t, address, &router.TransformerOptions{DontBatch: true}), jobs...)
	if len(outputs) != len(jobs) || len(jobs) < 100 {
		t.Fatalf("%d outputs for %d jobs", len(outputs), len(jobs))
	}
	for index := range outputs {
		output, result := &outputs[index], &results[index]
		parameters := requests(t, output)
		if output.StatusCode != result.Status || len(parameters) != len(result.Requests) {
			t.Fatalf("vector %d: %+v, %+v", index, output, result)
		}
		for n := range parameters {
			expected := &result.Requests[n]
			if parameters[n].Method != expected.Method || parameters[n].Endpoint != expected.URL ||
				parameters[n].EndpointPath != expected.EndpointPath || !reflect.DeepEqual(parameters[n].Headers, expected.Headers) {
				t.Errorf("vector %d: %+v, %+v", index, parameters[n], expected)
			}
			if body := sent(t, &parameters[n]); !sameJSON(t, body, string(expected.Body)) {
				t.Errorf("vector %d: sent %s for %s", index, body, expected.Body)
			}
		}
	}
}

// vectors returns the events of a file of vectors as jobs, and as items that share no request.
func vectors(t *testing.T, name string) (jobs []router.Job, items []ciosidecar.BatchItem) {
	t.Helper()
	file, err := os.Open(filepath.Join(sidecartest.Root(), "tests", "vectors", name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Buffer(nil, 1<<24); lines.Scan(); {
		var vector struct {
			Event  json.RawMessage
			Config map[string]json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &vector); err != nil {
			t.Fatal(err)
		}
		// Two calls are not in the same second: nothing may be filled in from the clock.
		vector.Config["createdAtFallback"] = json.RawMessage(`"none"`)
		config, err := json.Marshal(vector.Config)
		if err != nil {
			t.Fatal(err)
		}
		added := job(int64(len(jobs)), string(vector.Event))
		added.Destination = fmt.Appendf(nil, `{"ID":"d%d","Config":%s}`, len(jobs), config)
		jobs = append(jobs, added)
		items = append(items, ciosidecar.BatchItem{
			JSON: vector.Event, DontBatch: true, Destination: ciosidecar.NewDestination("", config),
		})
	}
	return jobs, items
}

// sameJSON compares JSON texts digit by digit, except for zeros at the end of a fraction.
func sameJSON(t testing.TB, first, second string) bool {
	t.Helper()
	return first == second || reflect.DeepEqual(exactly(t, first), exactly(t, second))
}

func exactly(t testing.TB, text string) any {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return withoutZeros(value)
}

func withoutZeros(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key, member := range value {
			value[key] = withoutZeros(member)
		}
	case []any:
		for index, member := range value {
			value[index] = withoutZeros(member)
		}
	case json.Number:
		if strings.Contains(value.String(), ".") && !strings.ContainsAny(value.String(), "eE") {
			return json.Number(strings.TrimRight(strings.TrimRight(value.String(), "0"), "."))
		}
	}
	return value
}

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

// Every case of the project's vectors: what the router would send is, as JSON, what the sidecar
// made, to the last digit.
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
		found := requests(t, output)
		if output.StatusCode != result.Status || len(found) != len(result.Requests) {
			t.Fatalf("vector %d: %+v, %+v", index, output, result)
		}
		for n := range found {
			expected := &result.Requests[n]
			if found[n].Method != expected.Method || found[n].Endpoint != expected.URL ||
				found[n].EndpointPath != expected.EndpointPath || !reflect.DeepEqual(found[n].Headers, expected.Headers) {
				t.Errorf("vector %d: %+v, %+v", index, found[n], expected)
			}
			if body := sent(t, &found[n]); !sameJSON(t, body, string(expected.Body)) {
				t.Errorf("vector %d: sent %s for %s", index, body, expected.Body)
			}
		}
	}
}

// vectors are the events of a file of vectors as jobs, and as items that share no request.
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
		one := job(int64(len(jobs)), string(vector.Event))
		one.Destination = fmt.Appendf(nil, `{"ID":"d%d","Config":%s}`, len(jobs), config)
		jobs = append(jobs, one)
		items = append(items, ciosidecar.BatchItem{
			JSON: vector.Event, DontBatch: true, Destination: ciosidecar.NewDestination("", config),
		})
	}
	return jobs, items
}

// sameJSON compares texts digit by digit but for zeros that end a fraction.
func sameJSON(t testing.TB, one, other string) bool {
	t.Helper()
	return one == other || reflect.DeepEqual(exactly(t, one), exactly(t, other))
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

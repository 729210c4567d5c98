package router

import (
	"encoding/json"
	"strings"
	"testing"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
)

// Requests that share jobs, however many times removed, are one output; in their order.
func TestOverlappingRequestsAreUnited(t *testing.T) {
	jobs := make([]answeredJob, 6)
	request := func(path string, positions ...int64) ciosidecar.APIRequest {
		return ciosidecar.APIRequest{URL: path, Positions: positions}
	}
	for index := range jobs {
		jobs[index].job.Metadata = json.RawMessage{byte('0' + index)}
		jobs[index].result.Status = 200
	}
	jobs[2].result.Requests = []ciosidecar.APIRequest{request("a", 0, 2), request("b", 2)}
	jobs[3].result.Requests = []ciosidecar.APIRequest{request("c", 3)}
	jobs[4].result.Requests = []ciosidecar.APIRequest{request("d", 2, 4, 4)}
	var found []string
	for _, output := range outputsOf(jobs) {
		members := ""
		for _, metadata := range output.Metadata {
			members += string(metadata)
		}
		var one, several = PostParameters{}, []PostParameters(nil)
		if len(output.BatchedRequest) != 0 && json.Unmarshal(output.BatchedRequest, &several) != nil {
			if err := json.Unmarshal(output.BatchedRequest, &one); err != nil {
				t.Fatal(err)
			}
			several = []PostParameters{one}
		}
		for _, request := range several {
			members += request.Endpoint
		}
		found = append(found, members)
	}
	// 1 and 5 are covered by nothing: they are answered all the same.
	if text := strings.Join(found, " "); text != "1 024abd 3c 5" {
		t.Errorf("outputs %s", text)
	}
}

// The form JSON is for what Go's decoding and encoding leaves as it is.
func TestWhichBodiesSurviveARouter(t *testing.T) {
	for body, survives := range map[string]bool{
		`{}`:                             false,
		` { } `:                          false,
		`[1]`:                            false,
		``:                               false,
		`{"a":1}`:                        true,
		`{"a":{}}`:                       true,
		`{"a":"12345678901234567890"}`:   true,
		`{"a":"\"12345678901234567890"}`: true,
		`{"a":123456789012345}`:          true,
		`{"a":1234567890123456}`:         false,
		`{"a":-0.000000001234}`:          true,
		`{"a":1e3}`:                      false,
		`{"a":[1,9007199254740993]}`:     false,
		`{"a":59.70}`:                    true,
	} {
		if survivesDecoding([]byte(body)) != survives {
			t.Errorf("%s: %v", body, !survives)
		}
	}
}

// dontBatch is set where it was, or added; nothing else changes, nor does the original.
func TestDontBatchIsSetAndNothingElse(t *testing.T) {
	for metadata, expected := range map[string]string{
		`{}`:                  `{"dontBatch":true}`,
		` {"a" : 1.0} `:       ` {"a" : 1.0,"dontBatch":true} `,
		`{"dontBatch":false}`: `{"dontBatch":true}`,
		`{"dontBatch": null,"x":12345678901234567890}`: `{"dontBatch": true,"x":12345678901234567890}`,
		`{"x":{"dontBatch":false},"dontBatch":true }`:  `{"x":{"dontBatch":false},"dontBatch":true }`,
		`{"x":"<\u003c>"}`: `{"x":"<\u003c>","dontBatch":true}`,
		`[]`:               `[]`,
		``:                 ``,
		`{"a":`:            `{"a":`,
		`{"a":1`:           `{"a":1`,
	} {
		original := json.RawMessage(metadata)
		if found := withDontBatch(original); string(found) != expected || string(original) != metadata {
			t.Errorf("%s became %s", metadata, found)
		}
	}
}

// A request becomes what the sidecar delivers: the text of its body, its params as a query.
func TestAProxiedRequestIsPrepared(t *testing.T) {
	type body = map[string]json.RawMessage
	for name, one := range map[string]struct {
		request PostParameters
		body    string
		problem string
	}{
		"JSON as it stands": {PostParameters{Method: "PUT", Body: body{"JSON": json.RawMessage(`{"a": 1.0}`), "FORM": json.RawMessage(`{}`)}}, `{"a": 1.0}`, ""},
		"a text":            {PostParameters{Method: "PUT", Body: body{"JSON": json.RawMessage(`{}`), "JSON_ARRAY": json.RawMessage(`{"batch":"{\"a\": 1}"}`)}}, `{"a": 1}`, ""},
		"an empty object":   {PostParameters{Method: "PUT", Body: body{"JSON": json.RawMessage(`{}`)}}, `{}`, ""},
		"nothing":           {PostParameters{Method: "DELETE", Body: body{"JSON": json.RawMessage(`{}`)}}, ``, ""},
		"no body at all":    {PostParameters{Method: "POST"}, `{}`, ""},
		"a form":            {PostParameters{Method: "POST", Body: body{"FORM": json.RawMessage(`{"a":1}`)}}, ``, "takes JSON"},
		"no text":           {PostParameters{Method: "POST", Body: body{"JSON_ARRAY": json.RawMessage(`{"batch":[]}`)}}, ``, "JSON_ARRAY"},
	} {
		found, err := one.request.prepare()
		if one.problem != "" {
			if err == nil || !strings.Contains(err.Error(), one.problem) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || string(found.GetBody()) != one.body {
			t.Errorf("%s: %s, %v", name, found.GetBody(), err)
		}
		if (found.GetHeaders()["Content-Type"] == "application/json") != (one.body != "") {
			t.Errorf("%s: headers %v", name, found.GetHeaders())
		}
	}
	request := PostParameters{Method: "DELETE", Endpoint: "https://h/p?a=1", Params: body{"b": json.RawMessage(`"x y"`), "c": json.RawMessage(`2`)}}
	if found, err := request.prepare(); err != nil || found.GetUrl() != "https://h/p?a=1&b=x+y&c=2" {
		t.Errorf("%s, %v", found.GetUrl(), err)
	}
}

// What one result of a request means for each of its jobs.
func TestWhatAResultMeansForEachJob(t *testing.T) {
	refusal := &ciosidecar.EventError{Code: "REFUSED", Type: "delivery", Message: "m"}
	items := func(indexes ...int) *ciosidecar.DeliveryReport {
		found := &ciosidecar.DeliveryReport{HTTPStatus: 207}
		for _, index := range indexes {
			found.FailedItems = append(found.FailedItems, ciosidecar.FailedItem{Index: index, Reason: "bad"})
		}
		return found
	}
	shared := `{"batch":"…","jobIds":["1","1","2"]}`
	for name, one := range map[string]struct {
		jobs     string
		array    string
		result   ciosidecar.Result
		statuses string
		alone    bool
	}{
		"delivered":                      {"12", shared, ciosidecar.Result{Status: 200}, "200 200", false},
		"an item of the second job":      {"12", shared, ciosidecar.Result{Status: 207, Error: refusal, Delivery: items(2)}, "200 400", false},
		"an item of the first job":       {"12", shared, ciosidecar.Result{Status: 207, Error: refusal, Delivery: items(1)}, "400 200", false},
		"a job that the array also has":  {"312", shared, ciosidecar.Result{Status: 207, Error: refusal, Delivery: items(0)}, "200 400 200", false},
		"somebody's item":                {"12", `{}`, ciosidecar.Result{Status: 207, Error: refusal, Delivery: items(0)}, "500 500", true},
		"an item that is not there":      {"12", shared, ciosidecar.Result{Status: 207, Error: refusal, Delivery: items(3)}, "500 500", true},
		"some items nobody names":        {"12", shared, ciosidecar.Result{Status: 207, Error: refusal}, "500 500", true},
		"an item of the only job":        {"1", `{}`, ciosidecar.Result{Status: 207, Error: refusal, Delivery: items(4)}, "400", false},
		"all refused for one":            {"12", shared, ciosidecar.Result{Status: 413, Error: refusal}, "500 500", true},
		"the only one refused":           {"1", `{}`, ciosidecar.Result{Status: 413, Error: refusal}, "413", false},
		"slow down":                      {"12", shared, ciosidecar.Result{Status: 429, Error: &ciosidecar.EventError{Code: "THROTTLED", Type: "delivery", Retryable: true}}, "429 429", false},
		"an address that is not allowed": {"12", shared, ciosidecar.Result{Status: 400, Error: &ciosidecar.EventError{Code: "INVALID_ITEM"}}, "400 400", false},
	} {
		request := &ProxyRequest{PostParameters: PostParameters{Body: map[string]json.RawMessage{"JSON_ARRAY": json.RawMessage(one.array)}}}
		var jobs []jobMetadata
		for _, id := range strings.Split(one.jobs, "") {
			request.Metadata = append(request.Metadata, json.RawMessage(`{"jobId":`+id+`}`))
			jobs = append(jobs, readMetadata(request.Metadata[len(jobs)]))
		}
		response := request.response(jobs, &one.result)
		var statuses []string
		for index, job := range response.Output.Response {
			text, _ := json.Marshal(job.StatusCode)
			statuses = append(statuses, string(text))
			if strings.Contains(string(job.Metadata), "dontBatch") != one.alone {
				t.Errorf("%s: %s", name, job.Metadata)
			}
			if (job.StatusCode == 200) != (job.Error == "success") {
				t.Errorf("%s: job %d: %s", name, index, job.Error)
			}
		}
		if found := strings.Join(statuses, " "); found != one.statuses {
			t.Errorf("%s: %s", name, found)
		}
		if !json.Valid(response.AppendJSON(nil)) {
			t.Errorf("%s: %s", name, response.AppendJSON(nil))
		}
	}
}

// Types of errors are counted in a data plane's own words.
func TestErrorsAreCountedInTheDataPlanesWords(t *testing.T) {
	for _, one := range []struct {
		status    int
		kind      string
		retryable bool
		expected  string
	}{
		{400, "instrumentation", false, "dataValidation instrumentation"},
		{400, "configuration", false, "dataValidation configuration"},
		{429, "delivery", true, "network throttled"},
		{503, "delivery", true, "network retryable"},
		{400, "delivery", false, "network aborted"},
		{500, "internal", true, "platform retryable"},
		{400, "internal", false, "platform aborted"},
	} {
		category, kind := errorTags(&ciosidecar.Result{
			Status: one.status, Error: &ciosidecar.EventError{Type: one.kind, Retryable: one.retryable},
		})
		if category+" "+kind != one.expected {
			t.Errorf("%+v: %s %s", one, category, kind)
		}
	}
}

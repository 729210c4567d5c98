package router

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
)

// Requests that share jobs, directly or through other requests, are in one output, in their order.
func TestRequestsThatShareJobsAreInOneOutput(t *testing.T) {
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
	var outputs []string
	for _, output := range outputsOf(jobs) {
		members := ""
		for _, metadata := range output.Metadata {
			members += string(metadata)
		}
		var single, several = PostParameters{}, []PostParameters(nil)
		if len(output.BatchedRequest) != 0 && json.Unmarshal(output.BatchedRequest, &several) != nil {
			if err := json.Unmarshal(output.BatchedRequest, &single); err != nil {
				t.Fatal(err)
			}
			several = []PostParameters{single}
		}
		for _, request := range several {
			members += request.Endpoint
		}
		outputs = append(outputs, members)
	}
	// 1 and 5 are covered by nothing: they are answered all the same.
	if text := strings.Join(outputs, " "); text != "1 024abd 3c 5" {
		t.Errorf("outputs %s", text)
	}
}

// survivesDecoding is true for bodies that Go's decoding and encoding does not change.
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

// The userId of a request is the event's own, at the top level. The last of several counts.
func TestTheUserIDIsTheEventsOwn(t *testing.T) {
	for message, expected := range map[string]string{
		`{"userId":"a"}`:                                    "a",
		`{ "userId" : "a\"b\u00e9" , "x":1}`:                `a"bé`,
		`{"x":{"userId":"no"},"y":["userId"],"z":"userId"}`: "",
		`{"traits":{"a":[{}]},"userId":199126}`:             "199126",
		`{"userId":"a","userId":"b"}`:                       "b",
		`{"event":"userId","userId":null}`:                  "",
		`{"userId":7.5}`:                                    "",
		`{"userId":{"userId":"no"}}`:                        "",
		`{"userId":["no"]}`:                                 "",
		`{"a":"\\\"userId","userId":""}`:                    "",
		`{"userId":`:                                        "",
		`{"userId":"a`:                                      "",
		`{"userId`:                                          "",
		``:                                                  "",
	} {
		if found := eventUserID(json.RawMessage(message)); found != expected {
			t.Errorf("%s: %q", message, found)
		}
	}
}

// withDontBatch replaces or adds dontBatch. It changes nothing else, and does not change the
// original.
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
		if changed := withDontBatch(original); string(changed) != expected || string(original) != metadata {
			t.Errorf("%s became %s", metadata, changed)
		}
	}
}

// A router's request becomes a prepared request: the text of its body, and its params as a query.
func TestAProxiedRequestIsPrepared(t *testing.T) {
	type body = map[string]json.RawMessage
	for name, test := range map[string]struct {
		request PostParameters
		body    string
		problem string
	}{
		"JSON as it stands":           {PostParameters{Method: "PUT", Body: body{"JSON": json.RawMessage(`{"a": 1.0}`), "FORM": json.RawMessage(`{}`)}}, `{"a": 1.0}`, ""},
		"JSON_ARRAY":                  {PostParameters{Method: "PUT", Body: body{"JSON": json.RawMessage(`{}`), "JSON_ARRAY": json.RawMessage(`{"batch":"{\"a\": 1}"}`)}}, `{"a": 1}`, ""},
		"an empty object":             {PostParameters{Method: "PUT", Body: body{"JSON": json.RawMessage(`{}`)}}, `{}`, ""},
		"nothing":                     {PostParameters{Method: "DELETE", Body: body{"JSON": json.RawMessage(`{}`)}}, ``, ""},
		"no body at all":              {PostParameters{Method: "POST"}, `{}`, ""},
		"a form":                      {PostParameters{Method: "POST", Body: body{"FORM": json.RawMessage(`{"a":1}`)}}, ``, "takes JSON"},
		"JSON_ARRAY without a string": {PostParameters{Method: "POST", Body: body{"JSON_ARRAY": json.RawMessage(`{"batch":[]}`)}}, ``, "JSON_ARRAY"},
	} {
		prepared, err := test.request.prepare()
		if test.problem != "" {
			if err == nil || !strings.Contains(err.Error(), test.problem) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || string(prepared.GetBody()) != test.body {
			t.Errorf("%s: %s, %v", name, prepared.GetBody(), err)
		}
		if (prepared.GetHeaders()["Content-Type"] == "application/json") != (test.body != "") {
			t.Errorf("%s: headers %v", name, prepared.GetHeaders())
		}
	}
	request := PostParameters{Method: "DELETE", Endpoint: "https://h/p?a=1", Params: body{"b": json.RawMessage(`"x y"`), "c": json.RawMessage(`2`)}}
	if prepared, err := request.prepare(); err != nil || prepared.GetUrl() != "https://h/p?a=1&b=x+y&c=2" {
		t.Errorf("%s, %v", prepared.GetUrl(), err)
	}
}

// One result of a request gives each of its jobs a status.
func TestWhatAResultMeansForEachJob(t *testing.T) {
	refusal := &ciosidecar.EventError{Code: "REFUSED", Type: "delivery", Message: "m"}
	items := func(indexes ...int) *ciosidecar.DeliveryReport {
		report := &ciosidecar.DeliveryReport{HTTPStatus: 207}
		for _, index := range indexes {
			report.FailedItems = append(report.FailedItems, ciosidecar.FailedItem{Index: index, Reason: "bad"})
		}
		return report
	}
	shared := `{"batch":"…","jobIds":["1","1","2"]}`
	for name, test := range map[string]struct {
		jobs        string
		array       string
		result      ciosidecar.Result
		statuses    string
		resendAlone bool
	}{
		"delivered":                      {"12", shared, ciosidecar.Result{Status: 200}, "200 200", false},
		"an item of the second job":      {"12", shared, ciosidecar.Result{Status: 207, Error: refusal, Delivery: items(2)}, "200 400", false},
		"an item of the first job":       {"12", shared, ciosidecar.Result{Status: 207, Error: refusal, Delivery: items(1)}, "400 200", false},
		"a job that the array also has":  {"312", shared, ciosidecar.Result{Status: 207, Error: refusal, Delivery: items(0)}, "200 400 200", false},
		"an item of an unknown job":      {"12", `{}`, ciosidecar.Result{Status: 207, Error: refusal, Delivery: items(0)}, "500 500", true},
		"an item that is not there":      {"12", shared, ciosidecar.Result{Status: 207, Error: refusal, Delivery: items(3)}, "500 500", true},
		"items that are not named":       {"12", shared, ciosidecar.Result{Status: 207, Error: refusal}, "500 500", true},
		"an item of the only job":        {"1", `{}`, ciosidecar.Result{Status: 207, Error: refusal, Delivery: items(4)}, "400", false},
		"one of several is refused":      {"12", shared, ciosidecar.Result{Status: 413, Error: refusal}, "500 500", true},
		"the only job is refused":        {"1", `{}`, ciosidecar.Result{Status: 413, Error: refusal}, "413", false},
		"slow down":                      {"12", shared, ciosidecar.Result{Status: 429, Error: &ciosidecar.EventError{Code: "THROTTLED", Type: "delivery", Retryable: true}}, "429 429", false},
		"an address that is not allowed": {"12", shared, ciosidecar.Result{Status: 400, Error: &ciosidecar.EventError{Code: "INVALID_ITEM"}}, "400 400", false},
	} {
		request := &ProxyRequest{PostParameters: PostParameters{Body: map[string]json.RawMessage{"JSON_ARRAY": json.RawMessage(test.array)}}}
		var jobs []jobMetadata
		for _, id := range strings.Split(test.jobs, "") {
			request.Metadata = append(request.Metadata, json.RawMessage(`{"jobId":`+id+`}`))
			jobs = append(jobs, readMetadata(request.Metadata[len(jobs)]))
		}
		response := request.response(jobs, &test.result)
		var statuses []string
		for index, job := range response.Output.Response {
			text, _ := json.Marshal(job.StatusCode)
			statuses = append(statuses, string(text))
			if strings.Contains(string(job.Metadata), "dontBatch") != test.resendAlone {
				t.Errorf("%s: %s", name, job.Metadata)
			}
			if (job.StatusCode == 200) != (job.Error == "success") {
				t.Errorf("%s: job %d: %s", name, index, job.Error)
			}
		}
		if joined := strings.Join(statuses, " "); joined != test.statuses {
			t.Errorf("%s: %s", name, joined)
		}
		if !json.Valid(response.AppendJSON(nil)) {
			t.Errorf("%s: %s", name, response.AppendJSON(nil))
		}
	}
}

// Without job ids beside the body, the n-th item belongs to the n-th job, if there are as many.
func TestTheItemsOfABodyAreInTheOrderOfTheMetadata(t *testing.T) {
	for body, expected := range map[string]string{
		`{"batch":[{},{}]}`:    "200 400",
		`{"batch":[{},{},{}]}`: "500 500",
		`{"other":[{},{}]}`:    "500 500",
	} {
		request := &ProxyRequest{Metadata: ProxyMetadata{json.RawMessage(`{"jobId":2}`), json.RawMessage(`{"jobId":1}`)}}
		request.Body = map[string]json.RawMessage{"JSON": json.RawMessage(body), "JSON_ARRAY": json.RawMessage(`{}`)}
		response := request.response(request.jobs(), &ciosidecar.Result{
			Status: 207, Error: &ciosidecar.EventError{Code: "REFUSED", Type: "delivery"},
			Delivery: &ciosidecar.DeliveryReport{FailedItems: []ciosidecar.FailedItem{{Index: 1, Reason: "bad"}}},
		})
		jobs := response.Output.Response
		if statuses := fmt.Sprint(jobs[0].StatusCode, jobs[1].StatusCode); statuses != expected {
			t.Errorf("%s: %s", body, statuses)
		}
	}
}

// Items in the order of an output's metadata need no job ids beside the body. Others have them.
func TestSharedBodiesHaveJobIDsWhereTheOrderDoesNotTell(t *testing.T) {
	jobs := make([]answeredJob, 3)
	for index := range jobs {
		jobs[index].metadata.JobID = json.RawMessage{byte('1' + index)}
	}
	body := []byte(`{"batch":[{},{}]}`)
	for name, test := range map[string]struct {
		members   []int
		positions []int64
		body      string
		inJSON    bool
	}{
		"in order":             {[]int{0, 2}, []int64{0, 2}, string(body), true},
		"another job too":      {[]int{0, 1, 2}, []int64{0, 2}, string(body), false},
		"two items of one job": {[]int{0}, []int64{0, 0}, string(body), false},
		"a long number":        {[]int{0, 2}, []int64{0, 2}, `{"batch":[{"n":12345678901234567890},{}]}`, false},
	} {
		text := batchedRequest(jobs, []ciosidecar.APIRequest{{Body: []byte(test.body), Positions: test.positions}}, test.members)
		if strings.Contains(string(text), `"JSON":{}`) == test.inJSON || strings.Contains(string(text), "jobIds") == test.inJSON {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// The tags of errors are those that data planes use.
func TestErrorsHaveTheTagsOfDataPlanes(t *testing.T) {
	for _, test := range []struct {
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
			Status: test.status, Error: &ciosidecar.EventError{Type: test.kind, Retryable: test.retryable},
		})
		if category+" "+kind != test.expected {
			t.Errorf("%+v: %s %s", test, category, kind)
		}
	}
}

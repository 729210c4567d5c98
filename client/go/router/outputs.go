package router

import (
	"encoding/json"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
)

// TransformResponse is the response that a router expects of a transformer.
type TransformResponse struct {
	Output []DestinationJob `json:"output"`
}

// DestinationJob is one output: jobs that are delivered together, or fail together.
type DestinationJob struct {
	// BatchedRequest is the request to send: a [PostParameters] object, or an array of them to send
	// one after another. Absent if there is nothing to send.
	BatchedRequest json.RawMessage `json:"batchedRequest,omitempty"`
	// Metadata has the metadata of the jobs, unchanged, in the order of the input.
	Metadata []json.RawMessage `json:"metadata"`
	// Destination and Connection are those of the first job, unchanged.
	Destination json.RawMessage `json:"destination,omitempty"`
	Connection  json.RawMessage `json:"connection,omitempty"`
	// Batched reports whether the output has several jobs.
	Batched bool `json:"batched"`
	// StatusCode is 200: to be delivered. 298: filtered. 4xx: a permanent failure. 5xx: a retryable
	// failure.
	StatusCode int `json:"statusCode"`
	// Error is the code and the message of the error, if StatusCode is not 200.
	Error string `json:"error,omitempty"`
	// StatTags are tags for metrics, if StatusCode is not 200. Each tag has few values.
	StatTags map[string]string `json:"statTags,omitempty"`
}

// answeredJob is a job with its result.
type answeredJob struct {
	job      Job
	metadata jobMetadata
	// passedThrough is true for the output of an earlier transform, which is returned unchanged.
	passedThrough bool
	// The positions of the result's requests are indexes of jobs.
	result ciosidecar.Result
}

// outputsOf puts every job into exactly one output. A router rejects a job that is in two outputs, so
// all requests that share a job are in one output.
func outputsOf(jobs []answeredJob) []DestinationJob {
	groups := newUnionFind(len(jobs))
	covered := make([]bool, len(jobs))
	for index := range jobs {
		for _, request := range jobs[index].result.Requests {
			for _, position := range request.Positions {
				covered[position] = true
				groups.union(index, int(position))
			}
		}
	}
	members := make(map[int][]int)
	for index := range jobs {
		root := groups.find(index)
		members[root] = append(members[root], index)
	}

	outputs := make([]DestinationJob, 0, len(members))
	requests := make(map[int][]ciosidecar.APIRequest)
	outputOf := make(map[int]int) // the index of a root's output
	for index := range jobs {
		job := &jobs[index]
		root := groups.find(index)
		switch {
		case job.passedThrough:
			output := outputFor(jobs, []int{index})
			output.BatchedRequest = job.job.Message
			outputs = append(outputs, output)
		case !covered[index]:
			outputs = append(outputs, withoutRequest(jobs, index, "router"))
		case len(job.result.Requests) != 0:
			if _, known := outputOf[root]; !known {
				outputOf[root] = len(outputs)
				outputs = append(outputs, outputFor(jobs, members[root]))
			}
			requests[root] = append(requests[root], job.result.Requests...)
		}
	}
	for root, index := range outputOf {
		outputs[index].BatchedRequest = batchedRequest(jobs, requests[root], members[root])
	}
	return outputs
}

func outputFor(jobs []answeredJob, members []int) DestinationJob {
	first := &jobs[members[0]].job
	output := DestinationJob{
		Metadata:    make([]json.RawMessage, len(members)),
		Destination: first.Destination,
		Connection:  first.Connection,
		Batched:     len(members) > 1,
		StatusCode:  200,
	}
	for n, index := range members {
		output.Metadata[n] = jobs[index].job.Metadata
	}
	return output
}

// withoutRequest returns the output of a job that has nothing to deliver.
func withoutRequest(jobs []answeredJob, index int, feature string) DestinationJob {
	job := &jobs[index]
	output := outputFor(jobs, []int{index})
	output.StatusCode = job.result.Status
	switch {
	case job.result.Error != nil:
		output.Error = errorText(job.result.Error)
	case job.result.FilterReason != "":
		output.Error = "filtered: " + job.result.FilterReason
	default:
		// A router has no other status for a job without a request and without an error.
		output.StatusCode = 298
		output.Error = "filtered: nothing to send"
	}
	output.StatTags = statTags(feature, &job.result, &job.metadata)
	return output
}

// unionFind is a disjoint-set structure over the indexes of jobs.
type unionFind struct {
	parents []int
}

func newUnionFind(count int) *unionFind {
	parents := make([]int, count)
	for index := range parents {
		parents[index] = index
	}
	return &unionFind{parents}
}

// find returns the smallest index of the set that contains index.
func (u *unionFind) find(index int) int {
	for u.parents[index] != index {
		u.parents[index] = u.parents[u.parents[index]]
		index = u.parents[index]
	}
	return index
}

// union merges the sets that contain the two indexes.
func (u *unionFind) union(first, second int) {
	first, second = u.find(first), u.find(second)
	u.parents[max(first, second)] = min(first, second)
}

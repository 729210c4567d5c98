package router

import (
	"encoding/json"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
)

// TransformResponse is what a router expects of a transformer.
type TransformResponse struct {
	Output []DestinationJob `json:"output"`
}

// DestinationJob is one output: jobs that are delivered, or fail, together.
type DestinationJob struct {
	// BatchedRequest is what to deliver: a [PostParameters] object, or an array of them to be
	// sent one after another. Absent where there is nothing to deliver.
	BatchedRequest json.RawMessage `json:"batchedRequest,omitempty"`
	// Metadata are those of its jobs, as they came, in the order of the input.
	Metadata []json.RawMessage `json:"metadata"`
	// Destination and Connection are those of its first job, as they came.
	Destination json.RawMessage `json:"destination,omitempty"`
	Connection  json.RawMessage `json:"connection,omitempty"`
	// Batched tells whether it covers several jobs.
	Batched bool `json:"batched"`
	// StatusCode is 200 to be delivered; 298 filtered; 4xx refused for good; 5xx worth another
	// try.
	StatusCode int `json:"statusCode"`
	// Error is the code and what the sidecar says of it, where StatusCode is not 200.
	Error string `json:"error,omitempty"`
	// StatTags are for metrics, of few values each, where StatusCode is not 200.
	StatTags map[string]string `json:"statTags,omitempty"`
}

// answeredJob is a job and what became of it.
type answeredJob struct {
	job      Job
	metadata jobMetadata
	handedOn bool
	result   ciosidecar.Result // its requests' positions count the jobs
}

// outputsOf puts every job into exactly one output. A router refuses a job that it finds in two, so
// requests that share a job are united, whatever else they cover.
func outputsOf(jobs []answeredJob) []DestinationJob {
	together := newUnion(len(jobs))
	covered := make([]bool, len(jobs))
	for index := range jobs {
		for _, request := range jobs[index].result.Requests {
			for _, position := range request.Positions {
				covered[position] = true
				together.join(index, int(position))
			}
		}
	}
	members := make(map[int][]int)
	for index := range jobs {
		root := together.root(index)
		members[root] = append(members[root], index)
	}

	outputs := make([]DestinationJob, 0, len(members))
	requests := make(map[int][]ciosidecar.Request)
	outputOf := make(map[int]int) // of a root
	for index := range jobs {
		found := &jobs[index]
		root := together.root(index)
		switch {
		case found.handedOn:
			output := outputFor(jobs, []int{index})
			output.BatchedRequest = found.job.Message
			outputs = append(outputs, output)
		case !covered[index]:
			outputs = append(outputs, withoutRequest(jobs, index))
		case len(found.result.Requests) != 0:
			if _, known := outputOf[root]; !known {
				outputOf[root] = len(outputs)
				outputs = append(outputs, outputFor(jobs, members[root]))
			}
			requests[root] = append(requests[root], found.result.Requests...)
		}
	}
	for root, index := range outputOf {
		outputs[index].BatchedRequest = batchedRequest(jobs, requests[root])
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

// withoutRequest is the output of a job that is not to be delivered.
func withoutRequest(jobs []answeredJob, index int) DestinationJob {
	found := &jobs[index]
	output := outputFor(jobs, []int{index})
	output.StatusCode = found.result.Status
	switch {
	case found.result.Error != nil:
		output.Error = errorText(found.result.Error)
	case found.result.FilterReason != "":
		output.Error = "filtered: " + found.result.FilterReason
	default:
		// Nothing to deliver and nothing wrong: to a router that is a filtered job.
		output.StatusCode = 298
		output.Error = "filtered: nothing to send"
	}
	output.StatTags = statTags("router", &found.result, &found.metadata)
	return output
}

// union knows which jobs belong together.
type union struct {
	parents []int
}

func newUnion(count int) *union {
	parents := make([]int, count)
	for index := range parents {
		parents[index] = index
	}
	return &union{parents}
}

// root is the first of those that belong together.
func (u *union) root(index int) int {
	for u.parents[index] != index {
		u.parents[index] = u.parents[u.parents[index]]
		index = u.parents[index]
	}
	return index
}

func (u *union) join(one, other int) {
	one, other = u.root(one), u.root(other)
	u.parents[max(one, other)] = min(one, other)
}

package router

import (
	"net/http"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
)

// statTags are what a data plane counts a failure by. Every value is one of few: codes, types, and
// the ids that the data plane counts by anyway.
func statTags(feature string, result *ciosidecar.Result, metadata *jobMetadata) map[string]string {
	category, kind := "transformation", "filtered"
	meta := result.FilterReason
	if result.Error != nil {
		meta = result.Error.Code
		category, kind = errorTags(result)
	}
	tags := map[string]string{
		"destType":       "CUSTOMERIO",
		"module":         "destination",
		"implementation": "ciosidecar",
		"feature":        feature,
		"errorCategory":  category,
		"errorType":      kind,
	}
	for name, value := range map[string]string{
		"meta": meta, "destinationId": metadata.DestinationID, "workspaceId": metadata.WorkspaceID,
	} {
		if value != "" {
			tags[name] = value
		}
	}
	return tags
}

func errorTags(result *ciosidecar.Result) (category, kind string) {
	retried := "aborted"
	if result.Error.Retryable {
		retried = "retryable"
	}
	switch result.Error.Type {
	case "instrumentation":
		return "dataValidation", "instrumentation"
	case "configuration":
		return "dataValidation", "configuration"
	case "delivery":
		if result.Status == http.StatusTooManyRequests {
			return "network", "throttled"
		}
		return "network", retried
	default:
		return "platform", retried
	}
}

// errorText is an error for a job's status: its code, what it says, and nothing personal.
func errorText(problem *ciosidecar.Error) string {
	return problem.Code + ": " + problem.Message
}

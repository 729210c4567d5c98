package router

import (
	"net/http"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
)

// statTags returns the tags by which a data plane counts failures. Every tag has few values: codes,
// types, and the ids by which the data plane counts anyway.
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
	outcome := "aborted"
	if result.Error.Retryable {
		outcome = "retryable"
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
		return "network", outcome
	default:
		return "platform", outcome
	}
}

// errorText returns the code and the message of an error. It contains no personal data.
func errorText(eventError *ciosidecar.EventError) string {
	return eventError.Code + ": " + eventError.Message
}

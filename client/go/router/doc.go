// Package router connects the router of a RudderStack-like data plane in Go with the sidecar. It
// takes router jobs as the router holds them, and returns what the router expects of a transformer.
//
// A [Transformer] replaces /routerTransform: it returns every job in exactly one output, with the
// requests that the job became. A [Deliverer] replaces the transformer's proxy: it delivers a request
// that was prepared earlier, and returns a status for each job.
//
// Both keep streams to the sidecar open, and many goroutines may use them at once. The metadata of
// jobs is returned byte for byte. See docs/go-data-plane.md of the project.
package router

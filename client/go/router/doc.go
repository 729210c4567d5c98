// Package router is the sidecar seen from a RudderStack-like data plane written in Go: router jobs
// in, as the router holds them, and out what it expects of a transformer.
//
// A [Transformer] answers what the router would ask of /routerTransform: every job in exactly one
// output, with the requests it became. A [Deliverer] answers what it would ask of the transformer's
// proxy: it sends a request that was prepared earlier, and says for each job how that went.
//
// Both keep streams to the sidecar open and may be used by many goroutines at once. What the
// router put into a job's metadata comes back byte for byte. docs/go-data-plane.md of the project
// walks through it.
package router

// Package ciosidecar is the Go client of ciosidecar, the gRPC sidecar that turns RudderStack
// events into Customer.io requests, and delivers them when asked.
//
// A [Client] is a connection to one or several sidecars. Its Transform takes one batch of events
// and gives back one [Result] an event. Its Stream takes events one at a time, gathers them into
// messages, keeps within a credit, and, when the sidecar goes away, opens another stream and sends
// again what has no result.
//
// What becomes of an event is in its Result, never in an error: errors speak of calls. The rules
// by which events become requests, and all codes, are in docs/rules.md of the project.
//
// The generated stubs are in [github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1], and the
// side of a RudderStack-like router in [github.com/ciosidecar/ciosidecar/client/go/router].
package ciosidecar

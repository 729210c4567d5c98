// Package ciosidecar is the Go client of ciosidecar, a gRPC sidecar that turns RudderStack events
// into Customer.io requests, and delivers the requests on demand.
//
// A [Client] is a connection to one or several sidecars. [Client.Transform] and [Client.Deliver]
// take one batch of items and return one [Result] for each item. [Client.Stream] takes items one at
// a time and gathers them into messages. The stream limits the number of outstanding items. If the
// sidecar goes away, the stream reconnects and sends the items without a result again.
//
// What becomes of an event is in its Result. Errors describe calls and streams only. docs/rules.md
// of the project has the rules by which events become requests, and all codes.
//
// The generated stubs are in [github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1]. Package
// [github.com/ciosidecar/ciosidecar/client/go/router] is for routers of data planes like RudderStack.
package ciosidecar

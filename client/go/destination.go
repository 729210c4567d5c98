package ciosidecar

import "strings"

// Destination is a configured Customer.io workspace. The zero value is no destination.
//
// Destinations are compared with ==. Two destinations with the same ref and config are the same
// destination: it is sent once on a stream or in a call, however many items refer to it.
type Destination struct {
	ref    string
	config string
	// named is true if the sidecar has the config, under the ref.
	named bool
}

// NewDestination returns a destination with the config that the RudderStack dashboard keeps: a JSON
// object in UTF-8. docs/destination.md of the project lists the settings.
//
// The ref is the caller's own name for the configuration. It appears in logs and metrics, so it MUST
// NOT be a secret, and it may be empty. A router that keeps settings by revision can use
// "destination:revision". Bytes of the ref that are not UTF-8 become U+FFFD.
func NewDestination(ref string, configJSON []byte) Destination {
	return Destination{ref: strings.ToValidUTF8(ref, "\uFFFD"), config: string(configJSON)}
}

// DestinationByRef returns a destination that the sidecar's own file declares under this ref
// (--destinations): the caller holds no credentials. If the sidecar does not know the ref, or the ref is
// empty, the events of the destination are rejected with INVALID_DESTINATION.
func DestinationByRef(ref string) Destination {
	return Destination{ref: strings.ToValidUTF8(ref, "\uFFFD"), named: true}
}

// String returns the ref. The config contains the credentials and is never printed.
func (d Destination) String() string { return "destination " + d.ref }

// GoString returns the same as String, so that %#v prints no credentials either.
func (d Destination) GoString() string { return d.String() }

// SourceConnection is a connection of a source to a destination, for warehouse records and
// audiences. The zero value is no connection. Connections are compared, and sent once, as
// destinations are.
type SourceConnection struct {
	config string
}

// NewSourceConnection returns a connection with the config that the RudderStack dashboard keeps: a
// JSON object in UTF-8.
func NewSourceConnection(configJSON []byte) SourceConnection {
	return SourceConnection{config: string(configJSON)}
}

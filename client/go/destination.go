package ciosidecar

import "strings"

// Destination is a Customer.io workspace as its user configured it. Destinations are compared with
// ==: two with the same ref and config are one, and travel once a stream or call, however many
// events name them. The zero value is no destination.
type Destination struct {
	ref    string
	config string
}

// NewDestination makes a destination of the config JSON that the RudderStack dashboard keeps, in
// UTF-8. The settings are listed in the project's README.
//
// The ref is the caller's own name for it, safe to log, and may be empty; a router that keeps
// settings by revision may use "destination:revision". What is not UTF-8 in it becomes U+FFFD.
func NewDestination(ref string, configJSON []byte) Destination {
	return Destination{ref: strings.ToValidUTF8(ref, "\uFFFD"), config: string(configJSON)}
}

// String is the ref. The config holds the credentials and is never printed.
func (d Destination) String() string { return "destination " + d.ref }

// GoString is String, so that %#v shows no credentials either.
func (d Destination) GoString() string { return d.String() }

// Connection is a source's connection to a destination, for warehouse records and audiences.
// The zero value is none. It is compared and travels as a [Destination] does.
type Connection struct {
	ref    string
	config string
}

// NewConnection makes a connection of its config JSON in UTF-8. The ref is as in [NewDestination].
func NewConnection(ref string, configJSON []byte) Connection {
	return Connection{ref: strings.ToValidUTF8(ref, "\uFFFD"), config: string(configJSON)}
}

// String is the ref.
func (c Connection) String() string { return "connection " + c.ref }

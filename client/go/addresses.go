package ciosidecar

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"google.golang.org/grpc"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
)

const (
	addressForms = "use host:port, [IPv6]:port, unix:PATH, unix-abstract:NAME or dns:///host:port"
	dnsScheme    = "dns:///"
	unixScheme   = "unix:"
	// abstractScheme is that of a socket whose name is in no file system.
	abstractScheme = "unix-abstract:"
	// maxSocketPathBytes is the size of sun_path on Linux, without the byte that ends a path or begins an
	// abstract name.
	maxSocketPathBytes = 107
)

var hostName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// targetOf returns one gRPC target for all addresses, and the options that gRPC needs to resolve it.
func targetOf(addresses []string) (string, []grpc.DialOption, error) {
	for _, address := range addresses {
		if fault := faultOf(address); fault != "" {
			return "", nil, fmt.Errorf("ciosidecar: %q is no address: %s", address, fault)
		}
	}
	switch {
	case addresses == nil:
		return DefaultAddress, nil, nil
	case len(addresses) == 0:
		return "", nil, errors.New("ciosidecar: no address is given: " + addressForms)
	case len(addresses) == 1:
		return addresses[0], nil, nil
	}
	endpoints := make([]resolver.Endpoint, len(addresses))
	for index, address := range addresses {
		if strings.HasPrefix(address, dnsScheme) {
			return "", nil, fmt.Errorf("ciosidecar: %s can only be given alone", address)
		}
		// gRPC's dialer has no scheme for abstract sockets; package net marks them with @.
		if name, ok := strings.CutPrefix(address, abstractScheme); ok {
			address = unixScheme + "@" + name
		}
		endpoints[index].Addresses = []resolver.Address{
			{Addr: address, ServerName: serverName(address)},
		}
	}
	static := manual.NewBuilderWithScheme("ciosidecar")
	static.InitialState(resolver.State{Endpoints: endpoints})
	return static.Scheme() + ":///sidecars", []grpc.DialOption{grpc.WithResolvers(static)}, nil
}

// faultOf returns what is wrong with an address, or "".
func faultOf(address string) string {
	scheme, rest, hasScheme := strings.Cut(address, "://")
	switch {
	case strings.TrimSpace(address) == "":
		return "it is blank; " + addressForms
	case strings.ContainsFunc(address, unicode.IsSpace):
		return "it contains white space"
	case isUnix(address):
		return faultOfSocket(address)
	case strings.HasPrefix(address, dnsScheme):
		return faultOfHostAndPort(rest[1:])
	case hasScheme && (scheme == "http" || scheme == "https"):
		return fmt.Sprintf("leave %q out", scheme+"://")
	case hasScheme:
		return addressForms
	}
	return faultOfHostAndPort(address)
}

func faultOfSocket(address string) string {
	name, isAbstract := strings.CutPrefix(address, abstractScheme)
	kind := "name"
	if !isAbstract {
		name, kind = strings.TrimPrefix(address, unixScheme), "path"
	}
	if strings.Trim(name, "/") == "" {
		return fmt.Sprintf("the %s of the socket is missing", kind)
	}
	if !isAbstract && strings.HasPrefix(name, "//") {
		if !strings.HasPrefix(name, "///") {
			return "use unix:PATH or unix:///PATH"
		}
		name = name[2:]
	}
	if len(name) > maxSocketPathBytes {
		return fmt.Sprintf("the %s of a socket has at most %d bytes", kind, maxSocketPathBytes)
	}
	return ""
}

func faultOfHostAndPort(address string) string {
	isBracketed := strings.HasPrefix(address, "[")
	if !isBracketed && strings.Count(address, ":") > 1 {
		return "put an IPv6 address into brackets, as in [::1]:50550"
	}
	colon := strings.LastIndexByte(address, ':')
	if colon < 0 || isBracketed && strings.HasSuffix(address, "]") || colon == len(address)-1 {
		return "the port is missing, as in host:50550"
	}
	host, port := address[:colon], address[colon+1:]
	if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 {
		return "the port must be 1 to 65535"
	}
	if !isHost(host) {
		return addressForms
	}
	return ""
}

func isHost(host string) bool {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		ip, err := netip.ParseAddr(inner)
		return ok && err == nil && ip.Is6()
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	// No host name ends in a number: such a host is an IPv4 address or a mistake.
	_, err := strconv.ParseUint(host[strings.LastIndexByte(host, '.')+1:], 10, 64)
	return err != nil && hostName.MatchString(host)
}

func isUnix(address string) bool {
	return strings.HasPrefix(address, unixScheme) || strings.HasPrefix(address, abstractScheme)
}

// isLocal reports whether calls to an address do not leave the host: loopback and unix sockets.
func isLocal(address string) bool {
	if isUnix(address) {
		return true
	}
	host, _, err := net.SplitHostPort(strings.TrimPrefix(address, dnsScheme))
	if err != nil {
		return false
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback()
	}
	return strings.EqualFold(strings.TrimSuffix(host, "."), "localhost")
}

// serverName returns the name that the certificate at an address must have. gRPC also sends it as the
// authority of the calls.
func serverName(address string) string {
	if isUnix(address) {
		return "localhost"
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}

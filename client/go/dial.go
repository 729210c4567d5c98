package ciosidecar

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // lets the service config ask for health checks
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

// DefaultAddress is the address at which a sidecar listens by default.
const DefaultAddress = "127.0.0.1:50550"

const (
	maxMessageBytes         = 64 << 20
	defaultKeepAliveTime    = 30 * time.Second
	defaultKeepAliveTimeout = 10 * time.Second
	connectTimeout          = 5 * time.Second
)

// defaultServiceConfig configures gRPC: each address has a connection, and calls take turns among the
// addresses whose health is SERVING. Unary calls that failed with UNAVAILABLE are repeated, but not
// Deliver, which is not safe to repeat.
const defaultServiceConfig = `{
	"loadBalancingConfig": [{"round_robin": {}}],
	"healthCheckConfig": {"serviceName": "ciosidecar.v1.SidecarService"},
	"methodConfig": [{
		"name": [
			{"service": "ciosidecar.v1.SidecarService", "method": "GetCapabilities"},
			{"service": "ciosidecar.v1.SidecarService", "method": "CheckDestination"},
			{"service": "ciosidecar.v1.SidecarService", "method": "Transform"}
		],
		"retryPolicy": {
			"maxAttempts": 4,
			"initialBackoff": "0.1s",
			"maxBackoff": "2s",
			"backoffMultiplier": 2,
			"retryableStatusCodes": ["UNAVAILABLE"]
		}
	}]
}`

// DialOptions are the options of a client. A field that is zero has its default.
type DialOptions struct {
	// TLS is the TLS config; [TLSFiles] returns one. Nil: no TLS, for loopback addresses and for unix
	// sockets, on which a sidecar has no TLS.
	TLS *tls.Config
	// KeepAliveTime is the time of silence in a call after which the client pings the sidecar.
	// Defaults to 30 s. The sidecar allows no less than 10 s.
	KeepAliveTime time.Duration
	// KeepAliveTimeout is the time in which the sidecar must answer the ping. Defaults to 10 s.
	KeepAliveTimeout time.Duration
	// ServiceConfig replaces the default gRPC service config, in JSON. By default, calls take turns
	// (round_robin) among the addresses whose health is SERVING, and a unary call that failed with
	// UNAVAILABLE, except Deliver, is attempted 4 times, 0.1 to 2 s apart.
	ServiceConfig string
	// GRPC are further options, applied last: interceptors, stats handlers, window sizes.
	GRPC []grpc.DialOption
}

// Dial returns a client of the sidecars at the addresses: host:port, [IPv6]:port or unix:PATH, in any
// mixture. No address means [DefaultAddress]. A name with several addresses MUST be the only one, as
// dns:///name:port.
//
// Dial does not wait for a connection; the first call connects. It returns an error if the options or
// addresses cannot be used.
func Dial(addresses []string, options *DialOptions) (*Client, error) {
	if options == nil {
		options = &DialOptions{}
	}
	target, dialOptions, err := targetOf(addresses)
	if err == nil && options.TLS != nil && slices.ContainsFunc(addresses, isUnix) {
		err = errors.New("ciosidecar: a sidecar has no TLS on its unix sockets: leave TLS out")
	}
	if err != nil {
		return nil, err
	}
	dialOptions = append(dialOptions, options.grpcOptions()...)
	conn, err := grpc.NewClient(target, append(dialOptions, options.GRPC...)...)
	if err != nil {
		return nil, fmt.Errorf("ciosidecar: %w", err)
	}
	client := &Client{conn: conn, stub: v1.NewSidecarServiceClient(conn)}
	client.lifetime, client.cancel = context.WithCancel(context.Background())
	return client, nil
}

func (o *DialOptions) grpcOptions() []grpc.DialOption {
	transport := insecure.NewCredentials()
	if o.TLS != nil {
		transport = credentials.NewTLS(o.TLS)
	}
	serviceConfig := o.ServiceConfig
	if serviceConfig == "" {
		serviceConfig = defaultServiceConfig
	}
	return []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(maxMessageBytes), grpc.MaxCallSendMsgSize(maxMessageBytes),
		),
		// A sidecar that vanished without closing its connection is noticed within a minute.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time:    orDefault(o.KeepAliveTime, defaultKeepAliveTime),
			Timeout: orDefault(o.KeepAliveTimeout, defaultKeepAliveTimeout),
		}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay: initialReconnectDelay, Multiplier: 2, Jitter: 0.2, MaxDelay: maxReconnectDelay,
			},
			MinConnectTimeout: connectTimeout,
		}),
		// A sidecar runs on the same host or network, which proxies of the environment do not serve.
		grpc.WithNoProxy(),
	}
}

// targetOf returns one gRPC target for all addresses, and the options that gRPC needs to resolve it.
func targetOf(addresses []string) (string, []grpc.DialOption, error) {
	for _, address := range addresses {
		if !isAddress(address) {
			return "", nil, fmt.Errorf("ciosidecar: %q is no address: "+
				"give host:port, [IPv6]:port, unix:PATH or dns:///name:port", address)
		}
	}
	switch len(addresses) {
	case 0:
		return DefaultAddress, nil, nil
	case 1:
		return addresses[0], nil, nil
	}
	endpoints := make([]resolver.Endpoint, len(addresses))
	for index, address := range addresses {
		if strings.Contains(address, ":///") && !isUnix(address) {
			return "", nil, fmt.Errorf("ciosidecar: %s can only be given alone", address)
		}
		endpoints[index].Addresses = []resolver.Address{
			{Addr: address, ServerName: serverName(address)},
		}
	}
	static := manual.NewBuilderWithScheme("ciosidecar")
	static.InitialState(resolver.State{Endpoints: endpoints})
	return static.Scheme() + ":///sidecars", []grpc.DialOption{grpc.WithResolvers(static)}, nil
}

var addressForm = regexp.MustCompile(
	`^(?:unix:\S+|(?:dns:///)?(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5}))$`)

func isAddress(address string) bool {
	groups := addressForm.FindStringSubmatch(address)
	if groups == nil {
		return false
	}
	port, err := strconv.Atoi(groups[1])
	return isUnix(address) || (err == nil && 0 < port && port < 65_536)
}

func isUnix(address string) bool { return strings.HasPrefix(address, "unix:") }

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

// TLSFiles returns a TLS config from PEM files: the CA certificates that the sidecar's certificate must
// be signed by, and the client's own certificate and key for a sidecar that verifies clients (mTLS).
// An empty caFile means the CA certificates of the system. Empty certFile and keyFile mean no client
// certificate.
func TLSFiles(caFile, certFile, keyFile string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		text, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("ciosidecar: the CA certificates: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("ciosidecar: no certificate in %s", caFile)
		}
	}
	if certFile != "" || keyFile != "" {
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			return nil, fmt.Errorf("ciosidecar: the client's certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// orDefault returns the value, or defaultValue if the value is zero.
func orDefault[T comparable](value, defaultValue T) T {
	var zero T
	if value == zero {
		return defaultValue
	}
	return value
}

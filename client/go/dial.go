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

// DefaultAddress is where a sidecar listens unless told otherwise.
const DefaultAddress = "127.0.0.1:50550"

const (
	maxMessageBytes         = 64 << 20
	defaultKeepAliveTime    = 30 * time.Second
	defaultKeepAliveTimeout = 10 * time.Second
	connectTimeout          = 5 * time.Second
)

// defaultServiceConfig is gRPC's own machinery: each address has its connection, those whose
// health is not SERVING get no calls, calls take turns, and a unary call that found nobody is made
// again.
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

// DialOptions say how a client reaches its sidecars. The zero value, and nil, mean the defaults.
type DialOptions struct {
	// TLS is how to trust the sidecar, and to be trusted: [TLSFiles] makes one. Nil: no TLS, which
	// is for loopback and for unix sockets, where a sidecar speaks none.
	TLS *tls.Config
	// KeepAliveTime is after how much silence during a call the sidecar is asked whether it is
	// still there. Default 30 s. The sidecar takes no less than 10 s.
	KeepAliveTime time.Duration
	// KeepAliveTimeout is how long it has to answer that. Default 10 s.
	KeepAliveTimeout time.Duration
	// ServiceConfig replaces the default gRPC service config, in JSON: calls take turns among the
	// addresses (round_robin) whose health is SERVING, and a unary call that ended UNAVAILABLE is
	// tried 4 times, 0.1 to 2 s apart.
	ServiceConfig string
	// GRPC are further options, applied last: interceptors, stats handlers, window sizes.
	GRPC []grpc.DialOption
}

// Dial makes a client of the sidecars at some addresses: host:port, [IPv6]:port or unix:PATH, mixed
// as you like; none means [DefaultAddress]. A name that stands for several is given alone, as
// dns:///name:port.
//
// It does not wait for a connection: the first call makes one. An error means that the options or
// addresses cannot be used.
func Dial(addresses []string, options *DialOptions) (*Client, error) {
	if options == nil {
		options = &DialOptions{}
	}
	target, found, err := targetOf(addresses)
	if err == nil && options.TLS != nil && slices.ContainsFunc(addresses, isUnix) {
		err = errors.New("ciosidecar: a sidecar has no TLS on its unix sockets: leave TLS out")
	}
	if err != nil {
		return nil, err
	}
	found = append(found, options.grpcOptions()...)
	conn, err := grpc.NewClient(target, append(found, options.GRPC...)...)
	if err != nil {
		return nil, fmt.Errorf("ciosidecar: %w", err)
	}
	client := &Client{conn: conn, stub: v1.NewSidecarServiceClient(conn)}
	client.open, client.cancel = context.WithCancel(context.Background())
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
		// A peer that vanished without a word is noticed within a minute.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time:    orDefault(o.KeepAliveTime, defaultKeepAliveTime),
			Timeout: orDefault(o.KeepAliveTimeout, defaultKeepAliveTimeout),
		}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay: firstPause, Multiplier: 2, Jitter: 0.2, MaxDelay: maxPause,
			},
			MinConnectTimeout: connectTimeout,
		}),
		// A sidecar is near: the proxies of the environment are for what is far.
		grpc.WithNoProxy(),
	}
}

// targetOf is one gRPC target for all addresses, with what gRPC needs to resolve it.
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
	found := addressForm.FindStringSubmatch(address)
	if found == nil {
		return false
	}
	port, err := strconv.Atoi(found[1])
	return isUnix(address) || (err == nil && 0 < port && port < 65_536)
}

func isUnix(address string) bool { return strings.HasPrefix(address, "unix:") }

// serverName is what an address's certificate must be for, and what its calls say they are for.
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

// TLSFiles reads what TLS needs from files of PEM: whom to believe, and the client's own
// certificate and key where the sidecar asks for them. A path may be empty: the system's trust,
// and no certificate.
func TLSFiles(caFile, certFile, keyFile string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		text, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("ciosidecar: the authority: %w", err)
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

// orDefault is the value, or what stands for zero.
func orDefault[T comparable](value, standsForZero T) T {
	var zero T
	if value == zero {
		return standsForZero
	}
	return value
}

package ciosidecar

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // lets the service config ask for health checks
	"google.golang.org/grpc/keepalive"

	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

// DefaultAddress is the address at which a sidecar listens by default.
const DefaultAddress = "127.0.0.1:50550"

const (
	maxMessageBytes         = 64 << 20
	defaultKeepAliveTime    = 30 * time.Second
	defaultKeepAliveTimeout = 10 * time.Second
	defaultConnectTimeout   = 10 * time.Second
	// maxConnectAttempt is the time limit of one attempt to connect, with its TLS handshake.
	maxConnectAttempt = 5 * time.Second
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
	// Token is the bearer token that the sidecar requires. Optional; set at most one of Token,
	// TokenFile and TokenSource.
	Token string
	// TokenFile is a file with the bearer token. The client reads the file for each call, so that a
	// token can be replaced: its first line that is neither blank nor a comment (#).
	TokenFile string
	// TokenSource returns the bearer token. The client calls the function for each call.
	TokenSource func(context.Context) (string, error)
	// Insecure, if true, lets the client send the token without TLS to any address. By default, it
	// does so only over loopback and unix sockets.
	Insecure bool
	// ConnectTimeout is the time for which the streams of a new client try until a sidecar answers for
	// the first time. After that, StreamOptions.ReconnectFor applies. An attempt to connect takes at
	// most this time, and at most 5 s. Defaults to 10 s.
	ConnectTimeout time.Duration
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

// Dial returns a client of the sidecars at the addresses: host:port, [IPv6]:port, unix:PATH or
// unix-abstract:NAME, in any mixture. Nil means [DefaultAddress]. A name with several addresses MUST be
// the only one, as dns:///host:port.
//
// Dial does not wait for a connection; the first call connects. It returns an error if the options or
// addresses cannot be used, or if the token would leave the host without TLS.
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
	if options.ConnectTimeout < 0 {
		return nil, errors.New("ciosidecar: ConnectTimeout must not be negative")
	}
	var shared []grpc.DialOption // of connections to one address, too
	source, err := options.tokenSource()
	if err == nil && source != nil {
		err = options.checkPlainToken(addresses)
		shared = append(shared, tokenInterceptors(source)...)
	}
	if err != nil {
		return nil, err
	}
	shared = append(append(shared, options.grpcOptions()...), options.GRPC...)
	conn, err := grpc.NewClient(target, append(dialOptions, shared...)...)
	if err != nil {
		return nil, fmt.Errorf("ciosidecar: %w", err)
	}
	client := &Client{conn: conn, stub: v1.NewSidecarServiceClient(conn)}
	client.fleet.addresses = distinct(addresses)
	client.fleet.dial = func(address string) (*grpc.ClientConn, error) {
		return grpc.NewClient(address, shared...)
	}
	client.first.timeout = orDefault(options.ConnectTimeout, defaultConnectTimeout)
	client.first.addresses = strings.Join(addresses, ", ")
	if addresses == nil {
		client.first.addresses = DefaultAddress
	}
	client.lifetime, client.cancel = context.WithCancel(context.Background())
	return client, nil
}

// distinct returns the addresses without repetitions.
func distinct(addresses []string) []string {
	var different []string
	for _, address := range addresses {
		if !slices.Contains(different, address) {
			different = append(different, address)
		}
	}
	return different
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
			MinConnectTimeout: min(orDefault(o.ConnectTimeout, defaultConnectTimeout), maxConnectAttempt),
		}),
		// A sidecar runs on the same host or network, which proxies of the environment do not serve.
		grpc.WithNoProxy(),
	}
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

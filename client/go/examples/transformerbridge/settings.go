package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
)

const usage = `transformerbridge stands between rudder-server and its transformer, and answers for
Customer.io with a sidecar. Everything else is handed on to -upstream.

  transformerbridge -listen 127.0.0.1:9191 -sidecar 127.0.0.1:50550 -upstream http://127.0.0.1:9090

Then start rudder-server with

  DEST_TRANSFORM_URL=http://127.0.0.1:9191
  RSERVER_ROUTER_CUSTOMERIO_TRANSFORMER_PROXY=true    (the sidecar also delivers)

A setting that the RudderStack dashboard does not offer can be given to all destinations with
-defaults FILE, a JSON object: {"apiVersion": "v2", "eventIds": "none"}.

Options:
`

// settings are the flags of the command.
type settings struct {
	listen   string
	sidecars addresses
	upstream *url.URL // nil: there is no transformer
	deliver  bool
	timeout  time.Duration
	defaults map[string]json.RawMessage
	maxBody  int64
	drain    time.Duration
	grace    time.Duration
	logLevel slog.Level

	tokenFile              string
	tlsCA, tlsCert, tlsKey string
}

// addresses is a flag that takes several addresses, repeated or with commas between them.
type addresses []string

func (a *addresses) String() string { return strings.Join(*a, ",") }

func (a *addresses) Set(text string) error {
	for address := range strings.SplitSeq(text, ",") {
		if address = strings.TrimSpace(address); address != "" {
			*a = append(*a, address)
		}
	}
	return nil
}

// parseSettings reads the flags. It prints errors and help to output.
func parseSettings(arguments []string, output io.Writer) (*settings, error) {
	settings := &settings{}
	var upstream, defaults string
	flags := flag.NewFlagSet("transformerbridge", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.Usage = func() {
		_, _ = fmt.Fprint(output, usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&settings.listen, "listen", "127.0.0.1:9191", "`address` for rudder-server; port 0 takes any free port")
	flags.Var(&settings.sidecars, "sidecar",
		"`address` of a sidecar: host:port or unix:PATH; repeatable, or several with commas (default "+ciosidecar.DefaultAddress+")")
	flags.StringVar(&upstream, "upstream", "", "`URL` of the transformer for everything else; without it, that is answered with 404")
	flags.BoolVar(&settings.deliver, "deliver", true, "answer for the transformer's delivery proxy: the sidecar delivers")
	flags.DurationVar(&settings.timeout, "timeout", 30*time.Second,
		"time limit for the sidecar's answer; a delivery has the limit of the header RdProxy-Timeout instead")
	flags.StringVar(&defaults, "defaults", "", "JSON `file` with settings for destinations that do not have them")
	flags.Int64Var(&settings.maxBody, "max-body-bytes", 128<<20, "limit of the `bytes` of one request, also after gunzip")
	flags.DurationVar(&settings.drain, "drain", 5*time.Second,
		"time after SIGTERM for which requests are still taken, while /health answers 503")
	flags.DurationVar(&settings.grace, "grace", 30*time.Second, "time after that for which open requests may finish")
	flags.TextVar(&settings.logLevel, "log-level", slog.LevelInfo, "least `level` of log lines: debug, info, warn or error")
	flags.StringVar(&settings.tokenFile, "token-file", "",
		"`file` with the bearer token that the sidecar requires; read again for each stream")
	flags.StringVar(&settings.tlsCA, "tls-ca", "", "PEM `file` with the CA certificates of the sidecar; enables TLS")
	flags.StringVar(&settings.tlsCert, "tls-cert", "", "PEM `file` with the certificate to show to the sidecar; enables TLS")
	flags.StringVar(&settings.tlsKey, "tls-key", "", "PEM `file` with the key of -tls-cert")
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	if flags.NArg() != 0 {
		return nil, fmt.Errorf("%q is no option; see -h", flags.Arg(0))
	}
	if len(settings.sidecars) == 0 {
		settings.sidecars = addresses{ciosidecar.DefaultAddress}
	}
	if settings.timeout <= 0 || settings.maxBody <= 0 || settings.drain < 0 || settings.grace < 0 {
		return nil, errors.New("-timeout and -max-body-bytes must be positive, -drain and -grace not negative")
	}
	var err error
	if settings.upstream, err = parseUpstream(upstream); err != nil {
		return nil, err
	}
	settings.defaults, err = readDefaults(defaults)
	return settings, err
}

func parseUpstream(text string) (*url.URL, error) {
	if text == "" {
		return nil, nil
	}
	address, err := url.Parse(text)
	if err != nil || address.Host == "" || (address.Scheme != "http" && address.Scheme != "https") {
		return nil, fmt.Errorf("-upstream %q is no URL: give http://host:port", text)
	}
	return address, nil
}

func readDefaults(file string) (map[string]json.RawMessage, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("-defaults: %w", err)
	}
	var defaults map[string]json.RawMessage
	if err := json.Unmarshal(text, &defaults); err != nil {
		return nil, fmt.Errorf("-defaults %s has no JSON object: %w", file, err)
	}
	return defaults, nil
}

// upstreamName returns the URL of the transformer without a password, for logs.
func (s *settings) upstreamName() string {
	if s.upstream == nil {
		return "none"
	}
	return s.upstream.Redacted()
}

// dial returns a client of the sidecars.
func (s *settings) dial() (*ciosidecar.Client, error) {
	options := &ciosidecar.DialOptions{TokenFile: s.tokenFile}
	if s.tlsCA != "" || s.tlsCert != "" || s.tlsKey != "" {
		config, err := ciosidecar.TLSFiles(s.tlsCA, s.tlsCert, s.tlsKey)
		if err != nil {
			return nil, err
		}
		options.TLS = config
	}
	return ciosidecar.Dial(s.sidecars, options)
}

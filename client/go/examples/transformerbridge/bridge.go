package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"slices"
	"sync/atomic"
	"time"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
	"github.com/ciosidecar/ciosidecar/client/go/router"
)

// destinationType is Customer.io's type, as rudder-server spells it in paths and requests.
const destinationType = "customerio"

// bridge answers rudder-server's requests.
type bridge struct {
	settings    *settings
	log         *slog.Logger
	client      *ciosidecar.Client
	transformer *router.Transformer
	deliverer   *router.Deliverer      // nil: the sidecar is not asked to deliver
	upstream    *httputil.ReverseProxy // nil: there is no transformer
	features    featuresCache
	draining    atomic.Bool
	silent      atomic.Bool // the sidecar did not answer the last call
}

func newBridge(settings *settings, log *slog.Logger) (*bridge, error) {
	client, err := settings.dial()
	if err != nil {
		return nil, err
	}
	streams := len(settings.sidecars)
	options := ciosidecar.StreamOptions{ClientName: "transformerbridge"}
	bridge := &bridge{
		settings: settings,
		log:      log,
		client:   client,
		transformer: router.NewTransformer(client, &router.TransformerOptions{
			Streams: streams, DestinationDefaults: settings.defaults, Stream: options,
		}),
	}
	if settings.deliver {
		bridge.deliverer = router.NewDeliverer(client, &router.DelivererOptions{Streams: streams, Stream: options})
	}
	if settings.upstream != nil {
		bridge.upstream = newUpstream(settings.upstream, log)
	}
	return bridge, nil
}

func (b *bridge) close() {
	b.transformer.Close()
	if b.deliverer != nil {
		b.deliverer.Close()
	}
	_ = b.client.Close()
}

// ServeHTTP answers a request, or hands it on. It does not use http.ServeMux, which would redirect paths that
// only the transformer knows.
func (b *bridge) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	if b.log.Enabled(request.Context(), slog.LevelDebug) {
		recorder := &statusRecorder{ResponseWriter: writer, status: http.StatusOK}
		start := time.Now()
		defer func() {
			b.log.Debug("request", "method", request.Method, "path", request.URL.Path,
				"status", recorder.status, "seconds", time.Since(start).Seconds())
		}()
		writer = recorder
	}
	// rudder-server stops if an answer with status 200 has another apiVersion, or none.
	writer.Header().Set("apiVersion", "2")
	switch request.Method + " " + request.URL.Path {
	case "GET /health", "GET /healthz":
		b.answerHealth(writer)
	case "GET /readyz":
		b.answerReadiness(writer, request)
	case "GET /features":
		b.answerFeatures(writer, request)
	case "POST /routerTransform":
		b.transformJobs(writer, request, (*router.TransformResponse).AppendJSON)
	case "POST /batch":
		b.transformJobs(writer, request, appendOutputs)
	case "POST /v0/destinations/" + destinationType:
		b.transformEvents(writer, request)
	case "POST /v0/destinations/" + destinationType + "/proxy":
		b.deliver(writer, request, answerProxyV0)
	case "POST /v1/destinations/" + destinationType + "/proxy":
		b.deliver(writer, request, answerProxyV1)
	default:
		b.handOn(writer, request)
	}
}

// greet logs what the sidecar offers, or that it does not answer.
func (b *bridge) greet(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, b.settings.timeout)
	defer cancel()
	capabilities, err := b.client.Capabilities(limited)
	if err != nil {
		if ctx.Err() == nil {
			b.noteSidecar(err)
		}
		return
	}
	b.log.Info("the sidecar answers", "version", capabilities.GetServerVersion())
	if b.deliverer != nil && !slices.Contains(capabilities.GetFeatures(), v1.Feature_FEATURE_DELIVERY) {
		b.log.Warn("the sidecar does not deliver: start it with delivery, or the bridge with -deliver=false")
	}
}

// noteSidecar logs when the sidecar falls silent and when it answers again.
func (b *bridge) noteSidecar(err error) {
	switch {
	case err == nil:
		if b.silent.Load() && b.silent.Swap(false) {
			b.log.Info("the sidecar answers again")
		}
	case !b.silent.Swap(true):
		b.log.Warn("the sidecar does not answer", "error", err)
	}
}

// statusRecorder remembers the status of an answer, for logs.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap gives http.ResponseController the writer's other methods.
func (r *statusRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

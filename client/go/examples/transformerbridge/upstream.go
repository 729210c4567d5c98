package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
)

// newUpstream returns the transformer that answers for all other destinations.
func newUpstream(target *url.URL, log *slog.Logger) *httputil.ReverseProxy {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil // the transformer is on the same network
	transport.DisableCompression = true
	transport.MaxIdleConnsPerHost = 100
	return &httputil.ReverseProxy{
		Transport: transport,
		ErrorLog:  slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		Rewrite: func(request *httputil.ProxyRequest) {
			request.SetURL(target)
			request.SetXForwarded()
		},
		ModifyResponse: func(response *http.Response) error {
			if response.Header.Get("apiVersion") == "" {
				response.Header.Set("apiVersion", "2")
			}
			return nil
		},
		ErrorHandler: func(writer http.ResponseWriter, request *http.Request, err error) {
			if errors.Is(err, context.Canceled) {
				return // the caller is gone
			}
			log.Warn("the transformer does not answer", "error", err)
			writer.Header().Set("apiVersion", "2")
			askAgain(writer, "upstream_unavailable", "the transformer behind the bridge does not answer")
		},
	}
}

// handOn lets the transformer answer.
func (b *bridge) handOn(writer http.ResponseWriter, request *http.Request) {
	if b.upstream == nil {
		refuse(writer, http.StatusNotFound,
			"the bridge answers for Customer.io only: start it with -upstream for everything else")
		return
	}
	// The transformer's own value, or the default of ModifyResponse.
	writer.Header().Del("apiVersion")
	b.upstream.ServeHTTP(writer, request)
}

// handOnBody lets the transformer answer a request whose body was read.
func (b *bridge) handOnBody(writer http.ResponseWriter, request *http.Request, body *body) {
	request = request.Clone(request.Context())
	request.Body = io.NopCloser(bytes.NewReader(body.received))
	request.ContentLength = int64(len(body.received))
	request.TransferEncoding = nil
	b.handOn(writer, request)
}

package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// echo answers with what it received.
func echo(writer http.ResponseWriter, request *http.Request) {
	body, _ := io.ReadAll(request.Body)
	writer.Header().Set("X-Upstream", "yes")
	writer.WriteHeader(http.StatusTeapot)
	_, _ = fmt.Fprintf(writer, "%s %s|%s|%s|%x", request.Method, request.RequestURI,
		request.Header.Get("Content-Encoding"), request.Header.Get("X-Content-Format"), body)
}

// Everything that is not Customer.io's is handed on as it came, and the transformer's answer comes back as it is.
func TestEverythingElseIsHandedOn(t *testing.T) {
	upstream := fakeUpstream(t, echo)
	bridge := startBridge(t, "-upstream", upstream, "-deliver=false")
	compressed := zipped(`{"destType":"webhook","input":[]}`)
	for _, test := range []struct{ method, path, body, encoding string }{
		{"POST", "/routerTransform", compressed, "gzip"},
		{"POST", "/routerTransform", `{"destType":"customerio_audience","input":[]}`, ""},
		{"POST", "/routerTransform", `{"input":[]}`, ""},
		{"POST", "/batch", `{"destType":"am","input":[]}`, ""},
		{"POST", "/v0/destinations/webhook?whIDResolve=true", `no JSON`, ""},
		{"POST", "//v0/destinations/a%2Fb/../c", ``, ""},
		{"POST", "/v0/destinations/webhook/proxy", `{}`, ""},
		{"POST", "/v1/destinations/customerio/proxy", `{}`, ""},
		{"POST", "/v0/destinations/customerio/proxy", compressed, "gzip"},
		{"GET", "/transformerBuildVersion", ``, ""},
		{"POST", "/customTransform", `[]`, ""},
		{"DELETE", "/anything", ``, ""},
		{"GET", "/v0/destinations/customerio", ``, ""},
	} {
		got := bridge.do(test.method, test.path, strings.NewReader(test.body), "Content-Encoding: "+test.encoding, "X-Content-Format: json+compactedv1")
		expected := fmt.Sprintf("%s %s|%s|json+compactedv1|%x", test.method, test.path, test.encoding, test.body)
		if got.status != http.StatusTeapot || got.body != expected || got.header.Get("X-Upstream") != "yes" {
			t.Errorf("%s %s: %d %s instead of %s", test.method, test.path, got.status, got.body, expected)
		}
	}
}

// Without a transformer behind the bridge, other destinations get a 404 that says why.
func TestWithoutUpstreamOtherDestinationsAreNotFound(t *testing.T) {
	bridge := startBridge(t)
	for path, body := range map[string]string{
		"/routerTransform": `{"destType":"webhook","input":[]}`, "/v0/destinations/webhook": `[]`,
		"/v1/destinations/webhook/proxy": `{}`, "/": ``,
	} {
		if got := bridge.post(path, body); got.status != http.StatusNotFound || !strings.Contains(got.body, "-upstream") {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
}

// While the transformer does not answer, rudder-server is told to ask again, and does not stop. The transformer's own
// apiVersion is not replaced.
func TestAnUpstreamThatDoesNotAnswer(t *testing.T) {
	version := "3"
	upstream := fakeUpstream(t, func(writer http.ResponseWriter, request *http.Request) {
		if request.URL.Path == "/gone" {
			panic(http.ErrAbortHandler)
		}
		writer.Header().Set("apiVersion", version)
	})
	bridge := startBridge(t, "-upstream", upstream)
	got := bridge.post("/gone", `{}`)
	if got.status != http.StatusServiceUnavailable || got.header.Get("X-Rudder-Should-Retry") != "true" ||
		got.header.Get("X-Rudder-Error-Reason") != "upstream_unavailable" {
		t.Errorf("%+v", got)
	}
	other, err := bridge.try(http.MethodGet, "/other", nil)
	if err != nil || !slices.Equal(other.header.Values("apiVersion"), []string{"3"}) {
		t.Errorf("%v, %+v", err, other)
	}
}

// The features name Customer.io, keep all that the transformer says, and outlive its absence.
func TestFeaturesNameCustomerIO(t *testing.T) {
	var absent atomic.Bool
	const features = `{"routerTransform":{"WEBHOOK":true},"regulations":["AM"],"supportTransformerProxyV1":false,` +
		`"supportDestTransformCompactedPayloadV1":true,"upgradedToSourceTransformV2":true,"new":{"n":12345678901234567890}}`
	answers := atomic.Pointer[string]{}
	answers.Store(new(string))
	upstream := fakeUpstream(t, func(writer http.ResponseWriter, _ *http.Request) {
		if absent.Load() {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(writer, *answers.Load())
	})
	bridge := startBridge(t, "-upstream", upstream)

	absent.Store(true)
	if got := bridge.get("/features"); got.status != http.StatusServiceUnavailable || got.header.Get("X-Rudder-Should-Retry") != "true" {
		t.Errorf("never read: %+v", got)
	}
	absent.Store(false)
	if got := bridge.get("/features"); got.status != http.StatusBadGateway {
		t.Errorf("no JSON: %+v", got)
	}
	text := features
	answers.Store(&text)
	expected := `{"new":{"n":12345678901234567890},"regulations":["AM"],"routerTransform":{"CUSTOMERIO":true,"WEBHOOK":true},` +
		`"supportDestTransformCompactedPayloadV1":true,"supportTransformerProxyV1":false,"transformerProxy":{"CUSTOMERIO":true},` +
		`"upgradedToSourceTransformV2":true}`
	for range 2 {
		if got := bridge.get("/features"); got.status != 200 || got.body != expected {
			t.Errorf("%d %s", got.status, got.body)
		}
		absent.Store(true) // the second time
	}
}

// Without a transformer, the features are those that rudder-server needs to send jobs in the compacted form and to use
// proxy v1.
func TestFeaturesOfItsOwn(t *testing.T) {
	for argument, proxies := range map[string]int{"-deliver=true": 1, "-deliver=false": 0} {
		var features struct {
			RouterTransform, TransformerProxy                   map[string]bool
			Regulations                                         []string
			SupportTransformerProxyV1, SupportSourceTransformV1 bool
			SupportDestTransformCompactedPayloadV1              bool
			UpgradedToSourceTransformV2                         bool
		}
		startBridge(t, argument).get("/features").decode(t, &features)
		if !maps.Equal(features.RouterTransform, map[string]bool{"CUSTOMERIO": true}) || len(features.TransformerProxy) != proxies ||
			!features.SupportTransformerProxyV1 || !features.SupportDestTransformCompactedPayloadV1 ||
			!features.UpgradedToSourceTransformV2 || features.Regulations == nil {
			t.Errorf("%s: %+v", argument, features)
		}
	}
}

// A slow transformer holds up nobody but its own caller.
func TestASlowUpstreamHoldsUpNobody(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	upstream := fakeUpstream(t, func(_ http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
	})
	bridge := withSidecar(t, "-upstream", upstream)
	done := make(chan *answered, 1)
	go func() {
		got, _ := bridge.try(http.MethodPost, "/v0/destinations/webhook", strings.NewReader(`[]`))
		done <- got
	}()
	<-arrived
	start := time.Now()
	if got := bridge.post("/routerTransform", jobs(`{"type":"track","userId":"u","event":"E"}`)); got.status != 200 {
		t.Errorf("%+v after %s", got, time.Since(start))
	}
	select {
	case got := <-done:
		t.Errorf("answered early: %+v", got)
	default:
	}
	close(release)
	if got := <-done; got == nil || got.status != 200 {
		t.Errorf("%+v", got)
	}
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	featuresTimeout  = 10 * time.Second
	maxFeaturesBytes = 1 << 20
	featureName      = "CUSTOMERIO"
)

// ownFeatures are the features without a transformer behind the bridge.
const ownFeatures = `{"routerTransform":{},"transformerProxy":{},"regulations":[],"supportSourceTransformV1":true,` +
	`"upgradedToSourceTransformV2":true,"supportTransformerProxyV1":true,"supportDestTransformCompactedPayloadV1":true}`

// featuresCache has the last features of the transformer. While the transformer does not answer, they are better
// than none: rudder-server would change the way in which it sends jobs.
type featuresCache struct {
	mu   sync.Mutex
	last []byte
}

// answerFeatures answers with the transformer's features and those of Customer.io.
func (b *bridge) answerFeatures(writer http.ResponseWriter, request *http.Request) {
	features := []byte(ownFeatures)
	if b.upstream != nil {
		var err error
		if features, err = b.upstreamFeatures(request.Context()); err != nil {
			b.log.Warn("the transformer's features cannot be read", "error", err)
			askAgain(writer, "upstream_unavailable", "the features of the transformer behind the bridge cannot be read")
			return
		}
	}
	merged, err := withCustomerIO(features, b.deliverer != nil)
	if err != nil {
		refuse(writer, http.StatusBadGateway, "the features of the transformer behind the bridge are not the expected JSON")
		return
	}
	answer(writer, http.StatusOK, merged)
}

// upstreamFeatures returns the transformer's features, or the last ones if it does not answer.
func (b *bridge) upstreamFeatures(ctx context.Context) ([]byte, error) {
	features, err := b.fetchFeatures(ctx)
	b.features.mu.Lock()
	defer b.features.mu.Unlock()
	if err == nil {
		b.features.last = features
	}
	if b.features.last == nil {
		return nil, err
	}
	return b.features.last, nil
}

func (b *bridge) fetchFeatures(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, featuresTimeout)
	defer cancel()
	address := b.settings.upstream.JoinPath("features").String()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	response, err := b.upstream.Transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", response.StatusCode)
	}
	return io.ReadAll(io.LimitReader(response.Body, maxFeaturesBytes))
}

// withCustomerIO returns the features with Customer.io as a destination that is transformed in the router and, if
// the sidecar delivers, is delivered through the proxy. All other members stay as they are.
func withCustomerIO(text []byte, deliver bool) ([]byte, error) {
	var features map[string]json.RawMessage
	if err := json.Unmarshal(text, &features); err != nil {
		return nil, err
	}
	if features == nil {
		features = make(map[string]json.RawMessage)
	}
	names := []string{"routerTransform"}
	if deliver {
		names = append(names, "transformerProxy")
	}
	for _, name := range names {
		destinations := make(map[string]json.RawMessage)
		if member := features[name]; len(member) != 0 {
			if err := json.Unmarshal(member, &destinations); err != nil {
				return nil, err
			}
		}
		if destinations == nil {
			destinations = make(map[string]json.RawMessage)
		}
		destinations[featureName] = json.RawMessage("true")
		merged, err := json.Marshal(destinations)
		if err != nil {
			return nil, err
		}
		features[name] = merged
	}
	return json.Marshal(features)
}

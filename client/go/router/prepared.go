package router

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

// prepare returns the request for the sidecar. It returns an error for a request that Customer.io
// would never accept.
func (p *PostParameters) prepare() (*v1.PreparedRequest, error) {
	address, err := p.address()
	if err != nil {
		return nil, err
	}
	body, err := p.body()
	if err != nil {
		return nil, err
	}
	if len(body) > maxMessageBytes {
		return nil, errTooLarge
	}
	headers := make(map[string]string, len(p.Headers)+1)
	hasContentType := false
	for name, value := range p.Headers {
		headers[name] = value
		hasContentType = hasContentType || http.CanonicalHeaderKey(name) == "Content-Type"
	}
	if !hasContentType && len(body) != 0 {
		headers["Content-Type"] = "application/json"
	}
	return &v1.PreparedRequest{
		Method:       p.Method,
		Url:          address,
		EndpointPath: p.EndpointPath,
		Headers:      headers,
		Body:         body,
	}, nil
}

// address returns the endpoint with the params added to its query.
func (p *PostParameters) address() (string, error) {
	if len(p.Params) == 0 {
		return p.Endpoint, nil
	}
	address, err := url.Parse(p.Endpoint)
	if err != nil {
		return "", errors.New("the endpoint is no URL")
	}
	query := address.Query()
	for name, value := range p.Params {
		var text string
		if json.Unmarshal(value, &text) != nil {
			text = string(value)
		}
		query.Set(name, text)
	}
	address.RawQuery = query.Encode()
	return address.String(), nil
}

// body returns the bytes of the form that is not empty. If all forms are empty, the body of a PUT or a
// POST is an empty object: an identify without attributes creates the person.
func (p *PostParameters) body() ([]byte, error) {
	for _, form := range []string{"XML", "FORM", "GZIP"} {
		if !emptyObject(p.Body[form]) {
			return nil, fmt.Errorf("a body of the form %s, where Customer.io takes JSON", form)
		}
	}
	if text := p.Body["JSON"]; !emptyObject(text) {
		return text, nil
	}
	if text := p.Body["JSON_ARRAY"]; !emptyObject(text) {
		var form struct {
			Batch *string `json:"batch"`
		}
		if json.Unmarshal(text, &form) != nil || form.Batch == nil {
			return nil, errors.New("a body of the form JSON_ARRAY without a batch that is a string")
		}
		return []byte(*form.Batch), nil
	}
	if p.Method == http.MethodPut || p.Method == http.MethodPost {
		return []byte("{}"), nil
	}
	return nil, nil
}

// emptyObject reports whether a form is absent, null or {}.
func emptyObject(text json.RawMessage) bool {
	if absent(text) {
		return true
	}
	var object map[string]json.RawMessage
	return json.Unmarshal(text, &object) == nil && len(object) == 0
}

package ciosidecar

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

// DeliveryOptions are the options of a delivery, on a stream or in a [Client.Deliver] call. A field
// that is zero has its default.
type DeliveryOptions struct {
	// DetailLevel selects the results that have a DeliveryReport. Defaults to DetailLevelAll.
	DetailLevel DetailLevel
	// IncludeRequests, if true, returns the requests in the results too.
	IncludeRequests bool
	// DefaultTimeout is the time limit for the delivery of items that were sent without a timeout. 0:
	// the sidecar's own limit.
	DefaultTimeout time.Duration
}

// DetailLevel selects the results of a delivery that have a DeliveryReport.
type DetailLevel int

const (
	// DetailLevelAll returns a DeliveryReport for every item of which a request was sent.
	DetailLevelAll DetailLevel = iota
	// DetailLevelNotable returns a DeliveryReport only for items that were not delivered, were sent
	// more than once, or have a warning. It is faster.
	DetailLevelNotable
)

var errNegativeTimeout = errors.New("ciosidecar: a timeout of delivery must not be negative")

func (o *DeliveryOptions) check() error {
	if o.DefaultTimeout < 0 {
		return errNegativeTimeout
	}
	if o.DetailLevel != DetailLevelAll && o.DetailLevel != DetailLevelNotable {
		return fmt.Errorf("ciosidecar: DetailLevel %d is neither DetailLevelAll nor DetailLevelNotable",
			o.DetailLevel)
	}
	return nil
}

func (o *DeliveryOptions) encode() *v1.DeliveryOptions {
	encoded := &v1.DeliveryOptions{
		DetailLevel:     v1.DetailLevel_DETAIL_LEVEL_ALL,
		IncludeRequests: o.IncludeRequests,
	}
	if o.DetailLevel == DetailLevelNotable {
		encoded.DetailLevel = v1.DetailLevel_DETAIL_LEVEL_NOTABLE
	}
	if o.DefaultTimeout > 0 {
		encoded.DefaultTimeout = durationpb.New(o.DefaultTimeout)
	}
	return encoded
}

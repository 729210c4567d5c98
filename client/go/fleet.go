package ciosidecar

import (
	"errors"
	"sync"

	"google.golang.org/grpc"

	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

var errOneAddress = errors.New(
	"ciosidecar: AffinityPerson needs a client with the addresses of several sidecars, as a list")

// fleet is the sidecars of a client one by one, each with a connection of its own. The connections are
// made when they are first asked for.
type fleet struct {
	addresses []string // different ones
	dial      func(address string) (*grpc.ClientConn, error)

	mu     sync.Mutex
	closed bool
	conns  []*grpc.ClientConn
}

// stubs returns a stub for each address.
func (f *fleet) stubs() ([]v1.SidecarServiceClient, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.addresses) < 2 {
		return nil, errOneAddress
	}
	if f.closed {
		return nil, ErrClosed
	}
	for _, address := range f.addresses[len(f.conns):] {
		conn, err := f.dial(address)
		if err != nil {
			return nil, err
		}
		f.conns = append(f.conns, conn)
	}
	stubs := make([]v1.SidecarServiceClient, len(f.conns))
	for index, conn := range f.conns {
		stubs[index] = v1.NewSidecarServiceClient(conn)
	}
	return stubs, nil
}

func (f *fleet) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	var faults []error
	for _, conn := range f.conns {
		faults = append(faults, conn.Close())
	}
	return errors.Join(faults...)
}

package ciosidecar_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
	"github.com/ciosidecar/ciosidecar/client/go/internal/sidecartest"
)

// A stream whose first connection never comes fails after ConnectTimeout, with the address and the
// reason. A call fails no later.
func TestAClientThatNeverConnectsFailsInTime(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	authority, other := sidecartest.NewAuthority(t), sidecartest.NewAuthority(t)
	certificate, key := authority.Issue(t, "127.0.0.1")
	encrypted := sidecartest.Start(t, "--tls-cert", certificate, "--tls-key", key)
	trusting, err := ciosidecar.TLSFiles(other.File, "", "")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		address, reason string
		options         ciosidecar.DialOptions
	}{
		"nobody listens":       {nobody(t), "connection refused", ciosidecar.DialOptions{}},
		"a silent listener":    {listener.Addr().String(), "", ciosidecar.DialOptions{}},
		"an unknown name":      {"sidecar.invalid:50550", "sidecar.invalid", ciosidecar.DialOptions{}},
		"an unknown authority": {encrypted.Address(), "unknown authority", ciosidecar.DialOptions{TLS: trusting}},
	} {
		t.Run(name, func(t *testing.T) {
			test.options.ConnectTimeout = 500 * time.Millisecond
			client := dial(t, &test.options, test.address)
			stream := client.Stream(within(t), shop, nil)
			defer stream.Close()
			began := time.Now()
			_, err := exchange(t, stream, numbered(1))
			if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), test.reason) ||
				!strings.Contains(err.Error(), "no answer for 500ms from "+test.address+": ") {
				t.Errorf("the stream failed with %v", err)
			}
			if lasted := time.Since(began); lasted < 400*time.Millisecond || lasted > 6*time.Second {
				t.Errorf("the stream failed after %s", lasted)
			}
			began = time.Now()
			_, err = client.Capabilities(within(t))
			if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), test.reason) {
				t.Errorf("the call failed with %v", err)
			}
			if lasted := time.Since(began); lasted > 10*time.Second {
				t.Errorf("the call failed after %s", lasted)
			}
		})
	}
}

// Once a sidecar has answered, ReconnectFor is the stream's time limit, not ConnectTimeout.
func TestALostConnectionHasTheStreamsOwnTimeLimit(t *testing.T) {
	address, _ := startScripted(t, func(s *scriptedStream) error {
		if err := s.open(nil); err != nil {
			return err
		}
		return status.Error(codes.Unavailable, "scripted")
	})
	client := dial(t, &ciosidecar.DialOptions{ConnectTimeout: 50 * time.Millisecond}, address)
	stream := client.Stream(within(t), shop, &ciosidecar.StreamOptions{ReconnectFor: time.Second})
	defer stream.Close()
	began := time.Now()
	_, err := exchange(t, stream, numbered(1))
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "no answer for 1s") {
		t.Errorf("failed with %v", err)
	}
	if lasted := time.Since(began); lasted < time.Second {
		t.Errorf("failed after %s", lasted)
	}
}

// nobody returns an address at which nobody listens: the port stays taken, for another purpose.
func nobody(t *testing.T) string {
	t.Helper()
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = packets.Close() })
	return packets.LocalAddr().String()
}

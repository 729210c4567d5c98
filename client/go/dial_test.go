package ciosidecar_test

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
	"github.com/ciosidecar/ciosidecar/client/go/internal/sidecartest"
)

// A unix socket is an address. Several sockets, and sockets with other addresses, can be mixed.
func TestAUnixSocketIsAnAddress(t *testing.T) {
	folder := t.TempDir()
	first := sidecartest.Start(t, "--listen", "unix:"+folder+"/first.sock")
	second := sidecartest.Start(t, "--listen", "unix:"+folder+"/second.sock")
	third := sidecartest.Start(t)
	for _, addresses := range [][]string{
		{first.Address()}, {first.Address(), second.Address()}, {first.Address(), third.Address()},
	} {
		results, err := dial(t, nil, addresses...).Transform(within(t), shop, jsonItems(track))
		if err != nil || results[0].Status != 200 {
			t.Errorf("%v: %v, %v", addresses, results, err)
		}
	}
}

// Calls take turns among the addresses. An address that drains, or at which no server listens, gets
// no calls.
func TestCallsTakeTurnsAmongSeveralAddresses(t *testing.T) {
	first := sidecartest.Start(t, "--max-batch-events", "1")
	second := sidecartest.Start(t, "--max-batch-events", "2")
	client := dial(t, nil, first.Address(), second.Address(), "127.0.0.1:1")
	// The limit identifies the sidecar that answered.
	calledLimit := func() int32 {
		capabilities, err := client.Capabilities(within(t))
		if err != nil {
			t.Fatal(err)
		}
		return capabilities.GetLimits().GetMaxBatchEvents()
	}
	seen := map[int32]int{}
	for seen[1] == 0 || seen[2] == 0 {
		seen[calledLimit()]++
	}
	clear(seen)
	for range 10 {
		seen[calledLimit()]++
	}
	if seen[1] != 5 || seen[2] != 5 {
		t.Errorf("the turns were %v", seen)
	}
	first.Drain()
	<-first.Exited()
	for range 10 {
		if calledLimit() != 2 {
			t.Error("the drained sidecar got a call")
		}
	}
}

// TLS works with a private authority, and with a client certificate if the sidecar requires one.
func TestTLSWithAPrivateAuthority(t *testing.T) {
	authority := sidecartest.NewAuthority(t)
	serverCert, serverKey := authority.Issue(t, "127.0.0.1")
	clientCert, clientKey := authority.Issue(t, "client.example.com")
	serve := []string{"--tls-cert", serverCert, "--tls-key", serverKey}
	open := sidecartest.Start(t, serve...)
	closed := sidecartest.Start(t, append(serve, "--tls-client-ca", authority.File)...)

	configure := func(files ...string) *ciosidecar.DialOptions {
		config, err := ciosidecar.TLSFiles(files[0], files[1], files[2])
		if err != nil {
			t.Fatal(err)
		}
		return &ciosidecar.DialOptions{TLS: config}
	}
	trusting := configure(authority.File, "", "")
	paired := configure(authority.File, clientCert, clientKey)
	for name, test := range map[string]struct {
		options   *ciosidecar.DialOptions
		addresses []string
		code      codes.Code
	}{
		"trusting":                      {trusting, []string{open.Address()}, codes.OK},
		"with a pair":                   {paired, []string{closed.Address()}, codes.OK},
		"several addresses":             {paired, []string{open.Address(), closed.Address()}, codes.OK},
		"without a pair":                {trusting, []string{closed.Address()}, codes.Unavailable},
		"without trust":                 {configure("", "", ""), []string{open.Address()}, codes.Unavailable},
		"without TLS":                   {nil, []string{open.Address()}, codes.Unavailable},
		"a name that is not the server": {&ciosidecar.DialOptions{TLS: named(trusting.TLS, "other")}, []string{open.Address()}, codes.Unavailable},
	} {
		_, err := dial(t, test.options, test.addresses...).Capabilities(within(t))
		if status.Code(err) != test.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func named(config *tls.Config, name string) *tls.Config {
	renamed := config.Clone()
	renamed.ServerName = name
	return renamed
}

// Dial and TLSFiles return an error for addresses, options and files that cannot be used.
func TestDialRefusesWhatCannotBeUsed(t *testing.T) {
	wrong := [][]string{{"127.0.0.1:1", ""}, {"dns:///a:1", "127.0.0.1:1"}}
	for _, address := range []string{
		"", "localhost", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "http://127.0.0.1:1",
		"host name:1", "unix:", "dns:///name", "::1:50550", "127.0.0.1:port", "127.0.0.1:1\n",
	} {
		wrong = append(wrong, []string{address})
	}
	for _, addresses := range wrong {
		if _, err := ciosidecar.Dial(addresses, nil); err == nil {
			t.Errorf("%q: no error", addresses)
		}
	}
	if _, err := ciosidecar.Dial([]string{"unix:/s"}, &ciosidecar.DialOptions{TLS: &tls.Config{}}); err == nil {
		t.Error("TLS on a unix socket: no error")
	}
	if _, err := ciosidecar.Dial(nil, &ciosidecar.DialOptions{ServiceConfig: "{"}); err == nil {
		t.Error("a broken service config: no error")
	}
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, files := range [][3]string{{empty, "", ""}, {empty + "x", "", ""}, {"", empty, empty}, {"", empty, ""}} {
		if _, err := ciosidecar.TLSFiles(files[0], files[1], files[2]); err == nil {
			t.Errorf("%q: no error", files)
		}
	}
}

package ciosidecar_test

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
)

// A malformed address is quoted in an error that says what is wrong with it.
func TestAMalformedAddressSaysWhatIsWrong(t *testing.T) {
	for address, fault := range map[string]string{
		"":                          "it is blank",
		"  ":                        "it is blank",
		"http://127.0.0.1:50550":    `leave "http://" out`,
		"https://sidecar:50550":     `leave "https://" out`,
		"unix:":                     "the path of the socket is missing",
		"unix:///":                  "the path of the socket is missing",
		"unix-abstract:":            "the name of the socket is missing",
		"unix://run/sidecar.sock":   "use unix:PATH or unix:///PATH",
		"unix:/" + long(107):        "at most 107 bytes",
		"localhost":                 "the port is missing, as in host:50550",
		"localhost:":                "the port is missing, as in host:50550",
		"[::1]":                     "the port is missing, as in host:50550",
		"dns:///sidecar":            "the port is missing, as in host:50550",
		"localhost:0":               "the port must be 1 to 65535",
		"localhost:65536":           "the port must be 1 to 65535",
		"localhost:grpc":            "the port must be 1 to 65535",
		"localhost:+1":              "the port must be 1 to 65535",
		"::1:50550":                 "put an IPv6 address into brackets, as in [::1]:50550",
		"[::1:50550":                "use host:port",
		"[1.2.3.4]:50550":           "use host:port",
		"[:::1]:50550":              "use host:port",
		"1.2.3.400:50550":           "use host:port",
		":50550":                    "use host:port",
		"tcp://sidecar:50550":       "use host:port",
		"dns://sidecar:50550":       "use host:port",
		"side/car:50550":            "use host:port",
		"side car:50550":            "it contains white space",
		"localhost:50550\n":         "it contains white space",
		"unix:/run/ciosidecar sock": "it contains white space",
	} {
		for _, addresses := range [][]string{{address}, {"127.0.0.1:50550", address}} {
			_, err := ciosidecar.Dial(addresses, nil)
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q is no address: ", address)) ||
				!strings.Contains(err.Error(), fault) {
				t.Errorf("%q: %v", addresses, err)
			}
		}
	}
	if _, err := ciosidecar.Dial([]string{}, nil); err == nil || !strings.Contains(err.Error(), "no address is given") {
		t.Errorf("an empty list: %v", err)
	}
}

// Every right form of an address is accepted.
func TestARightAddressIsAccepted(t *testing.T) {
	for _, address := range []string{
		"localhost:50550", "127.0.0.1:50550", "[::1]:50550", "dns:///sidecar.internal:50550",
		"unix:sidecar.sock", "unix:/run/sidecar.sock", "unix:///run/sidecar.sock",
		"unix-abstract:sidecar", "side_car-1.internal.:1", "unix:/" + long(106),
	} {
		dial(t, nil, address)
	}
}

// An abstract socket, and both forms of a path, connect: alone and with other addresses.
func TestEveryFormOfAUnixSocketConnects(t *testing.T) {
	path := t.TempDir() + "/s"
	name := fmt.Sprintf("ciosidecar-go-test-%d", os.Getpid())
	for listen, addresses := range map[string][]string{
		path:       {"unix:" + path, "unix://" + path},
		"@" + name: {"unix-abstract:" + name},
	} {
		listener, err := net.Listen("unix", listen)
		if err != nil {
			t.Fatal(err)
		}
		serveScripted(t, listener, nil, answering)
		for _, address := range addresses {
			// Without a method of that name, the scripted sidecar has answered.
			for _, given := range [][]string{{address}, {address, address}} {
				_, err := dial(t, nil, given...).Capabilities(within(t))
				if status.Code(err) != codes.Unimplemented {
					t.Errorf("%v: %v", given, err)
				}
			}
		}
	}
}

func long(bytes int) string { return strings.Repeat("p", bytes) }

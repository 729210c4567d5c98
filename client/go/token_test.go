package ciosidecar_test

import (
	"context"
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

// guard requires a token on every call of the sidecar's service, and remembers what it has seen.
type guard struct {
	mu       sync.Mutex
	accepted []string
	seen     []string
}

func (g *guard) check(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	header, _ := metadata.FromIncomingContext(ctx)
	authorization := strings.Join(header.Get("authorization"), ",")
	g.seen = append(g.seen, authorization)
	if !slices.Contains(g.accepted, strings.TrimPrefix(authorization, "Bearer ")) {
		return status.Error(codes.Unauthenticated, "no valid token")
	}
	return nil
}

func (g *guard) options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.UnaryInterceptor(func(
			ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
		) (any, error) {
			if err := g.check(ctx); err != nil {
				return nil, err
			}
			return handler(ctx, request)
		}),
		grpc.StreamInterceptor(func(
			server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler,
		) error {
			if strings.HasPrefix(info.FullMethod, "/grpc.health.") {
				return handler(server, stream)
			}
			if err := g.check(stream.Context()); err != nil {
				return err
			}
			return handler(server, stream)
		}),
	}
}

// answering is a script that answers everything.
func answering(s *scriptedStream) error {
	if err := s.open(nil); err != nil {
		return err
	}
	return s.each(func(batch *v1.Batch) { _ = s.answer(batch, true) })
}

// Every call has the token of the moment: unary calls and streams alike.
func TestEveryCallHasTheTokenOfTheMoment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	current := "first"
	for name, options := range map[string]*ciosidecar.DialOptions{
		"file":     {TokenFile: path},
		"function": {TokenSource: func(context.Context) (string, error) { return current, nil }},
	} {
		t.Run(name, func(t *testing.T) {
			requires := &guard{accepted: []string{"first", "second"}}
			address, _ := startScriptedWith(t, requires.options(), answering)
			client := dial(t, options, address)
			for _, token := range []string{"first", "second"} {
				write("# rotated monthly\n\n" + token + "\nolder\n")
				current = token
				stream := client.Stream(within(t), shop, nil)
				inOrder(t, mustExchange(t, stream, numbered(3)), 3)
				_ = stream.Close()
				if _, err := client.Capabilities(within(t)); status.Code(err) != codes.Unimplemented {
					t.Errorf("the call ended with %v", err)
				}
			}
			expected := []string{"Bearer first", "Bearer first", "Bearer second", "Bearer second"}
			if !slices.Equal(requires.seen, expected) {
				t.Errorf("seen: %v", requires.seen)
			}
		})
	}
}

// Without a valid token, calls and streams end at once, and the error says what to do.
func TestAWrongTokenEndsTheStreamAtOnce(t *testing.T) {
	for name, options := range map[string]*ciosidecar.DialOptions{"none": nil, "old": {Token: "old"}} {
		t.Run(name, func(t *testing.T) {
			requires := &guard{accepted: []string{"first"}}
			address, _ := startScriptedWith(t, requires.options(), answering)
			client := dial(t, options, address)
			stream := client.Stream(within(t), shop, nil)
			defer stream.Close()
			_, streamErr := exchange(t, stream, numbered(1))
			_, callErr := client.Capabilities(within(t))
			for _, err := range []error{streamErr, callErr} {
				if status.Code(err) != codes.Unauthenticated || !strings.Contains(err.Error(), "--auth-token-file") {
					t.Errorf("failed with %v", err)
				}
			}
			if len(requires.seen) != 2 {
				t.Errorf("%d calls", len(requires.seen))
			}
		})
	}
}

// A token that cannot be read now may be readable later: the stream tries again until its time limit.
func TestAStreamWaitsForATokenThatCannotBeRead(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	requires := &guard{accepted: []string{"first"}}
	address, _ := startScriptedWith(t, requires.options(), answering)
	client := dial(t, &ciosidecar.DialOptions{TokenFile: missing, ConnectTimeout: 300 * time.Millisecond}, address)
	stream := client.Stream(within(t), shop, nil)
	defer stream.Close()
	_, err := exchange(t, stream, numbered(1))
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "cannot read the token") ||
		!strings.Contains(err.Error(), missing) {
		t.Errorf("failed with %v", err)
	}
	attempts := 0
	source := func(context.Context) (string, error) {
		if attempts++; attempts < 3 {
			return "", errors.New("not yet")
		}
		return "first", nil
	}
	late := dial(t, &ciosidecar.DialOptions{TokenSource: source}, address).Stream(within(t), shop, nil)
	defer late.Close()
	inOrder(t, mustExchange(t, late, numbered(1)), 1)
}

// Without TLS, a token is sent over loopback and unix sockets only, unless Insecure is set.
func TestNoTokenLeavesTheHostWithoutTLS(t *testing.T) {
	for _, address := range []string{"sidecar:50550", "192.0.2.1:50550", "dns:///sidecar:50550"} {
		for _, options := range []ciosidecar.DialOptions{
			{Token: "t"}, {TokenFile: "t"}, {TokenSource: func(context.Context) (string, error) { return "t", nil }},
		} {
			_, err := ciosidecar.Dial([]string{address}, &options)
			if err == nil || !strings.Contains(err.Error(), "token would be sent to "+address+" in plain text") {
				t.Errorf("%s: %v", address, err)
			}
			options.Insecure = true
			dial(t, &options, address)
			options.Insecure, options.TLS = false, &tls.Config{MinVersion: tls.VersionTLS12}
			dial(t, &options, address)
		}
	}
	for _, address := range []string{
		"127.0.0.2:1", "[::1]:1", "localhost:1", "dns:///localhost:1", "unix:/a", "unix-abstract:a",
	} {
		dial(t, &ciosidecar.DialOptions{Token: "t"}, address)
	}
}

// Dial returns an error for a token that no header can have, without the token, and for two tokens.
func TestATokenThatCannotBeSentIsRefused(t *testing.T) {
	for _, token := range []string{" ", "two words", "line\n", "höchst"} {
		_, err := ciosidecar.Dial(nil, &ciosidecar.DialOptions{Token: token})
		if err == nil || !strings.Contains(err.Error(), "visible ASCII") || strings.Contains(err.Error(), "höchst") {
			t.Errorf("%q: %v", token, err)
		}
	}
	_, err := ciosidecar.Dial(nil, &ciosidecar.DialOptions{Token: "a", TokenFile: "b"})
	if err == nil || !strings.Contains(err.Error(), "one of Token, TokenFile and TokenSource") {
		t.Errorf("two tokens: %v", err)
	}
}

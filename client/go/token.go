package ciosidecar

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

var (
	errSeveralTokens = errors.New("ciosidecar: set one of Token, TokenFile and TokenSource")
	errBadToken      = errors.New(
		"a token consists of visible ASCII characters, at least one, and no spaces")
	visible = regexp.MustCompile("^[!-~]+$")
)

// tokenSource returns the source of the client's bearer token, or nil if it has none.
func (o *DialOptions) tokenSource() (func(context.Context) (string, error), error) {
	var sources []func(context.Context) (string, error)
	if o.Token != "" {
		if !visible.MatchString(o.Token) {
			return nil, fmt.Errorf("ciosidecar: %w", errBadToken)
		}
		token := o.Token
		sources = append(sources, func(context.Context) (string, error) { return token, nil })
	}
	if o.TokenFile != "" {
		path := o.TokenFile
		sources = append(sources, func(context.Context) (string, error) { return readToken(path) })
	}
	if o.TokenSource != nil {
		sources = append(sources, o.TokenSource)
	}
	switch len(sources) {
	case 0:
		return nil, nil
	case 1:
		return sources[0], nil
	}
	return nil, errSeveralTokens
}

// checkPlainToken returns an error if a token would leave the host in plain text.
func (o *DialOptions) checkPlainToken(addresses []string) error {
	if o.TLS != nil || o.Insecure {
		return nil
	}
	remote := slices.IndexFunc(addresses, func(address string) bool { return !isLocal(address) })
	if remote < 0 {
		return nil
	}
	return fmt.Errorf("ciosidecar: without TLS, the token would be sent to %s in plain text: "+
		"set TLS or, if the network is safe, Insecure", addresses[remote])
}

// readToken returns the first line of a file that is neither blank nor a comment.
func readToken(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			return line, nil
		}
	}
	return "", nil
}

// tokenInterceptors return the interceptors that add the current token to every call. Credentials of
// gRPC would also be asked for its own health checks: without a token, the address would stay out of
// use, and no call would learn why.
func tokenInterceptors(source func(context.Context) (string, error)) []grpc.DialOption {
	authorize := func(ctx context.Context) (context.Context, error) {
		token, err := source(ctx)
		if err == nil && !visible.MatchString(token) {
			err = errBadToken
		}
		if err != nil {
			// A file that is being replaced may be back for the next attempt.
			return nil, status.Errorf(codes.Unavailable, "cannot read the token: %v", err)
		}
		return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token), nil
	}
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(func(
			ctx context.Context, method string, request, response any, conn *grpc.ClientConn,
			invoke grpc.UnaryInvoker, options ...grpc.CallOption,
		) error {
			ctx, err := authorize(ctx)
			if err != nil {
				return err
			}
			return invoke(ctx, method, request, response, conn, options...)
		}),
		grpc.WithChainStreamInterceptor(func(
			ctx context.Context, description *grpc.StreamDesc, conn *grpc.ClientConn, method string,
			open grpc.Streamer, options ...grpc.CallOption,
		) (grpc.ClientStream, error) {
			ctx, err := authorize(ctx)
			if err != nil {
				return nil, err
			}
			return open(ctx, description, conn, method, options...)
		}),
	}
}

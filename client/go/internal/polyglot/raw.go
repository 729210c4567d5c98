package main

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	v1 "github.com/ciosidecar/ciosidecar/client/go/ciosidecarv1"
)

// raw plays a scenario with the stubs alone: each line of the input is a TransformStreamRequest in base64,
// each line of the output a TransformStreamResponse.
func raw(
	ctx context.Context, address string, tlsConfig *tls.Config, lines *inputLines, writer *answerLines,
) (outcome, error) {
	transport := insecure.NewCredentials()
	if tlsConfig != nil {
		transport = credentials.NewTLS(tlsConfig)
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(transport))
	if err != nil {
		return outcome{}, err
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := v1.NewSidecarServiceClient(conn).TransformStream(ctx)
	if err != nil {
		return ended(err, 0, 0), nil
	}
	broken := make(chan error, 1)
	go func() {
		if err := sendLines(stream, lines); err != nil {
			broken <- err
			cancel()
		}
	}()
	for {
		response, err := stream.Recv()
		if err == io.EOF {
			return ended(nil, 0, lines.count()), nil
		}
		if err != nil {
			select {
			case err := <-broken:
				return outcome{}, err
			default:
				return ended(err, 0, lines.count()), nil
			}
		}
		text, err := proto.Marshal(response)
		if err != nil {
			return outcome{}, err
		}
		line := map[string]string{"response": base64.StdEncoding.EncodeToString(text)}
		if err := writer.write(line); err != nil {
			return outcome{}, err
		}
	}
}

// sendLines sends all lines and half-closes the call. It returns an error if a line is no message. If a
// send fails, Recv returns the reason.
func sendLines(
	stream grpc.BidiStreamingClient[v1.TransformStreamRequest, v1.TransformStreamResponse], lines *inputLines,
) error {
	for {
		line, err := lines.next()
		if err == io.EOF {
			return stream.CloseSend()
		}
		if err != nil {
			return err
		}
		text, err := base64.StdEncoding.DecodeString(string(line))
		if err != nil {
			return err
		}
		var request v1.TransformStreamRequest
		if err := proto.Unmarshal(text, &request); err != nil {
			return err
		}
		if stream.Send(&request) != nil {
			return nil
		}
	}
}

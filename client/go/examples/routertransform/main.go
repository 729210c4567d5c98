// Command routertransform transforms the jobs of a router. It reads
// {"input": [{"message", "metadata", "destination", "connection"}, …]}, or its compacted form, from a
// file or from standard input, and prints {"output": […]}.
//
//	routertransform [-address ADDRESS] [FILE]
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
	"github.com/ciosidecar/ciosidecar/client/go/router"
)

func main() {
	address := flag.String("address", ciosidecar.DefaultAddress, "address of the sidecar: host:port or unix:PATH")
	timeout := flag.Duration("timeout", 30*time.Second, "time limit of the call")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	if err := run(ctx, *address, flag.Arg(0), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "routertransform:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, address, file string, input io.Reader, output io.Writer) error {
	if file != "" && file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return err
		}
		defer opened.Close()
		input = opened
	}
	var request router.TransformRequest
	if err := json.NewDecoder(input).Decode(&request); err != nil {
		return fmt.Errorf("the input: %w", err)
	}
	client, err := ciosidecar.Dial([]string{address}, nil)
	if err != nil {
		return err
	}
	defer client.Close()
	transformer := router.NewTransformer(client, nil)
	defer transformer.Close()
	response, err := transformer.Transform(ctx, &request)
	if err != nil {
		return err
	}
	_, err = output.Write(append(response.AppendJSON(nil), '\n'))
	return err
}

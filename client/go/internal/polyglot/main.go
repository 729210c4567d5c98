// Command polyglot is the Go driver of the project's contract suite: it plays one scenario, read
// from standard input, with this client, and writes what came of it to standard output. The
// protocol is in tests/polyglot/README.md.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/status"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
)

func main() {
	if err := play(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "polyglot:", err)
		os.Exit(1)
	}
}

// scenario is the first line of the input.
type scenario struct {
	Call      string   `json:"call"`
	Addresses []string `json:"addresses"`
	CAFile    string   `json:"ca_file"`
	Configs   []string `json:"configs"`
	Options   struct {
		MaxBatchEvents  int      `json:"max_batch_events"`
		LingerMS        *float64 `json:"linger_ms"`
		MaxOwedEvents   int      `json:"max_owed_events"`
		MaxReceiveBytes int      `json:"max_receive_bytes"`
		ReconnectForMS  float64  `json:"reconnect_for_ms"`
	} `json:"options"`
	DeadlineMS  float64 `json:"deadline_ms"`
	CancelAfter int     `json:"cancel_after"`
	Deliver     bool    `json:"deliver"`
}

// outcome is the last line of the output.
type outcome struct {
	End        string `json:"end"`
	Message    string `json:"message"`
	Reconnects int    `json:"reconnects"`
	EventsRead int    `json:"events_read"`
}

func play(input io.Reader, output io.Writer) error {
	lines := &inputLines{reader: bufio.NewReader(input)}
	first, err := lines.next()
	if err != nil {
		return fmt.Errorf("the first line: %w", err)
	}
	lines.read.Store(0)
	var found scenario
	if err := json.Unmarshal(first, &found); err != nil {
		return fmt.Errorf("the first line: %w", err)
	}
	for index, config := range found.Configs {
		lines.destinations = append(lines.destinations,
			ciosidecar.NewDestination(strconv.Itoa(index), []byte(config)))
	}
	var options ciosidecar.DialOptions
	if found.CAFile != "" {
		if options.TLS, err = ciosidecar.TLSFiles(found.CAFile, "", ""); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	if found.DeadlineMS > 0 {
		ctx, cancel = context.WithTimeout(ctx, milliseconds(found.DeadlineMS))
	}
	defer cancel()
	writer := &answerLines{output: output, cancelAfter: found.CancelAfter, cancel: cancel}

	var end outcome
	if found.Call == "raw" {
		end, err = raw(ctx, found.Addresses[0], options.TLS, lines, writer)
	} else {
		var client *ciosidecar.Client
		if client, err = ciosidecar.Dial(found.Addresses, &options); err != nil {
			return err
		}
		defer client.Close()
		switch found.Call {
		case "transform":
			end, err = transform(ctx, client, lines, writer)
		case "stream":
			end, err = stream(ctx, client, &found, lines, writer)
		default:
			err = fmt.Errorf("no such call: %q", found.Call)
		}
	}
	if err != nil {
		return err
	}
	return writer.write(end)
}

// transform makes one call of all events.
func transform(
	ctx context.Context, client *ciosidecar.Client, lines *inputLines, writer *answerLines,
) (outcome, error) {
	var items []ciosidecar.Item
	err := lines.each(func(item ciosidecar.Item) error {
		items = append(items, item)
		return nil
	})
	if err != nil {
		return outcome{}, err
	}
	results, failure := client.Transform(ctx, ciosidecar.Destination{}, items)
	for _, result := range results {
		if err := writer.answer(&result); err != nil {
			return outcome{}, err
		}
	}
	return ended(failure, 0, lines.count()), nil
}

// stream sends in one goroutine and writes in another.
func stream(
	ctx context.Context, client *ciosidecar.Client, found *scenario, lines *inputLines, writer *answerLines,
) (outcome, error) {
	options := &ciosidecar.StreamOptions{
		MaxBatchEvents:  found.Options.MaxBatchEvents,
		MaxOwedEvents:   found.Options.MaxOwedEvents,
		MaxReceiveBytes: found.Options.MaxReceiveBytes,
		ReconnectFor:    milliseconds(found.Options.ReconnectForMS),
	}
	if linger := found.Options.LingerMS; linger != nil {
		options.Linger = milliseconds(*linger)
		if options.Linger == 0 {
			options.Linger = -1 // 0 means the default
		}
	}
	if found.Deliver {
		options.Delivery = &ciosidecar.DeliveryOptions{}
	}
	events := client.Stream(ctx, ciosidecar.Destination{}, options)
	defer events.Close()
	// The reading ends with the process where the input does not: nobody waits for it then.
	broken := make(chan error, 1)
	go func() {
		defer events.CloseSend()
		broken <- lines.each(func(item ciosidecar.Item) error { return events.Send(ctx, item) })
	}()
	var failure error
	for result, err := range events.Results(ctx) {
		if err != nil {
			failure = err
			break
		}
		if err := writer.answer(&result); err != nil {
			return outcome{}, err
		}
	}
	if failure == nil {
		if err := <-broken; err != nil {
			return outcome{}, err
		}
	}
	return ended(failure, events.Reconnects(), lines.count()), nil
}

func ended(failure error, reconnects, eventsRead int) outcome {
	found := status.Convert(failure)
	return outcome{code.Code(found.Code()).String(), found.Message(), reconnects, eventsRead}
}

func milliseconds(count float64) time.Duration {
	return time.Duration(count * float64(time.Millisecond))
}

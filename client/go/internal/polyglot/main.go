// Command polyglot is the Go driver of the project's contract suite: it plays one scenario, read
// from standard input, with this client, and writes what came of it to standard output. The
// protocol is in tests/polyglot/README.md.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
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
		MaxBatchBytes   int      `json:"max_batch_bytes"`
		LingerMS        *float64 `json:"linger_ms"`
		MaxOwedEvents   int      `json:"max_owed_events"`
		MaxOwedBytes    int      `json:"max_owed_bytes"`
		Unordered       bool     `json:"unordered"`
		ClientName      string   `json:"client_name"`
		ClientVersion   string   `json:"client_version"`
		MaxReceiveBytes int      `json:"max_receive_bytes"`
		ReconnectForMS  float64  `json:"reconnect_for_ms"`
	} `json:"options"`
	DeadlineMS  float64               `json:"deadline_ms"`
	CancelAfter int                   `json:"cancel_after"`
	CloseAfter  int                   `json:"close_after"`
	Deliver     delivery              `json:"deliver"`
	Fields      map[string]saidFields `json:"fields"`
	Typed       []int                 `json:"typed"`
	Batches     []batch               `json:"batches"`
}

// delivery is true, or says how.
type delivery struct {
	*ciosidecar.DeliveryOptions
}

func (d *delivery) UnmarshalJSON(text []byte) error {
	d.DeliveryOptions = &ciosidecar.DeliveryOptions{}
	if string(text) == "true" {
		return nil
	}
	told := struct {
		DetailForEveryItem bool    `json:"detail_for_every_item"`
		IncludeRequests    bool    `json:"include_requests"`
		TimeoutMS          float64 `json:"timeout_ms"`
	}{DetailForEveryItem: true}
	if err := json.Unmarshal(text, &told); err != nil {
		return err
	}
	d.DetailForExceptionsOnly = !told.DetailForEveryItem
	d.IncludeRequests = told.IncludeRequests
	d.DefaultTimeout = milliseconds(told.TimeoutMS)
	return nil
}

// batch is a run of events that are sent as one.
type batch struct {
	First     int     `json:"first"`
	Count     int     `json:"count"`
	TimeoutMS float64 `json:"timeout_ms"`
}

// outcome is the last line of the output.
type outcome struct {
	End        string `json:"end"`
	Message    string `json:"message"`
	Reconnects int    `json:"reconnects"`
	EventsRead int    `json:"events_read"`
	Refused    []int  `json:"refused"`
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
	lines.fields, lines.typed = found.Fields, found.Typed
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
			return writer.write(ended(err, 0, lines.count()))
		}
		defer client.Close()
		writer.closeAfter, writer.close = found.CloseAfter, func() { _ = client.Close() }
		switch found.Call {
		case "capabilities":
			_, failure := client.Capabilities(ctx)
			end = ended(failure, 0, 0)
		case "check":
			_, failure := client.Check(ctx, lines.destinations[0])
			end = ended(failure, 0, 0)
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
	for {
		_, item, err := lines.item()
		if err == io.EOF {
			break
		}
		if err != nil {
			return outcome{}, err
		}
		items = append(items, item)
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
		MaxBatchBytes:   found.Options.MaxBatchBytes,
		MaxOwedEvents:   found.Options.MaxOwedEvents,
		MaxOwedBytes:    found.Options.MaxOwedBytes,
		Unordered:       found.Options.Unordered,
		ClientName:      found.Options.ClientName,
		ClientVersion:   found.Options.ClientVersion,
		Delivery:        found.Deliver.DeliveryOptions,
		MaxReceiveBytes: found.Options.MaxReceiveBytes,
		ReconnectFor:    milliseconds(found.Options.ReconnectForMS),
	}
	if linger := found.Options.LingerMS; linger != nil {
		options.Linger = milliseconds(*linger)
		if options.Linger == 0 {
			options.Linger = -1 // 0 means the default
		}
	}
	events := client.Stream(ctx, ciosidecar.Destination{}, options)
	defer events.Close()
	// The reading ends with the process where the input does not: nobody waits for it then.
	broken := make(chan error, 1)
	refused := []int{}
	go func() {
		defer events.CloseSend()
		broken <- feed(ctx, events, found.Batches, lines, &refused)
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
	end := ended(failure, events.Reconnects(), lines.count())
	if failure == nil {
		end.Refused = refused
	}
	return end, nil
}

// feed sends events one at a time, and those of batches together; what is refused is noted.
func feed(
	ctx context.Context, events *ciosidecar.Stream, batches []batch, lines *inputLines, refused *[]int,
) error {
	for {
		index, item, err := lines.item()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		at := slices.IndexFunc(batches, func(one batch) bool { return one.First == index })
		if at < 0 {
			err = events.Send(ctx, item)
		} else {
			together := []ciosidecar.Item{item}
			for len(together) < batches[at].Count {
				if _, item, err = lines.item(); err != nil {
					return err
				}
				together = append(together, item)
			}
			err = events.SendBatch(ctx, together, milliseconds(batches[at].TimeoutMS))
		}
		var failure *ciosidecar.CallError
		switch {
		case errors.As(err, &failure), errors.Is(err, ciosidecar.ErrClosed):
			return nil // Results yields the same error
		case err != nil:
			*refused = append(*refused, index)
		}
	}
}

func ended(failure error, reconnects, eventsRead int) outcome {
	found, isStatus := status.FromError(failure)
	end := outcome{code.Code(found.Code()).String(), found.Message(), reconnects, eventsRead, []int{}}
	switch {
	case errors.Is(failure, ciosidecar.ErrClosed):
		end.End, end.Message = "CANCELLED", failure.Error()
	case !isStatus:
		end.End, end.Message = "REFUSED", failure.Error()
	}
	return end
}

func milliseconds(count float64) time.Duration {
	return time.Duration(count * float64(time.Millisecond))
}

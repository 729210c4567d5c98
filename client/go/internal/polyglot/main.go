// Command polyglot is the Go driver of the project's contract suite. It reads one scenario from standard
// input, plays it with this client, and writes the outcome to standard output. The protocol is in
// tests/polyglot/README.md.
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
	// The client's certificate and key, and its token.
	CertificateFile  string  `json:"certificate_file"`
	KeyFile          string  `json:"key_file"`
	Token            string  `json:"token"`
	ConnectTimeoutMS float64 `json:"connect_timeout_ms"`

	Configs []string `json:"configs"`
	Refs    []string `json:"refs"`
	Options struct {
		MaxBatchEvents       int      `json:"max_batch_events"`
		MaxBatchBytes        int      `json:"max_batch_bytes"`
		LingerMS             *float64 `json:"linger_ms"`
		MaxOutstandingEvents int      `json:"max_outstanding_events"`
		MaxOutstandingBytes  int      `json:"max_outstanding_bytes"`
		Unordered            bool     `json:"unordered"`
		Affinity             string   `json:"affinity"`
		ClientName           string   `json:"client_name"`
		ClientVersion        string   `json:"client_version"`
		MaxReceiveBytes      int      `json:"max_receive_bytes"`
		ReconnectForMS       float64  `json:"reconnect_for_ms"`
	} `json:"options"`
	DeadlineMS  float64                `json:"deadline_ms"`
	CancelAfter int                    `json:"cancel_after"`
	CloseAfter  int                    `json:"close_after"`
	Deliver     delivery               `json:"deliver"`
	Fields      map[string]itemOptions `json:"fields"`
	Typed       []int                  `json:"typed"`
	Batches     []batch                `json:"batches"`
}

// delivery is true, or an object with options of the delivery.
type delivery struct {
	*ciosidecar.DeliveryOptions
}

func (d *delivery) UnmarshalJSON(text []byte) error {
	d.DeliveryOptions = &ciosidecar.DeliveryOptions{}
	if string(text) == "true" {
		return nil
	}
	var options struct {
		DetailLevel     string  `json:"detail_level"`
		IncludeRequests bool    `json:"include_requests"`
		TimeoutMS       float64 `json:"timeout_ms"`
	}
	if err := json.Unmarshal(text, &options); err != nil {
		return err
	}
	switch options.DetailLevel {
	case "", "ALL":
	case "NOTABLE":
		d.DetailLevel = ciosidecar.DetailLevelNotable
	default:
		return fmt.Errorf("no such detail level: %q", options.DetailLevel)
	}
	d.IncludeRequests = options.IncludeRequests
	d.DefaultTimeout = milliseconds(options.TimeoutMS)
	return nil
}

// batch is a run of events that are sent with one SendBatch.
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

// play plays the scenario of the input and writes its outcome to the output. It returns an error if the
// input is no scenario.
func play(input io.Reader, output io.Writer) error {
	lines := &inputLines{reader: bufio.NewReader(input)}
	first, err := lines.next()
	if err != nil {
		return fmt.Errorf("the first line: %w", err)
	}
	lines.read.Store(0)
	var played scenario
	if err := json.Unmarshal(first, &played); err != nil {
		return fmt.Errorf("the first line: %w", err)
	}
	lines.options, lines.typed = played.Fields, played.Typed
	for index, config := range played.Configs {
		lines.destinations = append(lines.destinations,
			ciosidecar.NewDestination(strconv.Itoa(index), []byte(config)))
	}
	for _, ref := range played.Refs {
		lines.destinations = append(lines.destinations, ciosidecar.DestinationByRef(ref))
	}
	options := ciosidecar.DialOptions{
		Token: played.Token, ConnectTimeout: milliseconds(played.ConnectTimeoutMS),
	}
	if played.CAFile != "" {
		if options.TLS, err = ciosidecar.TLSFiles(played.CAFile, played.CertificateFile, played.KeyFile); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	if played.DeadlineMS > 0 {
		ctx, cancel = context.WithTimeout(ctx, milliseconds(played.DeadlineMS))
	}
	defer cancel()
	writer := &answerLines{output: output, cancelAfter: played.CancelAfter, cancel: cancel}

	var end outcome
	if played.Call == "raw" {
		end, err = raw(ctx, played.Addresses[0], options.TLS, lines, writer)
	} else {
		var client *ciosidecar.Client
		if client, err = ciosidecar.Dial(played.Addresses, &options); err != nil {
			return writer.write(ended(err, 0, lines.count()))
		}
		defer client.Close()
		writer.closeAfter, writer.close = played.CloseAfter, func() { _ = client.Close() }
		switch played.Call {
		case "capabilities":
			_, failure := client.Capabilities(ctx)
			end = ended(failure, 0, 0)
		case "check":
			_, failure := client.Check(ctx, lines.destinations[0])
			end = ended(failure, 0, 0)
		case "transform":
			end, err = transform(ctx, client, lines, writer)
		case "deliver":
			end, err = deliver(ctx, client, played.Deliver.DeliveryOptions, lines, writer)
		case "stream":
			end, err = stream(ctx, client, &played, lines, writer)
		default:
			err = fmt.Errorf("no such call: %q", played.Call)
		}
	}
	if err != nil {
		return err
	}
	return writer.write(end)
}

// transform sends all events in one call.
func transform(
	ctx context.Context, client *ciosidecar.Client, lines *inputLines, writer *answerLines,
) (outcome, error) {
	items, err := lines.items()
	if err != nil {
		return outcome{}, err
	}
	results, failure := client.Transform(ctx, ciosidecar.Destination{}, items)
	return writer.results(results, failure, lines.count())
}

// deliver delivers all events in one call.
func deliver(
	ctx context.Context, client *ciosidecar.Client, options *ciosidecar.DeliveryOptions,
	lines *inputLines, writer *answerLines,
) (outcome, error) {
	items, err := lines.items()
	if err != nil {
		return outcome{}, err
	}
	results, failure := client.Deliver(ctx, ciosidecar.Destination{}, items, options)
	return writer.results(results, failure, lines.count())
}

var affinities = map[string]ciosidecar.Affinity{
	"none": ciosidecar.AffinityNone, "person": ciosidecar.AffinityPerson,
}

// stream sends events in one goroutine and writes results in another.
func stream(
	ctx context.Context, client *ciosidecar.Client, played *scenario, lines *inputLines, writer *answerLines,
) (outcome, error) {
	options := &ciosidecar.StreamOptions{
		MaxBatchEvents:       played.Options.MaxBatchEvents,
		MaxBatchBytes:        played.Options.MaxBatchBytes,
		MaxOutstandingEvents: played.Options.MaxOutstandingEvents,
		MaxOutstandingBytes:  played.Options.MaxOutstandingBytes,
		Unordered:            played.Options.Unordered,
		Affinity:             affinities[played.Options.Affinity],
		ClientName:           played.Options.ClientName,
		ClientVersion:        played.Options.ClientVersion,
		Delivery:             played.Deliver.DeliveryOptions,
		MaxReceiveBytes:      played.Options.MaxReceiveBytes,
		ReconnectFor:         milliseconds(played.Options.ReconnectForMS),
	}
	if linger := played.Options.LingerMS; linger != nil {
		options.Linger = milliseconds(*linger)
		if options.Linger == 0 {
			options.Linger = -1 // 0 means the default
		}
	}
	events := client.Stream(ctx, ciosidecar.Destination{}, options)
	defer events.Close()
	// If the input does not end, the goroutine ends with the process.
	broken := make(chan error, 1)
	refused := []int{}
	go func() {
		defer events.CloseSend()
		broken <- feed(ctx, events, played.Batches, lines, &refused)
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

// feed sends events one at a time, and those of a batch together. It adds the indexes of events that the
// client refuses to refused.
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
		batchIndex := slices.IndexFunc(batches, func(run batch) bool { return run.First == index })
		if batchIndex < 0 {
			err = events.Send(ctx, item)
		} else {
			items := []ciosidecar.BatchItem{item}
			for len(items) < batches[batchIndex].Count {
				if _, item, err = lines.item(); err != nil {
					return err
				}
				items = append(items, item)
			}
			err = events.SendBatch(ctx, items, milliseconds(batches[batchIndex].TimeoutMS))
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
	callStatus, isStatus := status.FromError(failure)
	end := outcome{code.Code(callStatus.Code()).String(), callStatus.Message(), reconnects, eventsRead, []int{}}
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

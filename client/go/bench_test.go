package ciosidecar_test

import (
	"bufio"
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"testing"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
	"github.com/ciosidecar/ciosidecar/client/go/internal/sidecartest"
)

// writeEvents prints events in the mix of the project's own benchmark, a JSON text a line.
const writeEvents = `
import json
from tests.bench.events import CONFIG, events
print(json.dumps(CONFIG.decode()))
for _, event in events(2000):
    print(json.dumps(event.decode()))
`

// benchmarkEvents returns the destination and the events of the project's own benchmark.
func benchmarkEvents(b *testing.B) (ciosidecar.Destination, []ciosidecar.BatchItem) {
	b.Helper()
	sidecartest.Need(b)
	command, err := sidecartest.Command()
	if err != nil {
		b.Fatal(err)
	}
	python := exec.Command(filepath.Join(filepath.Dir(command), "python"), "-c", writeEvents)
	python.Dir = sidecartest.Root()
	output, err := python.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := python.Start(); err != nil {
		b.Skipf("NOT MEASURED: the events are made by the Python beside the command: %v", err)
	}
	var texts []string
	for decoder := json.NewDecoder(bufio.NewReader(output)); decoder.More(); {
		var text string
		if err := decoder.Decode(&text); err != nil {
			b.Fatal(err)
		}
		texts = append(texts, text)
	}
	if err := python.Wait(); err != nil {
		b.Fatal(err)
	}
	return ciosidecar.NewDestination("bench", []byte(texts[0])), jsonItems(texts[1:]...)
}

// BenchmarkStream measures one producer and one consumer; an operation is an event. With
// "coalesced", up to a hundred events share a message. With "message-each", each event has its own
// message. With "one-at-a-time", each event is sent after the result of the previous event.
func BenchmarkStream(b *testing.B) {
	destination, items := benchmarkEvents(b)
	client := dial(b, nil, sidecartest.Start(b).Address())
	for name, options := range map[string]*ciosidecar.StreamOptions{
		"coalesced":     {MaxBatchEvents: 100},
		"message-each":  {MaxBatchEvents: 1},
		"one-at-a-time": {MaxBatchEvents: 1, MaxOutstandingEvents: 1},
	} {
		b.Run(name, func(b *testing.B) {
			ctx := context.Background()
			stream := client.Stream(ctx, destination, options)
			defer stream.Close()
			b.ReportAllocs()
			b.ResetTimer()
			go func() {
				defer stream.CloseSend()
				for n := range b.N {
					if err := stream.Send(ctx, items[n%len(items)]); err != nil {
						b.Error(err)
						return
					}
				}
			}()
			answered := 0
			for result, err := range stream.Results(ctx) {
				if err != nil || result.Status != 200 {
					b.Fatalf("%+v, %v", result, err)
				}
				answered++
			}
			if answered != b.N {
				b.Fatalf("%d results for %d events", answered, b.N)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ev/s")
		})
	}
}

// BenchmarkTransform measures one caller of Transform; an operation is a call.
func BenchmarkTransform(b *testing.B) {
	destination, items := benchmarkEvents(b)
	client := dial(b, nil, sidecartest.Start(b).Address())
	for name, count := range map[string]int{"100": 100, "1": 1} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				first := n * count % (len(items) - count)
				results, err := client.Transform(context.Background(), destination, items[first:first+count])
				if err != nil || len(results) != count {
					b.Fatal(len(results), err)
				}
			}
			b.ReportMetric(float64(b.N*count)/b.Elapsed().Seconds(), "ev/s")
		})
	}
}

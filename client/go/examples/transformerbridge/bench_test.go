package main

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/ciosidecar/ciosidecar/client/go/internal/sidecartest"
)

// BenchmarkBridge measures requests of a router (20 jobs) and of a processor (100 events), one after another, to a bridge
// with one core. An operation is an event. cpu-ns/event is the CPU time of the bridge's process alone.
func BenchmarkBridge(b *testing.B) {
	sidecartest.Need(b)
	sidecar := sidecartest.Start(b).Address()
	var events []string
	for _, vector := range readVectors(b, "track_v1.jsonl") {
		if strings.HasPrefix(vector.Name, "sdk-") {
			events = append(events, fmt.Sprintf(`{"message":%s,"metadata":{"jobId":%d,"destinationId":"shop","sourceId":"web","workspaceId":"w"}}`,
				vector.Event, len(events)))
		}
	}
	for name, test := range map[string]struct {
		path string
		size int
	}{
		"router":    {"/routerTransform", 20},
		"processor": {"/v0/destinations/customerio", 100},
	} {
		var bodies []string
		for chunk := range slices.Chunk(events, test.size) {
			if len(chunk) == test.size {
				bodies = append(bodies, `{"destType":"customerio","input":[`+strings.Join(chunk, ",")+`],"destinations":{"shop":`+shop+`}}`)
			}
		}
		b.Run(name, func(b *testing.B) {
			bridge := startCommand(b, []string{"GOMAXPROCS=1"}, "-sidecar", sidecar, "-drain", "0")
			b.ResetTimer()
			done := 0
			for ; done < b.N; done += test.size {
				response, err := http.Post(bridge.url+test.path, "application/json", strings.NewReader(bodies[done/test.size%len(bodies)]))
				if err != nil || response.StatusCode != http.StatusOK {
					b.Fatal(response, err)
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
			}
			b.StopTimer()
			bridge.terminate()
			bridge.wait()
			state := bridge.process.ProcessState
			b.ReportMetric(float64((state.UserTime()+state.SystemTime()).Nanoseconds())/float64(done), "cpu-ns/event")
			b.ReportMetric(float64(done)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

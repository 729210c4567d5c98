package ciosidecar_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
	"github.com/ciosidecar/ciosidecar/client/go/internal/sidecartest"
)

// BenchmarkAffinity compares the CPU time of the client for an event with that of a plain stream.
func BenchmarkAffinity(b *testing.B) {
	sidecartest.Need(b)
	first, second := sidecartest.Start(b), sidecartest.Start(b)
	client := dial(b, nil, first.Address(), second.Address())
	items := make([]ciosidecar.BatchItem, 1000)
	for index := range items {
		items[index].JSON = fmt.Appendf(nil,
			`{"type":"track","context":{"traits":{"userId":"not this one"}},"properties":{"text":%q},"event":"E","userId":"user-%d"}`,
			strings.Repeat("x", 400), index)
	}
	for name, affinity := range map[string]ciosidecar.Affinity{
		"plain": ciosidecar.AffinityNone, "person": ciosidecar.AffinityPerson,
	} {
		b.Run(name, func(b *testing.B) {
			stream := client.Stream(within(b), shop, &ciosidecar.StreamOptions{Affinity: affinity})
			defer func() { _ = stream.Close() }()
			before := cpuTime(b)
			go func() {
				for index := range b.N {
					if stream.Send(b.Context(), items[index%len(items)]) != nil {
						return
					}
				}
				stream.CloseSend()
			}()
			for range b.N {
				receive(b, stream)
			}
			b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/event")
		})
	}
}

// cpuTime returns the CPU time of this process. Unit: nanoseconds.
func cpuTime(b *testing.B) int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}

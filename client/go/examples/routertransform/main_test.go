package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/ciosidecar/ciosidecar/client/go/internal/sidecartest"
)

// The jobs of the example file are answered, from the file and from standard input: every job once,
// with unchanged metadata.
func TestTheExamplesJobsAreAnswered(t *testing.T) {
	address := sidecartest.Start(t).Address()
	ctx, cancel := context.WithTimeout(context.Background(), sidecartest.Timeout)
	defer cancel()
	jobs, err := os.ReadFile("jobs.json")
	if err != nil {
		t.Fatal(err)
	}
	var fromFile, fromInput bytes.Buffer
	if err := run(ctx, address, "jobs.json", nil, &fromFile); err != nil {
		t.Fatal(err)
	}
	if err := run(ctx, address, "-", bytes.NewReader(jobs), &fromInput); err != nil {
		t.Fatal(err)
	}
	for _, output := range []string{fromFile.String(), fromInput.String()} {
		if !json.Valid([]byte(output)) {
			t.Errorf("no JSON: %s", output)
		}
		for _, id := range []string{"9007199254740993", "9007199254740994", "9007199254740995", "9007199254740996"} {
			if strings.Count(output, `"jobId": `+id) != 1 {
				t.Errorf("job %s in %s", id, output)
			}
		}
	}
	if err := run(ctx, address, "-", strings.NewReader("no JSON"), &fromInput); err == nil {
		t.Error("no error for what is no JSON")
	}
}

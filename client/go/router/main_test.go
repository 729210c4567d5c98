package router_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	ciosidecar "github.com/ciosidecar/ciosidecar/client/go"
	"github.com/ciosidecar/ciosidecar/client/go/internal/sidecartest"
	"github.com/ciosidecar/ciosidecar/client/go/router"
)

// sidecarAddress is the address of a sidecar without options, for tests. It is empty if there
// is no command to start one.
var sidecarAddress string

// plainSidecar returns the address of that sidecar for a test that needs it.
func plainSidecar(t testing.TB) string {
	t.Helper()
	sidecartest.Need(t)
	return sidecarAddress
}

// TestMain starts that sidecar. It fails if a test leaves a goroutine behind.
func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if _, err := sidecartest.Command(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		if !sidecartest.MaySkip() {
			return 1
		}
		sidecartest.NoteSkipped(err.Error())
		return m.Run()
	}
	sidecar, err := sidecartest.Serve()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	sidecarAddress = sidecar.Address()
	code := m.Run()
	sidecar.Kill()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), sidecartest.Timeout)
	t.Cleanup(cancel)
	return ctx
}

func dial(t testing.TB, address string) *ciosidecar.Client {
	t.Helper()
	client, err := ciosidecar.Dial([]string{address}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func newTransformer(t testing.TB, address string, options *router.TransformerOptions) *router.Transformer {
	t.Helper()
	transformer := router.NewTransformer(dial(t, address), options)
	t.Cleanup(transformer.Close)
	return transformer
}

// job returns a router job whose metadata has an order of keys and white space of its own.
func job(id int64, message string) router.Job {
	return router.Job{
		Message: json.RawMessage(message),
		Metadata: fmt.Appendf(nil, `{ "zeta":1.0, "jobId":%d, "userId":"u<%d>","destinationId":"shop",`+
			`"sourceId":"web","workspaceId":"w1","attemptNum":1, "recordId":12345678901234567890 }`, id, id),
		Destination: json.RawMessage(`{"ID":"shop","RevisionID":"7","Config":{"siteID":"site","apiKey":"key"},"Enabled":true}`),
	}
}

func track(user string) string {
	return fmt.Sprintf(`{"type":"track","userId":%q,"event":"Order"}`, user)
}

func group(user string) string {
	return fmt.Sprintf(`{"type":"group","userId":%q,"groupId":"g-%s"}`, user, user)
}

func transform(t testing.TB, transformer *router.Transformer, jobs ...router.Job) []router.DestinationJob {
	t.Helper()
	response, err := transformer.Transform(within(t), &router.TransformRequest{Input: jobs, DestType: "customerio"})
	if err != nil {
		t.Fatal(err)
	}
	return response.Output
}

// ids returns the job ids of an output.
func ids(t testing.TB, output *router.DestinationJob) (jobIDs []int64) {
	t.Helper()
	for _, text := range output.Metadata {
		var metadata struct{ JobID int64 }
		if err := json.Unmarshal(text, &metadata); err != nil {
			t.Fatal(err)
		}
		jobIDs = append(jobIDs, metadata.JobID)
	}
	return jobIDs
}

// requests returns the requests of an output, one or several.
func requests(t testing.TB, output *router.DestinationJob) (parameters []router.PostParameters) {
	t.Helper()
	if len(output.BatchedRequest) == 0 {
		return nil
	}
	text := output.BatchedRequest
	if text[0] != '[' {
		text = fmt.Appendf(nil, "[%s]", text)
	}
	if err := json.Unmarshal(text, &parameters); err != nil {
		t.Fatalf("%v in %s", err, output.BatchedRequest)
	}
	return parameters
}

// sent returns the body that a router sends: the router decodes all forms into Go's own types and
// takes the form that is not empty.
func sent(t testing.TB, request *router.PostParameters) string {
	t.Helper()
	for form, text := range request.Body {
		var value map[string]any
		if err := json.Unmarshal(text, &value); err != nil {
			t.Fatal(err)
		}
		if len(value) == 0 {
			continue
		}
		if form == "JSON_ARRAY" {
			return value["batch"].(string)
		}
		encoded, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		return string(encoded)
	}
	return ""
}

package ciosidecar_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/ciosidecar/ciosidecar/client/go/internal/sidecartest"
)

// sidecarAddress is the address of a sidecar without options, for examples and tests. It is empty if there
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
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if _, err := sidecartest.Command(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		if !sidecartest.MaySkip() {
			return 1
		}
		sidecartest.NoteSkipped(err.Error())
		_ = flag.Set("test.skip", "^Example")
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

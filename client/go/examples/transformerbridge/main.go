// Command transformerbridge stands between an unmodified rudder-server and its transformer. It speaks the
// transformer's HTTP protocol, answers for Customer.io with a sidecar, and hands everything else on to the
// transformer.
//
//	transformerbridge -listen ADDRESS -sidecar ADDRESS [-upstream URL]
//
// See docs/go-data-plane.md of the project.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	settings, err := parseSettings(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "transformerbridge:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	log := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: settings.logLevel}))
	if err := run(ctx, settings, os.Stdout, log); err != nil {
		log.Error("cannot serve", "error", err)
		os.Exit(1)
	}
}

// run serves until ctx ends and the open requests are answered. It prints one line of JSON with the address
// when it is ready.
func run(ctx context.Context, settings *settings, ready io.Writer, log *slog.Logger) error {
	bridge, err := newBridge(settings, log)
	if err != nil {
		return err
	}
	defer bridge.close()
	listener, err := net.Listen("tcp", settings.listen)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           bridge,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       2 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	serving := make(chan error, 1)
	go func() { serving <- server.Serve(listener) }()
	address := listener.Addr().String()
	if err := json.NewEncoder(ready).Encode(map[string]any{"ready": true, "listen": []string{address}}); err != nil {
		return err
	}
	log.Info("ready", "listen", address, "sidecar", settings.sidecars.String(),
		"upstream", settings.upstreamName(), "deliver", settings.deliver)
	go bridge.greet(ctx)

	select {
	case err := <-serving:
		return err
	case <-ctx.Done():
	}
	return drain(server, bridge, settings, log)
}

// drain answers requests for a while although the health is bad, so that load balancers notice. Then it waits
// for the open requests.
func drain(server *http.Server, bridge *bridge, settings *settings, log *slog.Logger) error {
	log.Info("draining", "drain", settings.drain.String(), "grace", settings.grace.String())
	bridge.draining.Store(true)
	server.SetKeepAlivesEnabled(false)
	time.Sleep(settings.drain)
	ctx, cancel := context.WithTimeout(context.Background(), settings.grace)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		_ = server.Close()
		return fmt.Errorf("requests were cut off after %s: %w", settings.grace, err)
	}
	log.Info("stopped")
	return nil
}

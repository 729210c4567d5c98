package dev.ciosidecar;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** A real sidecar, or a real sandbox, in its own process. */
final class SidecarProcess implements AutoCloseable {
  private static final long TIMEOUT_S = 60;

  private final Process process;
  private final List<String> addresses = new ArrayList<>();

  private SidecarProcess(Process process) {
    this.process = process;
  }

  /** Starts a sidecar on a free port of loopback, with the options of the command line. */
  static SidecarProcess start(String... options) throws Exception {
    return listening("127.0.0.1:0", options);
  }

  static SidecarProcess listening(String address, String... options) throws Exception {
    List<String> all = new ArrayList<>(List.of("serve", "--log-level", "error", "--listen", address));
    all.addAll(List.of("--admin-listen", "127.0.0.1:0"));
    all.addAll(List.of(options));
    return run(all);
  }

  /** Starts a sandbox on a free port of loopback. Its address is a URL. */
  static SidecarProcess sandbox(String... options) throws Exception {
    List<String> all = new ArrayList<>(List.of("sandbox", "--listen", "127.0.0.1:0"));
    all.addAll(List.of(options));
    return run(all);
  }

  private static SidecarProcess run(List<String> arguments) throws Exception {
    Path command =
        Path.of(
            System.getenv().getOrDefault("CIOSIDECAR", "../../.venv/bin/ciosidecar"));
    boolean there = Files.isExecutable(command);
    if (!there) {
      System.err.println("SKIPPED: no sidecar at " + command + "; name one with CIOSIDECAR=…");
    }
    assumeTrue(there, "no sidecar at " + command + "; name one with CIOSIDECAR=…");
    List<String> line = new ArrayList<>(List.of(command.toString()));
    line.addAll(arguments);
    Process process =
        new ProcessBuilder(line).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    SidecarProcess sidecar = new SidecarProcess(process);
    String ready = sidecar.firstLine();
    if (ready == null) {
      throw new IllegalStateException("the sidecar did not start; standard error says why");
    }
    JsonNode listening = new ObjectMapper().readTree(ready);
    listening.path("listen").forEach(address -> sidecar.addresses.add(address.asText()));
    if (listening.has("url")) {
      sidecar.addresses.add(listening.get("url").asText());
    }
    return sidecar;
  }

  private String firstLine() throws Exception {
    BufferedReader out = process.inputReader();
    try {
      return CompletableFuture.supplyAsync(
              () -> {
                try {
                  return out.readLine();
                } catch (IOException failure) {
                  throw new IllegalStateException(failure);
                }
              })
          .get(TIMEOUT_S, TimeUnit.SECONDS);
    } catch (Exception failure) {
      process.destroyForcibly();
      throw failure;
    }
  }

  String address() {
    return addresses.get(0);
  }

  /** Sends SIGTERM, so that the sidecar drains. Returns at once. */
  void drain() {
    process.destroy();
  }

  /** Waits until the process has ended by itself. */
  void awaitExit() {
    process.onExit().orTimeout(TIMEOUT_S, TimeUnit.SECONDS).join();
  }

  /** Sends SIGKILL and waits until the process has ended. */
  void kill() {
    process.destroyForcibly().onExit().orTimeout(TIMEOUT_S, TimeUnit.SECONDS).join();
  }

  @Override
  public void close() {
    kill();
  }
}

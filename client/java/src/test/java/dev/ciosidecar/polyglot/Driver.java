package dev.ciosidecar.polyglot;

import dev.ciosidecar.CiosidecarClient;
import dev.ciosidecar.Event;
import dev.ciosidecar.EventStream;
import dev.ciosidecar.Result;
import dev.ciosidecar.SidecarException;
import io.grpc.Status;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;

/** Reads one scenario from standard input, plays it, and writes what became of it to standard output. */
public final class Driver {
  private Driver() {}

  /**
   * Plays the scenario.
   *
   * @param arguments none
   * @throws Exception if it cannot be played, which is a fault of the driver
   */
  public static void main(String[] arguments) throws Exception {
    Lines lines = new Lines();
    Scenario scenario = lines.scenario();
    switch (scenario.call()) {
      case "transform" -> transform(scenario, lines);
      case "stream" -> stream(scenario, lines);
      case "raw" -> RawCall.play(scenario, lines);
      default -> throw new IllegalArgumentException("no such call: " + scenario.call());
    }
    // The thread that reads may still wait for a line that nobody needs.
    System.exit(0);
  }

  private static void transform(Scenario scenario, Lines lines) throws IOException {
    List<Event> events = new ArrayList<>();
    byte[] line;
    while ((line = lines.event()) != null) {
      events.add(scenario.event(line));
    }
    try (CiosidecarClient client = scenario.client()) {
      for (Result result : client.transform(events, scenario.destination())) {
        lines.write(result);
      }
      lines.writeEnd(Status.Code.OK.name(), "", 0);
    } catch (SidecarException failure) {
      lines.writeEnd(failure.code().name(), failure.details(), 0);
    }
  }

  private static void stream(Scenario scenario, Lines lines) throws Exception {
    try (CiosidecarClient client = scenario.client();
        EventStream<Void> stream = client.stream(scenario.destination(), scenario.options())) {
      long cancelAfter = scenario.cancelAfter();
      CompletableFuture<Void> done =
          stream.consume(
              answer -> {
                lines.write(answer.result());
                if (answer.result().position() + 1 == cancelAfter) {
                  stream.cancel();
                }
              });
      if (cancelAfter == 0) {
        stream.cancel();
      }
      Thread feeding = new Thread(() -> feed(scenario, lines, stream, done), "feeding");
      feeding.setDaemon(true);
      feeding.start();
      try {
        done.get();
        lines.writeEnd(Status.Code.OK.name(), "", stream.reconnects());
      } catch (ExecutionException failure) {
        if (!(failure.getCause() instanceof SidecarException reason)) {
          throw failure;
        }
        lines.writeEnd(reason.code().name(), reason.details(), stream.reconnects());
      }
    }
  }

  private static void feed(
      Scenario scenario, Lines lines, EventStream<Void> stream, CompletableFuture<Void> done) {
    try {
      byte[] line;
      while ((line = lines.event()) != null) {
        stream.send(scenario.event(line));
      }
      stream.finish();
    } catch (SidecarException failure) {
      // The subscriber is told the same, after what was answered before.
      return;
    } catch (IOException | InterruptedException | RuntimeException fault) {
      done.completeExceptionally(fault);
    }
  }
}

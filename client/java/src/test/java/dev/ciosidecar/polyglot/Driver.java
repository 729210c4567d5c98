package dev.ciosidecar.polyglot;

import com.fasterxml.jackson.databind.JsonNode;
import dev.ciosidecar.BatchEntry;
import dev.ciosidecar.CiosidecarClient;
import dev.ciosidecar.DeliveryOptions;
import dev.ciosidecar.Event;
import dev.ciosidecar.EventStream;
import dev.ciosidecar.Result;
import dev.ciosidecar.SidecarException;
import io.grpc.Status;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicLong;

/** Reads a scenario from standard input, plays it, and writes its outcome to standard output. */
public final class Driver {
  private Driver() {}

  /**
   * Plays the scenario.
   *
   * @param arguments none
   * @throws Exception if the scenario cannot be played, which is a fault of the driver
   */
  public static void main(String[] arguments) throws Exception {
    Lines lines = new Lines();
    Scenario scenario = lines.scenario();
    try {
      play(scenario, lines);
    } catch (SidecarException failure) {
      lines.writeEnd(failure.code().name(), failure.details(), 0);
    } catch (IllegalArgumentException refusal) {
      lines.writeEnd("REFUSED", refusal.getMessage(), 0);
    }
    // The feeding thread may still wait for a line that is not needed.
    System.exit(0);
  }

  private static void play(Scenario scenario, Lines lines) throws Exception {
    switch (scenario.call()) {
      case "transform" -> transform(scenario, lines);
      case "capabilities" -> capabilities(scenario, lines);
      case "check" -> check(scenario, lines);
      case "deliver" -> deliver(scenario, lines);
      case "stream" -> stream(scenario, lines);
      case "raw" -> RawCall.play(scenario, lines);
      default -> throw new IllegalStateException("no such call: " + scenario.call());
    }
  }

  private static void capabilities(Scenario scenario, Lines lines) throws IOException {
    try (CiosidecarClient client = scenario.client()) {
      if (scenario.deadline().isPresent()) {
        client.capabilities(scenario.deadline().get());
      } else {
        client.capabilities();
      }
    }
    lines.writeEnd(Status.Code.OK.name(), "", 0);
  }

  private static void check(Scenario scenario, Lines lines) throws IOException {
    try (CiosidecarClient client = scenario.client()) {
      if (scenario.deadline().isPresent()) {
        client.check(scenario.destination(), false, scenario.deadline().get());
      } else {
        client.check(scenario.destination());
      }
    }
    lines.writeEnd(Status.Code.OK.name(), "", 0);
  }

  private static void transform(Scenario scenario, Lines lines) throws IOException {
    List<Event> events = events(scenario, lines);
    try (CiosidecarClient client = scenario.client()) {
      List<Result> results =
          scenario.deadline().isPresent()
              ? client.transform(events, scenario.destination(), scenario.deadline().get())
              : client.transform(events, scenario.destination());
      results.forEach(lines::write);
    }
    lines.writeEnd(Status.Code.OK.name(), "", 0);
  }

  private static void deliver(Scenario scenario, Lines lines) throws IOException {
    List<Event> events = events(scenario, lines);
    DeliveryOptions options = scenario.delivery().orElse(DeliveryOptions.defaults());
    try (CiosidecarClient client = scenario.client()) {
      List<Result> results =
          scenario.deadline().isPresent()
              ? client.deliver(events, options, scenario.deadline().get())
              : client.deliver(events, options);
      results.forEach(lines::write);
    }
    lines.writeEnd(Status.Code.OK.name(), "", 0);
  }

  private static List<Event> events(Scenario scenario, Lines lines) throws IOException {
    List<Event> events = new ArrayList<>();
    byte[] line;
    while ((line = lines.event()) != null) {
      events.add(scenario.event(lines.read() - 1, line));
    }
    return events;
  }

  private static void stream(Scenario scenario, Lines lines) throws Exception {
    List<Integer> refused = new CopyOnWriteArrayList<>();
    try (CiosidecarClient client = scenario.client();
        EventStream<Void> stream = client.stream(scenario.options())) {
      AtomicLong answers = new AtomicLong();
      Runnable closing = client::close;
      CompletableFuture<Void> done =
          stream.consume(
              answer -> {
                lines.write(answer.result());
                long seen = answers.incrementAndGet();
                if (seen == scenario.cancelAfter()) {
                  stream.cancel();
                }
                if (seen == scenario.closeAfter()) {
                  closing.run();
                }
              });
      if (scenario.cancelAfter() == 0) {
        stream.cancel();
      }
      Thread feeding = new Thread(() -> feed(scenario, lines, stream, done, refused), "feeding");
      feeding.setDaemon(true);
      feeding.start();
      try {
        done.get();
        lines.writeEnd(Status.Code.OK.name(), "", stream.reconnects(), refused);
      } catch (ExecutionException failure) {
        if (!(failure.getCause() instanceof SidecarException reason)) {
          throw failure;
        }
        lines.writeEnd(reason.code().name(), reason.details(), stream.reconnects(), refused);
      }
    }
  }

  private static void feed(
      Scenario scenario,
      Lines lines,
      EventStream<Void> stream,
      CompletableFuture<Void> done,
      List<Integer> refused) {
    try {
      byte[] line;
      while ((line = lines.event()) != null) {
        int index = lines.read() - 1;
        try {
          send(scenario, lines, stream, index, line);
        } catch (IllegalArgumentException refusal) {
          refused.add(index);
        }
      }
      stream.finish();
    } catch (SidecarException failure) {
      // The subscriber gets the same failure, after the earlier answers.
      return;
    } catch (IOException | InterruptedException | RuntimeException fault) {
      done.completeExceptionally(fault);
    }
  }

  /** Sends an event, or the batch that begins with it. */
  private static void send(
      Scenario scenario, Lines lines, EventStream<Void> stream, int index, byte[] line)
      throws IOException, InterruptedException {
    Optional<JsonNode> batch = scenario.batchFrom(index);
    if (batch.isEmpty()) {
      stream.send(scenario.event(index, line));
      return;
    }
    List<BatchEntry<Void>> entries = new ArrayList<>();
    entries.add(new BatchEntry<>(scenario.event(index, line), null));
    while (entries.size() < batch.get().get("count").asInt()) {
      byte[] next = lines.event();
      entries.add(new BatchEntry<>(scenario.event(lines.read() - 1, next), null));
    }
    if (batch.get().has("timeout_ms")) {
      stream.sendBatch(entries, Duration.ofMillis(batch.get().get("timeout_ms").asLong()));
    } else {
      stream.sendBatch(entries);
    }
  }
}

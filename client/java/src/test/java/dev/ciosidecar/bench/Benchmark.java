package dev.ciosidecar.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.ciosidecar.CiosidecarClient;
import dev.ciosidecar.Destination;
import dev.ciosidecar.Event;
import dev.ciosidecar.EventStream;
import dev.ciosidecar.StreamOptions;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/**
 * Measures events per second of one producer that sends one at a time, in three ways:
 *
 * <ul>
 *   <li>{@code coalesced}: on a stream with batches of 100 events
 *   <li>{@code one_event_a_message}: on a stream with batches of one event, without waiting for answers
 *   <li>{@code one_at_a_time}: one unary call for each event, one call at a time
 * </ul>
 */
public final class Benchmark {
  private static final Destination DESTINATION =
      Destination.json("{\"siteID\": \"an-example-site-id\", \"apiKey\": \"an-example-api-key\"}");
  private static final Duration WARM_UP = Duration.ofSeconds(3);
  private static final Duration MEASURED = Duration.ofSeconds(5);

  private Benchmark() {}

  private interface Method {
    /** Sends events until the given time and returns how many were answered. */
    long send(long untilNanos) throws Exception;
  }

  /**
   * Measures and prints one line of JSON.
   *
   * @param arguments the sidecar's address, and a file with one event per line
   * @throws Exception if the sidecar or the file cannot be used
   */
  public static void main(String[] arguments) throws Exception {
    List<Event> events =
        Files.readAllLines(Path.of(arguments[1])).stream().map(Event::json).toList();
    StreamOptions coalescing = StreamOptions.builder().maxBatchEvents(100).build();
    StreamOptions single = StreamOptions.builder().maxBatchEvents(1).build();
    try (CiosidecarClient client = CiosidecarClient.connect(arguments[0])) {
      Map<String, Long> rates = new TreeMap<>();
      rates.put(
          "coalesced_events_per_s", rate(until -> stream(client, coalescing, events, until)));
      rates.put(
          "one_event_a_message_events_per_s", rate(until -> stream(client, single, events, until)));
      rates.put("one_at_a_time_events_per_s", rate(until -> calls(client, events, until)));
      System.out.println(new ObjectMapper().writeValueAsString(rates));
    }
  }

  private static long rate(Method method) throws Exception {
    method.send(System.nanoTime() + WARM_UP.toNanos());
    long beganNanos = System.nanoTime();
    long sent = method.send(beganNanos + MEASURED.toNanos());
    return Math.round(sent * 1e9 / (System.nanoTime() - beganNanos));
  }

  private static long stream(
      CiosidecarClient client, StreamOptions options, List<Event> events, long untilNanos)
      throws Exception {
    try (EventStream<Void> stream = client.stream(DESTINATION, options)) {
      long[] answers = new long[1];
      CompletableFuture<Void> done = stream.consume(answer -> answers[0]++);
      for (int index = 0; System.nanoTime() < untilNanos; index++) {
        stream.send(events.get(index % events.size()));
      }
      stream.finish();
      done.get(60, TimeUnit.SECONDS);
      return answers[0];
    }
  }

  private static long calls(CiosidecarClient client, List<Event> events, long untilNanos) {
    int index = 0;
    for (; System.nanoTime() < untilNanos; index++) {
      client.transform(List.of(events.get(index % events.size())), DESTINATION);
    }
    return index;
  }
}

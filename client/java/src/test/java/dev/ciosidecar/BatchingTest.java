package dev.ciosidecar;

import static dev.ciosidecar.Played.DESTINATION;
import static dev.ciosidecar.Played.TRACK;
import static dev.ciosidecar.Played.await;
import static dev.ciosidecar.Played.play;
import static dev.ciosidecar.Played.upTo;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import dev.ciosidecar.v1.Batch;
import dev.ciosidecar.v1.BatchItem;
import dev.ciosidecar.v1.Limits;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** How a stream gathers events into batches, and its flow control. */
@Timeout(120)
class BatchingTest {
  private static final Duration LONG_LINGER = Duration.ofMillis(500);

  /** A thousand events that are sent one after another become ten batches of the largest size. */
  @Test
  void eventsAreGatheredIntoBatches() throws Exception {
    try (ScriptedSidecar sidecar = new ScriptedSidecar(ScriptedSidecar.ANSWERING)) {
      StreamOptions options =
          StreamOptions.builder().maxBatchEvents(100).linger(LONG_LINGER).build();
      play(sidecar.address(), Collections.nCopies(1000, TRACK), options);
      assertEquals(Collections.nCopies(10, 100), sidecar.callers.get(0).batchSizes());
    }
  }

  /** No batch exceeds the limit in bytes, except one with a single larger event. */
  @Test
  void aBatchIsBoundedInBytes() throws Exception {
    try (ScriptedSidecar sidecar = new ScriptedSidecar(ScriptedSidecar.ANSWERING)) {
      List<Event> events = new ArrayList<>(Collections.nCopies(10, Event.json("x".repeat(400))));
      events.add(Event.json("y".repeat(5000)));
      play(sidecar.address(), events, StreamOptions.builder().maxBatchBytes(1000).build());
      List<Integer> bytes =
          sidecar.callers.get(0).batches.stream()
              .map(batch -> batch.getItemsList().stream().mapToInt(item -> item.getJson().size()).sum())
              .toList();
      assertEquals(9000, bytes.stream().mapToInt(Integer::intValue).sum());
      assertEquals(5000, bytes.get(bytes.size() - 1));
      assertTrue(Collections.max(bytes.subList(0, bytes.size() - 1)) <= 1000, bytes.toString());
    }
  }

  /** If the sidecar's limit is three events, no batch has more. */
  @Test
  void theSidecarsOwnLimitIsKept() throws Exception {
    try (ScriptedSidecar sidecar =
        new ScriptedSidecar(
            caller -> {
              caller.open(Limits.newBuilder().setMaxBatchEvents(3).setMaxDestinations(1));
              caller.answerEverything();
            })) {
      play(sidecar.address(), Collections.nCopies(20, TRACK), StreamOptions.defaults());
      assertEquals(20, sidecar.callers.get(0).batchSizes().stream().mapToInt(Integer::intValue).sum());
      assertEquals(3, Collections.max(sidecar.callers.get(0).batchSizes()));
    }
  }

  /**
   * A single event is sent after its linger time, without waiting for others or for the end of the stream.
   */
  @Test
  void oneEventAloneIsNotHeldBack() throws Exception {
    try (ScriptedSidecar sidecar =
            new ScriptedSidecar(ScriptedSidecar.ANSWERING);
        CiosidecarClient client = CiosidecarClient.connect(sidecar.address());
        EventStream<CompletableFuture<Void>> stream = client.stream(DESTINATION)) {
      stream.consume(answer -> answer.attachment().complete(null));
      for (int round = 0; round < 3; round++) {
        CompletableFuture<Void> answered = new CompletableFuture<>();
        stream.send(TRACK, answered);
        await(answered);
      }
      assertEquals(List.of(1, 1, 1), sidecar.callers.get(0).batchSizes());
    }
  }

  /** With at most ten outstanding events, the sidecar never holds an eleventh. */
  @Test
  void outstandingEventsAreLimited() throws Exception {
    List<Integer> held = new CopyOnWriteArrayList<>();
    try (ScriptedSidecar sidecar =
        new ScriptedSidecar(
            caller -> {
              caller.open();
              List<Batch> unanswered = new ArrayList<>();
              Optional<Batch> batch;
              while ((batch = caller.batch()).isPresent()) {
                unanswered.add(batch.get());
                held.add(unanswered.stream().mapToInt(Batch::getItemsCount).sum());
                if (held.get(held.size() - 1) >= 10) {
                  unanswered.forEach(caller::answer);
                  unanswered.clear();
                }
              }
              unanswered.forEach(caller::answer);
            })) {
      StreamOptions options =
          StreamOptions.builder()
              .maxOutstandingEvents(10)
              .maxBatchEvents(4)
              .linger(Duration.ofMillis(1))
              .build();
      assertEquals(
          upTo(200),
          play(sidecar.address(), Collections.nCopies(200, TRACK), options).attachments());
    }
    assertEquals(10, Collections.max(held));
  }

  /** Outstanding bytes are limited too. An event above the limit is sent if no other is outstanding. */
  @Test
  void outstandingBytesAreLimited() throws Exception {
    try (ScriptedSidecar sidecar = new ScriptedSidecar(ScriptedSidecar.ANSWERING)) {
      StreamOptions options = StreamOptions.builder().maxOutstandingBytes(500).build();
      List<Event> events = Collections.nCopies(5, Event.json("x".repeat(600)));
      assertEquals(upTo(5), play(sidecar.address(), events, options).attachments());
      assertEquals(List.of(1, 1, 1, 1, 1), sidecar.callers.get(0).batchSizes());
    }
  }

  /** Connections are declared as destinations are. A prepared request needs neither. */
  @Test
  void rowsNameTheirConnection() throws Exception {
    try (ScriptedSidecar sidecar =
        new ScriptedSidecar(ScriptedSidecar.ANSWERING);
        CiosidecarClient client = CiosidecarClient.connect(sidecar.address());
        EventStream<Void> stream =
            client.stream(StreamOptions.builder().linger(LONG_LINGER).build())) {
      CompletableFuture<Void> done = stream.consume(answer -> {});
      Event event = TRACK.withDestination(DESTINATION);
      stream.send(event);
      stream.send(event.withConnection(SourceConnection.json("{\"object\":\"person\"}")));
      ApiRequest request =
          new ApiRequest("PUT", "https://track.customer.io/x", "x", Map.of(), ByteString.EMPTY, List.of());
      stream.send(Event.prepared(request));
      assertThrows(IllegalArgumentException.class, () -> stream.send(TRACK));
      stream.finish();
      await(done);
      assertEquals(Map.of(1, "{\"object\":\"person\"}"), sidecar.callers.get(0).connections);
      List<BatchItem> items =
          sidecar.callers.get(0).batches.stream()
              .flatMap(batch -> batch.getItemsList().stream())
              .toList();
      assertEquals(List.of(1, 1, 0), items.stream().map(BatchItem::getDestination).toList());
      assertEquals(List.of(0, 1, 0), items.stream().map(BatchItem::getConnection).toList());
      assertEquals("PUT", items.get(2).getPrepared().getMethod());
    }
  }
}

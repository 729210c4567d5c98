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
import dev.ciosidecar.v1.Item;
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

/** How a stream gathers events into messages, and how much it owes at most. */
@Timeout(120)
class GatheringTest {
  private static final Duration LONG_LINGER = Duration.ofMillis(500);

  /** A thousand events sent one after another travel in few messages, none above the limit. */
  @Test
  void eventsAreGatheredIntoMessages() throws Exception {
    try (ScriptedSidecar sidecar = new ScriptedSidecar(ScriptedSidecar.ANSWERING)) {
      StreamOptions options =
          StreamOptions.builder().maxBatchEvents(100).linger(LONG_LINGER).build();
      play(sidecar.address(), Collections.nCopies(1000, TRACK), options);
      assertEquals(Collections.nCopies(10, 100), sidecar.callers.get(0).batchSizes());
    }
  }

  /** Large events travel alone rather than in a message beyond the limit. */
  @Test
  void aBatchIsBoundedInBytes() throws Exception {
    try (ScriptedSidecar sidecar = new ScriptedSidecar(ScriptedSidecar.ANSWERING)) {
      List<Event> events = new ArrayList<>(Collections.nCopies(10, Event.json("x".repeat(400))));
      events.add(Event.json("y".repeat(5000)));
      play(sidecar.address(), events, StreamOptions.builder().maxBatchBytes(1000).build());
      List<Integer> bytes =
          sidecar.callers.get(0).batches.stream()
              .map(one -> one.getItemsList().stream().mapToInt(i -> i.getJson().size()).sum())
              .toList();
      assertEquals(9000, bytes.stream().mapToInt(Integer::intValue).sum());
      assertEquals(5000, bytes.get(bytes.size() - 1));
      assertTrue(Collections.max(bytes.subList(0, bytes.size() - 1)) <= 1000, bytes.toString());
    }
  }

  /** A sidecar that takes three events a batch gets three. */
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

  /** An event lingers for milliseconds, not for the end of the stream; after a quiet time too. */
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

  /** With ten owed at most, the sidecar never holds an eleventh. */
  @Test
  void noMoreIsSentThanTheCreditAllows() throws Exception {
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
              .maxOwedEvents(10)
              .maxBatchEvents(4)
              .linger(Duration.ofMillis(1))
              .build();
      assertEquals(
          upTo(200),
          play(sidecar.address(), Collections.nCopies(200, TRACK), options).attachments());
    }
    assertEquals(10, Collections.max(held));
  }

  /** Credit is counted in bytes too; one event larger than all of it still goes. */
  @Test
  void creditIsBoundedInBytes() throws Exception {
    try (ScriptedSidecar sidecar = new ScriptedSidecar(ScriptedSidecar.ANSWERING)) {
      StreamOptions options = StreamOptions.builder().maxOwedBytes(500).build();
      List<Event> events = Collections.nCopies(5, Event.json("x".repeat(600)));
      assertEquals(upTo(5), play(sidecar.address(), events, options).attachments());
      assertEquals(List.of(1, 1, 1, 1, 1), sidecar.callers.get(0).batchSizes());
    }
  }

  /** Connections are declared beside destinations; a prepared request needs neither. */
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
      stream.send(event.withConnection(Connection.json("{\"object\":\"person\"}").named("rows")));
      Request request =
          new Request("PUT", "https://track.customer.io/x", "x", Map.of(), ByteString.EMPTY, List.of());
      stream.send(Event.prepared(request));
      assertThrows(IllegalArgumentException.class, () -> stream.send(TRACK));
      stream.finish();
      await(done);
      assertEquals(Map.of(1, "{\"object\":\"person\"}"), sidecar.callers.get(0).connections);
      List<Item> items = sidecar.callers.get(0).batches.stream().flatMap(one -> one.getItemsList().stream()).toList();
      assertEquals(List.of(1, 1, 0), items.stream().map(Item::getDestination).toList());
      assertEquals(List.of(0, 1, 0), items.stream().map(Item::getConnection).toList());
      assertEquals("PUT", items.get(2).getPrepared().getMethod());
    }
  }
}

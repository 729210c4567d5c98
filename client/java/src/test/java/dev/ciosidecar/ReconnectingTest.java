package dev.ciosidecar;

import static dev.ciosidecar.Played.TRACK;
import static dev.ciosidecar.Played.failure;
import static dev.ciosidecar.Played.play;
import static dev.ciosidecar.Played.tracks;
import static dev.ciosidecar.Played.upTo;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.ciosidecar.v1.Batch;
import dev.ciosidecar.v1.BatchItem;
import io.grpc.Status;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Streams to a sidecar that drains, dies, refuses the stream or never answers. */
@Timeout(120)
class ReconnectingTest {
  private static final Duration LONG_LINGER = Duration.ofMillis(500);

  private static List<Event> numbered(int count) {
    return IntStream.range(0, count).mapToObj(n -> Event.json("{\"n\":" + n + "}")).toList();
  }

  private static List<String> texts(List<BatchItem> items) {
    return items.stream().map(item -> item.getJson().toStringUtf8()).toList();
  }

  /** If the sidecar dies after part of a batch is answered, only the other events are resent, in order. */
  @Test
  void onlyEventsWithoutAnAnswerAreResent() throws Exception {
    try (ScriptedSidecar sidecar =
        new ScriptedSidecar(
            caller -> {
              caller.open();
              Batch batch = caller.batch().orElseThrow();
              caller.answer(batch, false, 0, 1, 2, 7);
              throw caller.fail(Status.UNAVAILABLE);
            },
            ScriptedSidecar.ANSWERING)) {
      Played played =
          play(
              sidecar.address(),
              numbered(10),
              StreamOptions.builder().linger(LONG_LINGER).build());
      assertEquals(upTo(10), played.attachments());
      assertEquals(1, played.reconnects());
      assertEquals(
          Map.of(1, "{\"siteID\": \"site\", \"apiKey\": \"key\"}"),
          sidecar.callers.get(1).declared);
      assertEquals(
          List.of("{\"n\":3}", "{\"n\":4}", "{\"n\":5}", "{\"n\":6}", "{\"n\":8}", "{\"n\":9}"),
          sidecar.callers.get(1).batches.stream()
              .flatMap(batch -> texts(batch.getItemsList()).stream())
              .toList());
    }
  }

  /** If the sidecar ends the stream early, the client opens another call. */
  @Test
  void aStreamThatEndsEarlyIsOpenedAgain() throws Exception {
    try (ScriptedSidecar sidecar =
        new ScriptedSidecar(
            caller -> {
              caller.open();
              caller.batch();
            },
            ScriptedSidecar.ANSWERING)) {
      Played played = play(sidecar.address(), numbered(5), StreamOptions.defaults());
      assertEquals(upTo(5), played.attachments());
      assertEquals(1, played.reconnects());
    }
  }

  /** After Drain, the old call answers the sent events and another call gets the rest. */
  @Test
  void drainMovesTheStream() throws Exception {
    List<Boolean> finished = new CopyOnWriteArrayList<>();
    try (ScriptedSidecar sidecar =
        new ScriptedSidecar(
            caller -> {
              caller.open();
              Batch batch = caller.batch().orElseThrow();
              caller.drain();
              finished.add(caller.batch().isEmpty());
              caller.answer(batch);
            },
            ScriptedSidecar.ANSWERING)) {
      StreamOptions options =
          StreamOptions.builder().maxBatchEvents(5).maxOutstandingEvents(5).build();
      Played played = play(sidecar.address(), numbered(50), options);
      assertEquals(upTo(50), played.attachments());
      assertEquals(1, played.reconnects());
      assertEquals(List.of(true), finished);
      assertEquals(45, sidecar.callers.get(1).batchSizes().stream().mapToInt(Integer::intValue).sum());
    }
  }

  /** A second answer for the same event is ignored. */
  @Test
  void anAnswerThatComesTwiceCountsOnce() throws Exception {
    try (ScriptedSidecar sidecar =
        new ScriptedSidecar(
            caller -> {
              caller.open();
              Optional<Batch> batch;
              while ((batch = caller.batch()).isPresent()) {
                caller.answer(batch.get(), false, 0);
                caller.answer(batch.get());
                caller.answer(batch.get());
              }
            })) {
      assertEquals(
          upTo(3), play(sidecar.address(), numbered(3), StreamOptions.defaults()).attachments());
    }
  }

  /** If no sidecar listens, the stream fails after the configured time, for senders and the subscriber. */
  @Test
  void aStreamWithoutASidecarIsUnavailable() {
    SidecarException failure =
        failure(
            "127.0.0.1:1",
            tracks(10),
            StreamOptions.builder().reconnectFor(Duration.ofMillis(300)).build());
    assertEquals(Status.Code.UNAVAILABLE, failure.code());
    assertTrue(failure.getMessage().contains("no answer for 300 ms"), failure.getMessage());
  }

  /** A stream that the sidecar refuses with INVALID_ARGUMENT does not reconnect. */
  @Test
  void aRefusedStreamDoesNotReconnect() throws Exception {
    try (ScriptedSidecar sidecar =
        new ScriptedSidecar(
            caller -> {
              caller.receive();
              throw caller.fail(Status.INVALID_ARGUMENT.withDescription("no"));
            })) {
      SidecarException failure =
          failure(sidecar.address(), List.of(TRACK), StreamOptions.defaults());
      assertEquals(Status.Code.INVALID_ARGUMENT, failure.code());
      assertEquals(1, sidecar.callers.size());
    }
  }

  /** If every call fails on the same events, the stream fails after the configured time. */
  @Test
  void aPoisonousBatchDoesNotReconnectForEver() throws Exception {
    try (ScriptedSidecar sidecar =
        new ScriptedSidecar(
            caller -> {
              caller.open();
              caller.batch();
              throw caller.fail(Status.INTERNAL);
            })) {
      StreamOptions options =
          StreamOptions.builder().reconnectFor(Duration.ofMillis(500)).build();
      assertEquals(
          Status.Code.UNAVAILABLE, failure(sidecar.address(), List.of(TRACK), options).code());
      assertTrue(sidecar.callers.size() > 1);
    }
  }

  /** If the sidecar never answers, the stream fails at its deadline, also for a waiting sender. */
  @Test
  void aDeadlineEndsTheStream() throws Exception {
    try (ScriptedSidecar sidecar =
        new ScriptedSidecar(
            caller -> {
              caller.open();
              while (caller.batch().isPresent()) {
                // Received and not answered.
              }
            })) {
      StreamOptions options =
          StreamOptions.builder().maxOutstandingEvents(2).deadline(Duration.ofMillis(300)).build();
      assertEquals(
          Status.Code.DEADLINE_EXCEEDED, failure(sidecar.address(), tracks(5), options).code());
    }
  }
}

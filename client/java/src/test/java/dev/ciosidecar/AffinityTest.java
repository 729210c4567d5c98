package dev.ciosidecar;

import static dev.ciosidecar.Played.DESTINATION;
import static dev.ciosidecar.Played.await;
import static dev.ciosidecar.Played.play;
import static dev.ciosidecar.Played.track;
import static dev.ciosidecar.Played.upTo;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.ciosidecar.v1.Batch;
import dev.ciosidecar.v1.BatchItem;
import dev.ciosidecar.v1.ErrorCode;
import dev.ciosidecar.v1.EventDetail;
import dev.ciosidecar.v1.EventError;
import dev.ciosidecar.v1.ItemRef;
import dev.ciosidecar.v1.Results;
import io.grpc.Status;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Streams whose persons stay on one sidecar. */
@Timeout(120)
class AffinityTest {
  private static final StreamOptions PERSON =
      StreamOptions.builder().affinity(Affinity.PERSON).build();

  private static StreamOptions.Builder person() {
    return StreamOptions.builder().affinity(Affinity.PERSON);
  }

  private static CiosidecarClient client(String... addresses) {
    return CiosidecarClient.builder().addresses(addresses).build();
  }

  private static CiosidecarClient client(ScriptedSidecar... sidecars) {
    return client(Stream.of(sidecars).map(ScriptedSidecar::address).toArray(String[]::new));
  }

  /** Returns events of forty persons in turn. */
  private static List<Event> fortyPersons(int count) {
    return IntStream.range(0, count).mapToObj(index -> track("user-" + index % 40)).toList();
  }

  /** Returns an event of a person whose own sidecar has an index in a list. */
  private static Event eventAt(int index, ScriptedSidecar... sidecars) {
    return eventAt(index, Stream.of(sidecars).map(ScriptedSidecar::address).toList());
  }

  private static Event eventAt(int index, List<String> addresses) {
    return Stream.iterate(0, number -> number + 1)
        .map(number -> track("person-" + number))
        .filter(
            event ->
                PersonSlots.addressOrder(
                        PersonSlots.slot(PersonKey.of(event.item())), addresses)[0]
                    == index)
        .findFirst()
        .orElseThrow();
  }

  private static Set<String> events(ScriptedSidecar sidecar) {
    Set<String> events = new HashSet<>();
    for (ScriptedSidecar.Caller caller : sidecar.callers) {
      for (Batch batch : caller.batches) {
        batch.getItemsList().stream().map(BatchItem::getJson).forEach(json -> events.add(json.toStringUtf8()));
      }
    }
    return events;
  }

  private static int count(ScriptedSidecar sidecar) {
    return sidecar.callers.stream()
        .flatMap(caller -> caller.batchSizes().stream())
        .mapToInt(Integer::intValue)
        .sum();
  }

  /** Each person is on one sidecar, whichever client sends and however the addresses are listed. */
  @Test
  void aPersonIsOnOneSidecar() throws Exception {
    try (ScriptedSidecar first = new ScriptedSidecar(ScriptedSidecar.ANSWERING);
        ScriptedSidecar second = new ScriptedSidecar(ScriptedSidecar.ANSWERING);
        ScriptedSidecar third = new ScriptedSidecar(ScriptedSidecar.ANSWERING)) {
      for (List<ScriptedSidecar> listed :
          List.of(List.of(first, second, third), List.of(third, second, first))) {
        try (CiosidecarClient client = client(listed.toArray(ScriptedSidecar[]::new))) {
          Played played = play(client, fortyPersons(400), PERSON);
          assertEquals(upTo(400), played.attachments());
          assertEquals(
              upTo(400),
              played.answers().stream().map(answer -> (int) answer.result().position()).toList());
          assertEquals(0, played.reconnects());
        }
      }
      List<Set<String>> seen = Stream.of(first, second, third).map(AffinityTest::events).toList();
      seen.forEach(events -> assertFalse(events.isEmpty()));
      assertEquals(40, seen.stream().mapToInt(Set::size).sum());
    }
  }

  /** A batch is divided: each sidecar gets its persons' part as messages without other events. */
  @Test
  void aBatchIsDivided() throws Exception {
    try (ScriptedSidecar first = new ScriptedSidecar(ScriptedSidecar.ANSWERING);
        ScriptedSidecar second = new ScriptedSidecar(ScriptedSidecar.ANSWERING);
        CiosidecarClient client = client(first, second);
        EventStream<Integer> stream = client.stream(DESTINATION, PERSON)) {
      List<Integer> answers = new ArrayList<>();
      CompletableFuture<Void> done = stream.consume(answer -> answers.add(answer.attachment()));
      List<BatchEntry<Integer>> entries = new ArrayList<>();
      for (int index : upTo(10)) {
        entries.add(new BatchEntry<>(eventAt(index % 2, first, second), index));
      }
      stream.sendBatch(entries, Duration.ofSeconds(7));
      stream.finish();
      await(done);
      assertEquals(upTo(10), answers);
      for (ScriptedSidecar sidecar : List.of(first, second)) {
        Batch batch = sidecar.callers.get(0).batches.get(0);
        assertEquals(5, batch.getItemsCount());
        assertEquals(7, batch.getTimeout().getSeconds());
      }
    }
  }

  /** A killed, a drained and a returning sidecar lose no event, and results stay in order. */
  @Test
  void aChangingFleetLosesNothing() throws Exception {
    try (SidecarProcess killed = SidecarProcess.start();
        SidecarProcess drained = SidecarProcess.start();
        SidecarProcess steady = SidecarProcess.start();
        CiosidecarClient client = client(killed.address(), drained.address(), steady.address());
        EventStream<Integer> stream =
            client.stream(DESTINATION, person().maxOutstandingEvents(500).build())) {
      BlockingQueue<Answer<Integer>> answers = new LinkedBlockingQueue<>();
      CompletableFuture<Void> done = stream.consume(answers::add);
      int position = 0;
      List<Event> events = fortyPersons(1000);
      List<Runnable> changes = List.of(killed::kill, drained::drain, () -> {}, () -> {});
      for (Runnable change : changes) {
        for (int index : upTo(1000)) {
          if (index == 500) {
            change.run();
          }
          stream.send(events.get(index), position + index);
        }
        position += 1000;
      }
      try (SidecarProcess returned = SidecarProcess.listening(killed.address())) {
        // Its persons are its own again; the test's time limit bounds how long that takes.
        Event own =
            eventAt(0, List.of(killed.address(), drained.address(), steady.address()));
        drained.awaitExit();
        steady.kill();
        stream.send(own, position++);
        stream.finish();
        await(done);
        returned.kill();
      }
      assertEquals(upTo(position), answers.stream().map(Answer::attachment).toList());
      assertEquals(
          Set.of(200), new HashSet<>(answers.stream().map(answer -> answer.result().status()).toList()));
    }
  }

  private static EventDetail.Builder detail(int position, ErrorCode code) {
    return EventDetail.newBuilder()
        .setPosition(position)
        .setError(EventError.newBuilder().setCode(code).setRetryable(true));
  }

  /**
   * What a draining sidecar returns as DRAINING, or BLOCKED by such an event, goes to the next address. A
   * person whose event is still in flight waits; the caller sees neither code.
   */
  @Test
  void whatADrainingSidecarReturnsGoesToTheNextAddress() throws Exception {
    CompletableFuture<Void> release = new CompletableFuture<>();
    CompletableFuture<Void> holding = new CompletableFuture<>();
    ScriptedSidecar.Script draining =
        caller -> {
          caller.open();
          Batch batch = caller.batch().orElseThrow();
          caller.drain();
          ItemRef first = ItemRef.newBuilder().setBatchId(batch.getBatchId()).setPosition(1).build();
          EventDetail.Builder blocked = detail(2, ErrorCode.ERROR_CODE_BLOCKED);
          blocked.getErrorBuilder().setBlockedBy(first);
          caller.send(
              Results.newBuilder()
                  .setBatchId(batch.getBatchId())
                  .setFirstPosition(1)
                  .addStatuses(503)
                  .addStatuses(503)
                  .addDetails(detail(1, ErrorCode.ERROR_CODE_DRAINING))
                  .addDetails(blocked));
          holding.complete(null);
          release.join();
          caller.answer(batch, true, 0);
        };
    try (ScriptedSidecar first = new ScriptedSidecar(draining, ScriptedSidecar.ANSWERING);
        ScriptedSidecar second = new ScriptedSidecar(ScriptedSidecar.ANSWERING);
        CiosidecarClient client = client(first, second);
        EventStream<Integer> stream =
            client.stream(DESTINATION, person().linger(Duration.ofMillis(500)).build())) {
      BlockingQueue<Answer<Integer>> answers = new LinkedBlockingQueue<>();
      CompletableFuture<Void> done = stream.consume(answers::add);
      Event own = eventAt(0, first, second);
      stream.sendBatch(
          List.of(
              new BatchEntry<>(own, 0), new BatchEntry<>(own, 1), new BatchEntry<>(own, 2)));
      await(holding);
      stream.send(eventAt(1, first, second), 3);
      stream.finish();
      first.fallIll();
      assertThrows(TimeoutException.class, () -> done.get(300, TimeUnit.MILLISECONDS));
      assertFalse(events(second).contains(own.item().getJson().toStringUtf8()));
      release.complete(null);
      await(done);
      assertEquals(upTo(4), answers.stream().map(Answer::attachment).toList());
      assertTrue(answers.stream().allMatch(answer -> answer.result().status() == 200));
      assertEquals(3, count(first));
      assertEquals(3, count(second));
    }
  }

  /** A sidecar whose events were taken away is used at once when it returns, without another signal. */
  @Test
  void aReturnedSidecarGetsASingleEvent() throws Exception {
    CompletableFuture<Void> drain = new CompletableFuture<>();
    ScriptedSidecar.Script draining =
        caller -> {
          caller.open();
          drain.join();
          caller.drain();
          caller.batch();
        };
    try (ScriptedSidecar first = new ScriptedSidecar(draining, ScriptedSidecar.ANSWERING);
        ScriptedSidecar second = new ScriptedSidecar(ScriptedSidecar.ANSWERING);
        CiosidecarClient client = client(first, second);
        EventStream<CompletableFuture<Void>> stream =
            client.stream(DESTINATION, person().linger(Duration.ofMillis(400)).build())) {
      stream.consume(answer -> answer.attachment().complete(null));
      Event other = eventAt(1, first, second);
      CompletableFuture<Void> connected = new CompletableFuture<>();
      stream.send(other, connected);
      await(connected);
      Event own = eventAt(0, first, second);
      CompletableFuture<Void> moved = new CompletableFuture<>();
      stream.send(own, moved);
      drain.complete(null);
      await(moved);
      assertEquals(0, count(first));
      while (count(first) == 0) { // until the client is connected again; the test's time limit bounds it
        CompletableFuture<Void> answered = new CompletableFuture<>();
        stream.send(own, answered);
        await(answered);
      }
    }
  }

  /** A refusal by one sidecar, which another attempt would meet again, fails the stream. */
  @Test
  void aRefusalByOneSidecarFailsTheStream() throws Exception {
    try (ScriptedSidecar good = new ScriptedSidecar(ScriptedSidecar.ANSWERING);
        ScriptedSidecar bad =
            new ScriptedSidecar(
                caller -> {
                  caller.receive();
                  throw caller.fail(Status.PERMISSION_DENIED.withDescription("not you"));
                });
        CiosidecarClient client = client(good, bad);
        EventStream<Integer> stream = client.stream(DESTINATION, PERSON)) {
      CompletableFuture<Void> done = stream.consume(answer -> {});
      ExecutionException failure = assertThrows(ExecutionException.class, () -> await(done));
      SidecarException reason = assertInstanceOf(SidecarException.class, failure.getCause());
      assertEquals(Status.Code.PERMISSION_DENIED, reason.code());
      assertThrows(SidecarException.class, () -> stream.send(track("u1"), 1));
    }
  }

  /** A stream does not give up while one sidecar is there, and does when none is. */
  @Test
  void aStreamGivesUpOnlyWithoutAnySidecar() throws Exception {
    try (SidecarProcess good = SidecarProcess.start();
        CiosidecarClient client = client(good.address(), "127.0.0.1:1");
        EventStream<CompletableFuture<Void>> stream =
            client.stream(DESTINATION, person().reconnectFor(Duration.ofMillis(200)).build())) {
      CompletableFuture<Void> done = stream.consume(answer -> answer.attachment().complete(null));
      long endsNanos = System.nanoTime() + Duration.ofSeconds(1).toNanos();
      while (System.nanoTime() - endsNanos < 0 || stream.reconnects() < 2) {
        CompletableFuture<Void> answered = new CompletableFuture<>();
        stream.send(track("u" + System.nanoTime() % 50), answered);
        await(answered);
      }
      assertFalse(done.isDone());
      good.kill();
      ExecutionException failure = assertThrows(ExecutionException.class, () -> await(done));
      SidecarException reason = assertInstanceOf(SidecarException.class, failure.getCause());
      assertEquals(Status.Code.UNAVAILABLE, reason.code());
    }
  }

  /** An event that ends every call, at whichever sidecar, is not sent for ever. */
  @Test
  void sidecarsThatAnswerNothingAreGivenUp() throws Exception {
    ScriptedSidecar.Script failing =
        caller -> {
          caller.open();
          if (caller.batch().isPresent()) {
            throw caller.fail(Status.INTERNAL);
          }
        };
    try (ScriptedSidecar first = new ScriptedSidecar(failing);
        ScriptedSidecar second = new ScriptedSidecar(failing);
        CiosidecarClient client = client(first, second);
        EventStream<Integer> stream =
            client.stream(DESTINATION, person().reconnectFor(Duration.ofMillis(300)).build())) {
      CompletableFuture<Void> done = stream.consume(answer -> {});
      stream.send(track("u1"), 1);
      ExecutionException failure = assertThrows(ExecutionException.class, () -> await(done));
      SidecarException reason = assertInstanceOf(SidecarException.class, failure.getCause());
      assertEquals(Status.Code.UNAVAILABLE, reason.code());
      assertTrue(count(first) > 0 && count(second) > 0);
    }
  }

  /** While no sidecar is there, events wait; a sidecar that returns gets them in order. */
  @Test
  void eventsWaitWhileNoSidecarIsThere() throws Exception {
    try (SidecarProcess first = SidecarProcess.start();
        SidecarProcess second = SidecarProcess.start();
        CiosidecarClient client = client(first.address(), second.address());
        EventStream<Integer> stream = client.stream(DESTINATION, PERSON)) {
      BlockingQueue<Integer> answers = new LinkedBlockingQueue<>();
      CompletableFuture<Void> done = stream.consume(answer -> answers.add(answer.attachment()));
      stream.send(track("u0"), 0);
      assertEquals(0, answers.poll(Played.TIMEOUT_S, TimeUnit.SECONDS));
      first.kill();
      second.kill();
      for (int index = 1; index < 100; index++) {
        stream.send(track("u" + index % 7), index);
      }
      stream.finish();
      try (SidecarProcess returned = SidecarProcess.listening(second.address())) {
        await(done);
        assertEquals(99, answers.size());
        assertEquals(upTo(100).subList(1, 100), List.copyOf(answers));
        returned.kill();
      }
    }
  }

  /** The limit of outstanding events is that of the stream, not of each sidecar. */
  @Test
  void outstandingEventsAreLimitedForTheStream() throws Exception {
    List<Batch> held = new CopyOnWriteArrayList<>();
    BlockingQueue<Integer> sizes = new LinkedBlockingQueue<>();
    CompletableFuture<Void> release = new CompletableFuture<>();
    ScriptedSidecar.Script holding =
        caller -> {
          caller.open();
          while (!release.isDone()) {
            Batch batch = caller.batch().orElseThrow();
            held.add(batch);
            sizes.add(batch.getItemsCount());
            release.join();
            caller.answer(batch);
          }
          caller.answerEverything();
        };
    try (ScriptedSidecar first = new ScriptedSidecar(holding);
        ScriptedSidecar second = new ScriptedSidecar(holding);
        CiosidecarClient client = client(first, second)) {
      StreamOptions options = person().maxOutstandingEvents(10).maxBatchEvents(5).build();
      List<Event> events = new ArrayList<>();
      for (int index : upTo(30)) {
        events.add(eventAt(index % 2, first, second));
      }
      CompletableFuture<Played> played =
          CompletableFuture.supplyAsync(
              () -> {
                try {
                  return play(client, events, options);
                } catch (Exception failure) {
                  throw new IllegalStateException(failure);
                }
              });
      for (int index = 0; index < 2; index++) {
        assertTrue(sizes.poll(Played.TIMEOUT_S, TimeUnit.SECONDS) != null);
      }
      assertThrows(
          TimeoutException.class, () -> played.get(200, TimeUnit.MILLISECONDS));
      assertTrue(held.stream().mapToInt(Batch::getItemsCount).sum() <= 10);
      release.complete(null);
      assertEquals(upTo(30), await(played).attachments());
    }
  }

  /** Without several addresses, a stream with affinity is refused. */
  @Test
  void affinityNeedsSeveralAddresses() {
    for (String[] addresses :
        List.of(
            new String[] {"127.0.0.1:1"},
            new String[] {"dns:///localhost:1"},
            new String[] {"127.0.0.1:1", "127.0.0.1:1"})) {
      try (CiosidecarClient client = client(addresses)) {
        assertThrows(IllegalArgumentException.class, () -> client.stream(DESTINATION, PERSON));
        assertThrows(IllegalArgumentException.class, () -> client.stream(PERSON));
      }
    }
    CiosidecarClient client = client("127.0.0.1:1", "127.0.0.1:2");
    client.close();
    assertThrows(IllegalStateException.class, () -> client.stream(DESTINATION, PERSON));
    assertThrows(NullPointerException.class, () -> StreamOptions.builder().affinity(null));
    assertEquals(Affinity.NONE, StreamOptions.defaults().affinity());
  }

  /** A stream that ends without events, and one that is cancelled, leave no thread behind. */
  @Test
  void anEmptyAndACancelledStreamEnd() throws Exception {
    try (ScriptedSidecar good = new ScriptedSidecar(ScriptedSidecar.ANSWERING);
        CiosidecarClient client = client(good.address(), "127.0.0.1:1")) {
      assertEquals(Collections.emptyList(), play(client, List.of(), PERSON).answers());
      try (EventStream<Integer> stream = client.stream(DESTINATION, PERSON)) {
        CompletableFuture<Void> done = stream.consume(answer -> {});
        stream.send(track("u1"), 1);
        stream.cancel();
        ExecutionException failure = assertThrows(ExecutionException.class, () -> await(done));
        assertEquals(
            Status.Code.CANCELLED, assertInstanceOf(SidecarException.class, failure.getCause()).code());
      }
      assertFalse(
          Thread.getAllStackTraces().keySet().stream()
              .anyMatch(thread -> thread.getName().equals("ciosidecar-stream")));
    }
  }
}

package dev.ciosidecar;

import static dev.ciosidecar.Played.DESTINATION;
import static dev.ciosidecar.Played.TRACK;
import static dev.ciosidecar.Played.await;
import static dev.ciosidecar.Played.failure;
import static dev.ciosidecar.Played.play;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ListValue;
import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import dev.ciosidecar.v1.BatchItem;
import dev.ciosidecar.v1.JsonObject;
import dev.ciosidecar.v1.RudderEvent;
import dev.ciosidecar.v1.TransformStreamRequest;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Faults inside a stream: no caller waits for ever, and the other events keep their results. */
@Timeout(120)
class FaultsTest {
  private static final Event BAD = Event.json("bad");

  /** Returns a track whose properties nest so many levels deep, as fields. */
  private static RudderEvent nested(int levels, boolean list) {
    Value value = Value.newBuilder().setNumberValue(1).build();
    for (int level = 1; level < levels; level++) {
      value =
          list
              ? Value.newBuilder().setListValue(ListValue.newBuilder().addValues(value)).build()
              : Value.newBuilder().setStructValue(struct(value)).build();
    }
    return RudderEvent.newBuilder()
        .setType("track")
        .setUserId("u1")
        .setEvent("Deep")
        .setProperties(JsonObject.newBuilder().setFields(struct(value)))
        .build();
  }

  private static Struct struct(Value value) {
    return Struct.newBuilder().putFields("a", value).build();
  }

  /**
   * An event with the deepest allowed nesting is answered, and so are the others. One level more is refused.
   */
  @ParameterizedTest
  @CsvSource({"32, false", "47, true"})
  void anEventNestedTooDeeplyIsRefusedWhereItIsMade(int deepest, boolean list) throws Exception {
    for (int levels : new int[] {deepest + 1, 60, 1000}) {
      RudderEvent deep = nested(levels, list);
      assertTrue(
          assertThrows(IllegalArgumentException.class, () -> Event.typed(deep))
              .getMessage()
              .contains("nested too deeply"));
    }
    try (SidecarProcess sidecar = SidecarProcess.start()) {
      List<Event> events = List.of(Event.typed(nested(deepest, list)), TRACK);
      assertEquals(
          List.of(200, 200),
          play(sidecar.address(), events, StreamOptions.defaults()).statuses());
    }
  }

  /** An event that is too large for a message is refused when it is made. */
  @Test
  void anEventLargerThanAnyMessageIsRefusedWhereItIsMade() {
    byte[] large = new byte[64 << 20];
    assertThrows(IllegalArgumentException.class, () -> Event.json(large));
  }

  /** An interceptor that throws when the bad event is sent. */
  private record Failing(CountDownLatch failed) implements ClientInterceptor {
    @Override
    public <Q, R> ClientCall<Q, R> interceptCall(
        MethodDescriptor<Q, R> method, CallOptions options, Channel next) {
      return new SimpleForwardingClientCall<>(next.newCall(method, options)) {
        @Override
        public void sendMessage(Q message) {
          if (message instanceof TransformStreamRequest request
              && request.getBatch().getItemsList().stream()
                  .map(BatchItem::getJson)
                  .anyMatch(BAD.item().getJson()::equals)) {
            failed.countDown();
            throw new IllegalStateException("scripted");
          }
          super.sendMessage(message);
        }
      };
    }
  }

  /** After a fault while sending, another call answers the earlier events. Then the stream fails. */
  @Test
  void aSenderThatFailsEndsTheStreamWithItsError() throws Exception {
    CountDownLatch failed = new CountDownLatch(1);
    ScriptedSidecar.Script first =
        caller -> {
          caller.open();
          caller.batch();
          failed.await();
          caller.batch();
        };
    try (ScriptedSidecar sidecar = new ScriptedSidecar(first, ScriptedSidecar.ANSWERING);
        CiosidecarClient client =
            CiosidecarClient.builder()
                .addresses(sidecar.address())
                .intercept(new Failing(failed))
                .build();
        EventStream<String> stream =
            client.stream(DESTINATION, StreamOptions.builder().maxBatchEvents(1).build())) {
      List<String> answered = new ArrayList<>();
      CompletableFuture<Void> done = stream.consume(answer -> answered.add(answer.attachment()));
      stream.send(TRACK, "good");
      stream.send(BAD, "bad");
      SidecarException reason =
          (SidecarException) assertThrows(ExecutionException.class, () -> await(done)).getCause();
      assertEquals(Status.Code.INTERNAL, reason.code());
      assertTrue(reason.details().contains("scripted"), reason.details());
      assertEquals(List.of("good"), answered);
      assertThrows(SidecarException.class, () -> stream.send(TRACK, "more"));
      assertEquals(2, sidecar.callers.size());
      assertEquals(1, sidecar.callers.get(1).batches.size());
    }
  }

  /** With affinity, a fault while sending leaves the results of all other events too. */
  @Test
  void aSenderThatFailsEndsAStreamWithAffinity() throws Exception {
    try (ScriptedSidecar first = new ScriptedSidecar(ScriptedSidecar.ANSWERING);
        ScriptedSidecar second = new ScriptedSidecar(ScriptedSidecar.ANSWERING);
        CiosidecarClient client =
            CiosidecarClient.builder()
                .addresses(first.address(), second.address())
                .intercept(new Failing(new CountDownLatch(1)))
                .build();
        EventStream<Integer> stream =
            client.stream(
                DESTINATION,
                StreamOptions.builder().maxBatchEvents(1).affinity(Affinity.PERSON).build())) {
      List<Integer> answered = new ArrayList<>();
      CompletableFuture<Void> done = stream.consume(answer -> answered.add(answer.attachment()));
      List<BatchEntry<Integer>> entries = new ArrayList<>();
      for (int index = 0; index < 40; index++) {
        entries.add(new BatchEntry<>(Played.track("u" + index), index));
      }
      stream.sendBatch(entries);
      while (answersOf(first) + answersOf(second) < 40) { // the test's time limit bounds it
        Thread.onSpinWait();
      }
      stream.send(BAD, 40);
      SidecarException reason =
          (SidecarException) assertThrows(ExecutionException.class, () -> await(done)).getCause();
      assertEquals(Status.Code.INTERNAL, reason.code());
      assertEquals(Played.upTo(40), answered);
    }
  }

  private static int answersOf(ScriptedSidecar sidecar) {
    return sidecar.callers.stream().mapToInt(caller -> caller.batches.size()).sum();
  }

  /** If an incomplete batch is declared complete, the stream fails with UNKNOWN and does not reconnect. */
  @Test
  void anAnswerThatMakesNoSenseEndsTheStream() throws Exception {
    try (ScriptedSidecar sidecar =
        new ScriptedSidecar(
            caller -> {
              caller.open();
              caller.answer(caller.batch().orElseThrow(), true, 0);
              caller.answerEverything();
            })) {
      SidecarException reason =
          failure(
              sidecar.address(),
              List.of(TRACK, TRACK),
              StreamOptions.builder().linger(Duration.ofMillis(300)).build());
      assertEquals(Status.Code.UNKNOWN, reason.code());
      assertTrue(reason.details().contains("broke the contract"), reason.details());
      assertEquals(1, sidecar.callers.size());
    }
  }
}

package dev.ciosidecar;

import static dev.ciosidecar.Played.DESTINATION;
import static dev.ciosidecar.Played.TRACK;
import static dev.ciosidecar.Played.await;
import static dev.ciosidecar.Played.play;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import dev.ciosidecar.v1.Batch;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.MethodDescriptor;
import io.grpc.TlsChannelCredentials;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The Java form of the options and defaults that all four clients share: docs/clients.md has the table. */
@Timeout(120)
class OptionsTest {
  /** On an unordered stream, no answer waits for that of an earlier event. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void answersComeInTheRequestedOrder(boolean unordered) throws Exception {
    ScriptedSidecar.Script backwards =
        caller -> {
          caller.open();
          List<Batch> batches = new ArrayList<>();
          while (batches.size() < 3) {
            batches.add(caller.batch().orElseThrow());
          }
          for (int index = 2; index >= 0; index--) {
            caller.answer(batches.get(index));
          }
          caller.answerEverything();
        };
    try (ScriptedSidecar sidecar = new ScriptedSidecar(backwards)) {
      StreamOptions options =
          StreamOptions.builder().maxBatchEvents(1).unordered(unordered).build();
      Played played = play(sidecar.address(), List.of(TRACK, TRACK, TRACK), options);
      assertEquals(unordered ? List.of(2, 1, 0) : List.of(0, 1, 2), played.attachments());
    }
  }

  /** The events of sendBatch share a batch with no other, and their delivery has its own time limit. */
  @Test
  void aBatchOfTheCallerIsSentAloneWithItsOwnTimeout() throws Exception {
    try (ScriptedSidecar sidecar = new ScriptedSidecar(ScriptedSidecar.ANSWERING);
        CiosidecarClient client = CiosidecarClient.connect(sidecar.address());
        EventStream<String> stream =
            client.stream(
                DESTINATION, StreamOptions.builder().linger(Duration.ofSeconds(5)).build())) {
      List<String> answered = new ArrayList<>();
      CompletableFuture<Void> done = stream.consume(answer -> answered.add(answer.attachment()));
      stream.send(TRACK, "before");
      stream.sendBatch(
          List.of(new BatchEntry<>(TRACK, "one"), new BatchEntry<>(TRACK.withAttempt(3), "two")),
          Duration.ofMillis(1500));
      stream.send(TRACK, "after");
      assertThrows(
          IllegalArgumentException.class, () -> stream.sendBatch(List.of(), Duration.ZERO));
      stream.finish();
      await(done);
      assertEquals(List.of("before", "one", "two", "after"), answered);
      List<Batch> batches = List.copyOf(sidecar.callers.get(0).batches);
      assertEquals(List.of(1, 2, 1), batches.stream().map(Batch::getItemsCount).toList());
      assertEquals(List.of(false, true, false), batches.stream().map(Batch::hasTimeout).toList());
      assertEquals(500_000_000, batches.get(1).getTimeout().getNanos());
      assertEquals(3, batches.get(1).getItems(1).getAttempt());
    }
  }

  /** The default deadline of a call is 30 seconds. */
  @Test
  void theDefaultDeadlineIsThirtySeconds() throws Exception {
    List<Long> left = new ArrayList<>();
    ClientInterceptor recording =
        new ClientInterceptor() {
          @Override
          public <Q, R> ClientCall<Q, R> interceptCall(
              MethodDescriptor<Q, R> method, CallOptions options, Channel next) {
            left.add(options.getDeadline().timeRemaining(TimeUnit.SECONDS));
            return next.newCall(method, options);
          }
        };
    try (SidecarProcess sidecar = SidecarProcess.start();
        CiosidecarClient client =
            CiosidecarClient.builder().addresses(sidecar.address()).intercept(recording).build()) {
      client.capabilities();
      client.check(DESTINATION);
      client.transform(List.of(TRACK), DESTINATION);
      client.capabilities(Duration.ofSeconds(100));
      client.check(DESTINATION, false, Duration.ofSeconds(100));
    }
    assertTrue(left.subList(0, 3).stream().allMatch(seconds -> seconds >= 25 && seconds <= 30), left::toString);
    assertTrue(left.subList(3, 5).stream().allMatch(seconds -> seconds > 90), left::toString);
  }

  /** A result is ok if its status is 200, and with no other status. */
  @ParameterizedTest
  @ValueSource(ints = {200, 207, 298, 400, 503})
  void okIs200AndNothingElse(int status) {
    Result result =
        new Result(
            0,
            status,
            List.of(),
            Optional.empty(),
            List.of(),
            Optional.empty(),
            Optional.empty(),
            ByteString.EMPTY);
    assertEquals(status == 200, result.ok());
  }

  /** A malformed address is refused by build, before any call. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "", "localhost", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "http://127.0.0.1:1",
        "host name:1", "unix:", "dns:///name", "::1:50550", "127.0.0.1:port", "127.0.0.1:1\n"
      })
  void aMalformedAddressIsRefusedWhenItIsGiven(String address) {
    for (String[] addresses : new String[][] {{address}, {"127.0.0.1:1", address}}) {
      CiosidecarClient.Builder builder = CiosidecarClient.builder().addresses(addresses);
      assertTrue(
          assertThrows(IllegalArgumentException.class, builder::build)
              .getMessage()
              .contains("no address"));
    }
  }

  /** Credentials with a unix socket are refused: a sidecar has no TLS there. */
  @Test
  void aUnixSocketHasNoTls() {
    CiosidecarClient.Builder builder =
        CiosidecarClient.builder()
            .addresses("unix:/run/sidecar.sock")
            .credentials(TlsChannelCredentials.create());
    assertThrows(IllegalArgumentException.class, builder::build);
  }

  /** Impossible options are refused when they are set. */
  @Test
  void impossibleOptionsAreRefused() {
    Stream.<Runnable>of(
            () -> StreamOptions.builder().maxBatchEvents(0),
            () -> StreamOptions.builder().maxBatchBytes(0),
            () -> StreamOptions.builder().maxOutstandingEvents(-1),
            () -> StreamOptions.builder().maxOutstandingBytes(0),
            () -> StreamOptions.builder().linger(Duration.ofMillis(-1)),
            () -> StreamOptions.builder().reconnectFor(Duration.ofMillis(-1)),
            () -> StreamOptions.builder().deadline(Duration.ofMillis(-1)),
            () -> StreamOptions.builder().maxReceiveBytes(65_535),
            () -> StreamOptions.builder().maxReceiveBytes((64 << 20) + 1),
            () -> DeliveryOptions.defaults().timeout(Duration.ZERO))
        .forEach(setting -> assertThrows(IllegalArgumentException.class, setting::run));
  }

  /** The sidecar's log distinguishes two destinations with the same config and different names. */
  @Test
  void theSameConfigUnderAnotherNameIsAnotherDestination() {
    assertFalse(DESTINATION.named("a").equals(DESTINATION.named("b")));
    assertEquals(DESTINATION.named("a"), DESTINATION.named("a"));
    assertEquals(SourceConnection.json("{}"), SourceConnection.json("{}"));
  }
}

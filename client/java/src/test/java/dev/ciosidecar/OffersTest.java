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

/** What all four clients offer, in Java: docs/clients.md has the table. */
@Timeout(120)
class OffersTest {
  /** Unordered, the second event's answer does not wait for the first's. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void answersComeAsTheyAreThereWhereThatIsAskedFor(boolean unordered) throws Exception {
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

  /** What is sent together shares messages with nothing else, and its delivery has its own bound. */
  @Test
  void aBatchOfTheCallersTravelsAloneUnderItsOwnTimeout() throws Exception {
    try (ScriptedSidecar sidecar = new ScriptedSidecar(ScriptedSidecar.ANSWERING);
        CiosidecarClient client = CiosidecarClient.connect(sidecar.address());
        EventStream<String> stream =
            client.stream(
                DESTINATION, StreamOptions.builder().linger(Duration.ofSeconds(5)).build())) {
      List<String> answered = new ArrayList<>();
      CompletableFuture<Void> done = stream.consume(one -> answered.add(one.attachment()));
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

  /** Nobody set one. */
  @Test
  void everyCallMayTakeThirtySeconds() throws Exception {
    List<Long> left = new ArrayList<>();
    ClientInterceptor asks =
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
            CiosidecarClient.builder().addresses(sidecar.address()).intercept(asks).build()) {
      client.capabilities();
      client.check(DESTINATION);
      client.transform(List.of(TRACK), DESTINATION);
      client.capabilities(Duration.ofSeconds(100));
      client.check(DESTINATION, false, Duration.ofSeconds(100));
    }
    assertTrue(left.subList(0, 3).stream().allMatch(one -> one >= 25 && one <= 30), left::toString);
    assertTrue(left.subList(3, 5).stream().allMatch(one -> one > 90), left::toString);
  }

  /** A filtered event is in order, and yet nothing of it was transformed. */
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

  /** Not by a call that goes nowhere for a minute. */
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

  /** A sidecar speaks none there: the calls could only fail, or be less safe than they look. */
  @Test
  void aUnixSocketHasNoTls() {
    CiosidecarClient.Builder builder =
        CiosidecarClient.builder()
            .addresses("unix:/run/sidecar.sock")
            .credentials(TlsChannelCredentials.create());
    assertThrows(IllegalArgumentException.class, builder::build);
  }

  /** Where they are given, by name. */
  @Test
  void optionsThatCannotBeAreRefused() {
    Stream.<Runnable>of(
            () -> StreamOptions.builder().maxBatchEvents(0),
            () -> StreamOptions.builder().maxBatchBytes(0),
            () -> StreamOptions.builder().maxOwedEvents(-1),
            () -> StreamOptions.builder().maxOwedBytes(0),
            () -> StreamOptions.builder().linger(Duration.ofMillis(-1)),
            () -> StreamOptions.builder().reconnectFor(Duration.ofMillis(-1)),
            () -> StreamOptions.builder().deadline(Duration.ofMillis(-1)),
            () -> StreamOptions.builder().maxReceiveBytes(65_535),
            () -> StreamOptions.builder().maxReceiveBytes((64 << 20) + 1),
            () -> Deliver.defaults().timeout(Duration.ZERO))
        .forEach(one -> assertThrows(IllegalArgumentException.class, one::run));
  }

  /** Two with the same config under two names are told apart in the sidecar's log. */
  @Test
  void theSameConfigUnderAnotherNameIsAnotherDestination() {
    assertFalse(DESTINATION.named("a").equals(DESTINATION.named("b")));
    assertEquals(DESTINATION.named("a"), DESTINATION.named("a"));
    assertFalse(Connection.json("{}").named("a").equals(Connection.json("{}")));
  }
}

package dev.ciosidecar;

import static dev.ciosidecar.Played.DESTINATION;
import static dev.ciosidecar.Played.TRACK;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import dev.ciosidecar.v1.DeliverRequest;
import dev.ciosidecar.v1.DeliverResponse;
import dev.ciosidecar.v1.ErrorCode;
import dev.ciosidecar.v1.EventDetail;
import dev.ciosidecar.v1.Results;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The unary Deliver, to a scripted sidecar. DeliveryTest has the real one. */
@Timeout(120)
class DeliverTest {
  private static final Event PREPARED =
      Event.prepared(
          new ApiRequest(
              "PUT", "https://track.customer.io/x", "x", Map.of(), ByteString.EMPTY, List.of()));

  /** Records the seconds that each call may take. */
  private record Deadlines(List<Long> seconds) implements ClientInterceptor {
    @Override
    public <Q, R> ClientCall<Q, R> interceptCall(
        MethodDescriptor<Q, R> method, CallOptions options, Channel next) {
      seconds.add(options.getDeadline().timeRemaining(TimeUnit.SECONDS));
      return next.newCall(method, options);
    }
  }

  private static DeliverResponse answering(Results.Builder results) {
    return DeliverResponse.newBuilder().setResults(results.setBatchComplete(true)).build();
  }

  /** The batch, its destinations and connections, and the options reach the sidecar. */
  @Test
  void theBatchAndTheOptionsAreSent() throws Exception {
    SourceConnection rows = SourceConnection.json("{\"object\":\"person\"}");
    try (ScriptedSidecar sidecar = new ScriptedSidecar();
        CiosidecarClient client = CiosidecarClient.connect(sidecar.address())) {
      sidecar.answerDeliver(answering(Results.newBuilder().addAllStatuses(List.of(200, 200))));
      DeliveryOptions options =
          DeliveryOptions.defaults()
              .detailLevel(DetailLevel.NOTABLE)
              .includeRequests(true)
              .timeout(Duration.ofMillis(1500));
      Event event = TRACK.withDestination(DESTINATION.named("shop")).withConnection(rows);
      client.deliver(List.of(event, PREPARED), options);
      client.deliver(List.of(TRACK, TRACK), DESTINATION);
      DeliverRequest first = sidecar.delivers.get(0);
      assertEquals("shop", first.getDestinations(0).getDestinationRef());
      assertEquals(1, first.getDestinations(0).getReferenceId());
      assertEquals(1, first.getConnections(0).getReferenceId());
      assertEquals(1, first.getBatch().getItems(0).getDestination());
      assertEquals(1, first.getBatch().getItems(0).getConnection());
      assertEquals(0, first.getBatch().getItems(1).getDestination());
      assertEquals("PUT", first.getBatch().getItems(1).getPrepared().getMethod());
      assertEquals(
          dev.ciosidecar.v1.DetailLevel.DETAIL_LEVEL_NOTABLE, first.getDelivery().getDetailLevel());
      assertTrue(first.getDelivery().getIncludeRequests());
      assertEquals(500_000_000, first.getDelivery().getDefaultTimeout().getNanos());
      DeliverRequest second = sidecar.delivers.get(1);
      assertEquals(1, second.getDestinationsCount());
      assertEquals(
          dev.ciosidecar.v1.DetailLevel.DETAIL_LEVEL_ALL, second.getDelivery().getDetailLevel());
      assertTrue(!second.getDelivery().hasDefaultTimeout());
    }
  }

  /** Results contain the delivery report and the error, with positions in the batch. */
  @Test
  void resultsAreThoseOfTheBatch() throws Exception {
    EventDetail.Builder blocked =
        EventDetail.newBuilder()
            .setPosition(1)
            .setError(
                dev.ciosidecar.v1.EventError.newBuilder()
                    .setCode(ErrorCode.ERROR_CODE_BLOCKED)
                    .setRetryable(true)
                    .setBlockedBy(dev.ciosidecar.v1.ItemRef.getDefaultInstance()));
    EventDetail.Builder failed =
        EventDetail.newBuilder()
            .setDelivery(dev.ciosidecar.v1.DeliveryReport.newBuilder().setHttpStatus(502));
    try (ScriptedSidecar sidecar = new ScriptedSidecar();
        CiosidecarClient client = CiosidecarClient.connect(sidecar.address())) {
      sidecar.answerDeliver(
          answering(
              Results.newBuilder()
                  .addAllStatuses(List.of(502, 503))
                  .addDetails(failed)
                  .addDetails(blocked)));
      List<Result> results = client.deliver(List.of(TRACK, TRACK), DESTINATION);
      assertEquals(502, results.get(0).delivery().orElseThrow().httpStatus());
      assertEquals("BLOCKED", results.get(1).error().orElseThrow().code());
      assertEquals(0, results.get(1).error().orElseThrow().blockedBy().orElseThrow());
    }
  }

  /** A failed call is not retried: a retry could deliver events twice. */
  @Test
  void aFailedCallIsNotRetried() throws Exception {
    try (ScriptedSidecar unavailable = new ScriptedSidecar();
        CiosidecarClient client = CiosidecarClient.connect(unavailable.address())) {
      SidecarException failure =
          assertThrows(
              SidecarException.class, () -> client.deliver(List.of(TRACK), DESTINATION));
      assertEquals(Status.Code.UNAVAILABLE, failure.code());
      assertEquals(1, unavailable.delivers.size());
    }
  }

  /** The call may take 30 seconds more than the delivery, which may take 60 seconds by default. */
  @Test
  void theDeadlineLeavesTimeForTheDelivery() throws Exception {
    Deadlines deadlines = new Deadlines(new CopyOnWriteArrayList<>());
    try (ScriptedSidecar sidecar = new ScriptedSidecar();
        CiosidecarClient client =
            CiosidecarClient.builder().addresses(sidecar.address()).intercept(deadlines).build()) {
      sidecar.answerDeliver(answering(Results.newBuilder().addStatuses(200)));
      DeliveryOptions hour = DeliveryOptions.defaults().timeout(Duration.ofSeconds(3600));
      client.deliver(List.of(TRACK), DESTINATION);
      client.deliver(List.of(TRACK), DESTINATION, hour);
      client.deliver(List.of(TRACK), DESTINATION, hour, Duration.ofSeconds(20));
      client.deliver(List.of(PREPARED), hour, Duration.ofSeconds(20));
    }
    List<Long> limits = List.of(90L, 3630L, 20L, 20L);
    for (int call = 0; call < limits.size(); call++) {
      long seconds = deadlines.seconds().get(call);
      assertTrue(seconds <= limits.get(call) && seconds > limits.get(call) - 10, deadlines::toString);
    }
  }

  /** An event without a destination that is no prepared request is refused before the call. */
  @Test
  void anEventNeedsADestination() throws Exception {
    try (ScriptedSidecar sidecar = new ScriptedSidecar();
        CiosidecarClient client = CiosidecarClient.connect(sidecar.address())) {
      assertThrows(
          IllegalArgumentException.class,
          () -> client.deliver(List.of(PREPARED, TRACK), DeliveryOptions.defaults()));
      assertEquals(0, sidecar.delivers.size());
    }
  }
}

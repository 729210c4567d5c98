package dev.ciosidecar;

import static dev.ciosidecar.Played.TRACK;
import static dev.ciosidecar.Played.play;
import static dev.ciosidecar.Played.tracks;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import dev.ciosidecar.v1.Batch;
import dev.ciosidecar.v1.DetailLevel;
import dev.ciosidecar.v1.ErrorCode;
import dev.ciosidecar.v1.EventDetail;
import dev.ciosidecar.v1.ItemRef;
import java.time.Duration;
import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Results of streams with delivery, from a scripted sidecar. */
@Timeout(120)
class DeliveryResultsTest {
  private static final Duration LONG_LINGER = Duration.ofMillis(500);

  /** A stream with delivery opens with its options, and results contain the delivery report. */
  @Test
  void aStreamThatDelivers() throws Exception {
    List<DetailLevel> requested = new CopyOnWriteArrayList<>();
    try (ScriptedSidecar sidecar =
        new ScriptedSidecar(
            caller -> {
              requested.add(caller.open().getDelivery().getDetailLevel());
              caller.detail(
                  caller.batch().orElseThrow(),
                  503,
                  EventDetail.newBuilder()
                      .setDelivery(
                          dev.ciosidecar.v1.DeliveryReport.newBuilder()
                              .setAttempts(3)
                              .setHttpStatus(502)
                              .setReason("bad gateway")
                              .addFailedItems(
                                  dev.ciosidecar.v1.FailedItem.newBuilder()
                                      .setIndex(1)
                                      .setReason("unknown")
                                      .setField("name"))
                              .setLatency(com.google.protobuf.Duration.newBuilder().setSeconds(2))));
            })) {
      StreamOptions options =
          StreamOptions.builder()
              .delivery(DeliveryOptions.defaults())
              .build();
      Result result = play(sidecar.address(), List.of(TRACK), options).answers().get(0).result();
      assertFalse(result.ok());
      assertEquals(
          new DeliveryReport(
              3,
              502,
              "bad gateway",
              "",
              Duration.ofSeconds(2),
              List.of(new FailedItem(1, "unknown", "name"))),
          result.delivery().orElseThrow());
    }
    assertEquals(List.of(DetailLevel.DETAIL_LEVEL_ALL), requested);
  }

  /** A BLOCKED event names the event that failed by its position on the stream, also in an earlier batch. */
  @Test
  void aBlockedEventNamesTheEventThatFailed() throws Exception {
    try (ScriptedSidecar sidecar =
        new ScriptedSidecar(
            caller -> {
              caller.open();
              Batch first = caller.batch().orElseThrow();
              caller.answer(first);
              Batch second = caller.batch().orElseThrow();
              caller.detail(
                  second,
                  503,
                  EventDetail.newBuilder()
                      .setError(
                          dev.ciosidecar.v1.EventError.newBuilder()
                              .setCode(ErrorCode.ERROR_CODE_BLOCKED)
                              .setBlockedBy(
                                  ItemRef.newBuilder()
                                      .setBatchId(first.getBatchId())
                                      .setPosition(1))));
            })) {
      StreamOptions options =
          StreamOptions.builder().maxBatchEvents(2).linger(LONG_LINGER).build();
      EventError error =
          play(sidecar.address(), tracks(3), options)
              .answers()
              .get(2)
              .result()
              .error()
              .orElseThrow();
      assertEquals("BLOCKED", error.code());
      assertEquals(OptionalLong.of(1), error.blockedBy());
    }
  }
}

package dev.ciosidecar;

import static dev.ciosidecar.Played.TRACK;
import static dev.ciosidecar.Played.play;
import static dev.ciosidecar.Played.tracks;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import dev.ciosidecar.v1.Batch;
import dev.ciosidecar.v1.Detail;
import dev.ciosidecar.v1.ErrorCode;
import dev.ciosidecar.v1.ItemRef;
import java.time.Duration;
import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What the results of a stream that delivers say, whatever the sidecar says. */
@Timeout(120)
class DeliveryResultsTest {
  private static final Duration LONG_LINGER = Duration.ofMillis(500);

  /** A stream that delivers says so when it opens; its results say what Customer.io answered. */
  @Test
  void aStreamThatDelivers() throws Exception {
    List<Boolean> asked = new CopyOnWriteArrayList<>();
    try (ScriptedSidecar sidecar =
        new ScriptedSidecar(
            caller -> {
              asked.add(caller.open().getDelivery().getDetailForEveryItem());
              caller.detail(
                  caller.batch().orElseThrow(),
                  503,
                  Detail.newBuilder()
                      .setDelivery(
                          dev.ciosidecar.v1.Delivery.newBuilder()
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
              .delivery(Deliver.defaults())
              .build();
      Result result = play(sidecar.address(), List.of(TRACK), options).answers().get(0).result();
      assertFalse(result.ok());
      assertEquals(
          new Delivery(
              3,
              502,
              "bad gateway",
              "",
              Duration.ofSeconds(2),
              List.of(new FailedItem(1, "unknown", "name"))),
          result.delivery().orElseThrow());
    }
    assertEquals(List.of(true), asked);
  }

  /** An event that waits for one that failed names it by its place on the stream, batches ago. */
  @Test
  void anEventSaysWhichOneBlocksIt() throws Exception {
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
                  Detail.newBuilder()
                      .setError(
                          dev.ciosidecar.v1.Error.newBuilder()
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

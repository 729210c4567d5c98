package dev.ciosidecar;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Status;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** The delays between the connections of a stream. */
class ReconnectBackoffTest {
  private static final long SECOND = 1_000_000_000L;

  /** A random generator that always returns the highest number. */
  private static final class Highest extends Random {
    private static final long serialVersionUID = 1L;

    @Override
    public long nextLong(long bound) {
      return bound - 1;
    }
  }

  private final ReconnectBackoff backoff =
      new ReconnectBackoff(Duration.ofSeconds(60), new Highest(), connected(), 0);

  private static FirstConnection connected() {
    FirstConnection first = new FirstConnection(Duration.ofSeconds(10), List.of("unix:/s"));
    first.answered();
    return first;
  }

  private long nextDelayMs(long nowNanos, long lastedNanos, boolean progress) {
    return backoff.nextDelayMs(nowNanos, lastedNanos, progress, "gone");
  }

  /** The limit of the delay doubles from 0.1 s to 5 s. */
  @Test
  void delaysGrow() {
    long[] limitsMs = {100, 200, 400, 800, 1600, 3200, 5000, 5000};
    for (long limitMs : limitsMs) {
      assertEquals(limitMs, nextDelayMs(0, 0, false));
    }
  }

  /** The delay is random up to its limit, so that callers do not reconnect at the same time. */
  @Test
  void delaysAreJittered() {
    long different =
        new Random(7)
            .longs(50)
            .map(
                seed ->
                    new ReconnectBackoff(Duration.ZERO, new Random(seed), connected(), 0)
                        .nextDelayMs(0, 0, false, ""))
            .peek(delay -> assertTrue(delay >= 0 && delay <= ReconnectBackoff.FIRST_DELAY_MS))
            .distinct()
            .count();
    assertTrue(different > 10);
  }

  /** After an answer, or a connection that lasted, the backoff starts over. */
  @Test
  void progressResetsTheBackoff() {
    nextDelayMs(0, 0, false);
    nextDelayMs(0, 0, false);
    assertEquals(100, nextDelayMs(59 * SECOND, 0, true));
    nextDelayMs(60 * SECOND, 0, false);
    assertEquals(100, nextDelayMs(118 * SECOND, 6 * SECOND, false));
  }

  /** The configured time begins no earlier than the last connection of another lane. */
  @Test
  void anotherConnectionPostponesTheFailure() {
    nextDelayMs(0, 0, false);
    backoff.connectedAt(50 * SECOND);
    backoff.connectedAt(20 * SECOND);
    nextDelayMs(110 * SECOND, 0, false);
    assertThrows(SidecarException.class, () -> nextDelayMs(110 * SECOND + 1, 0, false));
  }

  /** Without progress, the backoff fails after the configured time. */
  @Test
  void theBackoffFailsInTheEnd() {
    nextDelayMs(0, 0, false);
    nextDelayMs(60 * SECOND, 0, false);
    SidecarException failure =
        assertThrows(SidecarException.class, () -> nextDelayMs(60 * SECOND + 1, 0, false));
    assertEquals(Status.Code.UNAVAILABLE, failure.code());
  }
}

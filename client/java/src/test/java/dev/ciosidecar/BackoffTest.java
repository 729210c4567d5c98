package dev.ciosidecar;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Status;
import java.time.Duration;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** The pauses between one connection and the next. */
class BackoffTest {
  private static final long SECOND = 1_000_000_000L;

  /** Dice that always fall on the highest side. */
  private static final class Highest extends Random {
    private static final long serialVersionUID = 1L;

    @Override
    public long nextLong(long bound) {
      return bound - 1;
    }
  }

  private final Backoff backoff = new Backoff(Duration.ofSeconds(60), new Highest());

  private long pauseMs(long nowNanos, long lastedNanos, boolean progress) {
    return backoff.pauseMs(nowNanos, lastedNanos, progress, "gone");
  }

  /** The limit of a pause doubles from 0.1 s to 5 s. */
  @Test
  void pausesGrow() {
    long[] limitsMs = {100, 200, 400, 800, 1600, 3200, 5000, 5000};
    for (long limitMs : limitsMs) {
      assertEquals(limitMs, pauseMs(0, 0, false));
    }
  }

  /** A pause is anywhere up to its limit, so that callers do not come back all at once. */
  @Test
  void pausesAreJittered() {
    long different =
        new Random(7)
            .longs(50)
            .map(seed -> new Backoff(Duration.ZERO, new Random(seed)).pauseMs(0, 0, false, ""))
            .peek(pause -> assertTrue(pause >= 0 && pause <= Backoff.FIRST_PAUSE_MS))
            .distinct()
            .count();
    assertTrue(different > 10);
  }

  /** An answer, or a connection that lasted, starts it anew. */
  @Test
  void progressStartsItAnew() {
    pauseMs(0, 0, false);
    pauseMs(0, 0, false);
    assertEquals(100, pauseMs(59 * SECOND, 0, true));
    pauseMs(60 * SECOND, 0, false);
    assertEquals(100, pauseMs(118 * SECOND, 6 * SECOND, false));
  }

  /** Without either, it is given up after the time it was told. */
  @Test
  void itIsGivenUp() {
    pauseMs(0, 0, false);
    pauseMs(60 * SECOND, 0, false);
    SidecarException failure =
        assertThrows(SidecarException.class, () -> pauseMs(60 * SECOND + 1, 0, false));
    assertEquals(Status.Code.UNAVAILABLE, failure.code());
  }
}

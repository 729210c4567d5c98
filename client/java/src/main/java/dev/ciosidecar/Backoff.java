package dev.ciosidecar;

import io.grpc.Status;
import java.time.Duration;
import java.util.Random;

/** How long to wait before connecting again, and when to give up. */
final class Backoff {
  static final long FIRST_PAUSE_MS = 100;
  static final long MAX_PAUSE_MS = 5_000;

  private final Duration reconnectFor;
  private final Random random;
  private long limitMs = FIRST_PAUSE_MS;
  private boolean failing;
  private long failingSinceNanos;

  Backoff(Duration reconnectFor, Random random) {
    this.reconnectFor = reconnectFor;
    this.random = random;
  }

  /**
   * After a connection: the pause in milliseconds, anywhere up to a limit that doubles.
   *
   * @param progress whether anything was answered on the connection
   * @throws SidecarException once there was no progress, and no connection that lasted, for as long as we
   *     were told to try
   */
  long pauseMs(long nowNanos, long lastedNanos, boolean progress, String reason) {
    if (progress || lastedNanos > MAX_PAUSE_MS * 1_000_000) {
      failing = false;
      limitMs = FIRST_PAUSE_MS;
    }
    if (!failing) {
      failing = true;
      failingSinceNanos = nowNanos;
    } else if (nowNanos - failingSinceNanos > reconnectFor.toNanos()) {
      throw new SidecarException(
          Status.Code.UNAVAILABLE, "no answer for " + reconnectFor.toMillis() + " ms: " + reason);
    }
    long pauseMs = random.nextLong(limitMs + 1);
    limitMs = Math.min(limitMs * 2, MAX_PAUSE_MS);
    return pauseMs;
  }
}

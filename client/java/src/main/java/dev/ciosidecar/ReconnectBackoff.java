package dev.ciosidecar;

import java.time.Duration;
import java.util.Random;

/** The delays between the connections of a stream: exponential backoff with full jitter. */
final class ReconnectBackoff {
  static final long FIRST_DELAY_MS = 100;
  static final long MAX_DELAY_MS = 5_000;

  private final Duration reconnectFor;
  private final Random random;
  private final FirstConnection first;
  private final long beganNanos;
  private long limitMs = FIRST_DELAY_MS;
  private boolean failing;
  private long failingSinceNanos;

  ReconnectBackoff(
      Duration reconnectFor, Random random, FirstConnection first, long beganNanos) {
    this.reconnectFor = reconnectFor;
    this.random = random;
    this.first = first;
    this.beganNanos = beganNanos;
  }

  /** Returns whether a connection had answers or lasted: the next one need not wait as long. */
  static boolean wasUseful(long lastedNanos, boolean progress) {
    return progress || lastedNanos > MAX_DELAY_MS * 1_000_000;
  }

  /** Notes that another lane of the stream had a connection: only a stream without any gives up. */
  void connectedAt(long nanos) {
    if (failing && nanos - failingSinceNanos > 0) {
      failingSinceNanos = nanos;
    }
  }

  /**
   * Returns the delay before the next connection, in milliseconds: random, up to a limit that doubles.
   *
   * @param nowNanos the current time
   * @param lastedNanos how long the last connection lasted
   * @param progress whether the sidecar answered anything on it
   * @param reason why the last connection ended, for people
   * @throws SidecarException if for {@code reconnectFor} there was no progress and no connection that lasted,
   *     or if no first connection came within its own time limit
   */
  long nextDelayMs(long nowNanos, long lastedNanos, boolean progress, String reason) {
    if (wasUseful(lastedNanos, progress)) {
      failing = false;
      limitMs = FIRST_DELAY_MS;
    }
    if (!failing) {
      failing = true;
      failingSinceNanos = nowNanos;
    } else if (nowNanos - failingSinceNanos > reconnectFor.toNanos()) {
      throw first.failure(reason, reconnectFor);
    }
    long delayMs = random.nextLong(limitMs + 1);
    limitMs = Math.min(limitMs * 2, MAX_DELAY_MS);
    return first.atMost(delayMs, nowNanos - beganNanos, reason);
  }
}

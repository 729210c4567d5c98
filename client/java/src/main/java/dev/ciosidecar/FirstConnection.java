package dev.ciosidecar;

import io.grpc.Status;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Whether a sidecar has ever answered a client, and how long calls and streams wait for that. */
final class FirstConnection {
  // The time limit of one attempt to connect, with its TLS handshake. gRPC has none.
  private static final Duration MAX_ATTEMPT = Duration.ofSeconds(5);

  private final Duration timeout;
  private final String addresses;
  private volatile boolean made;

  FirstConnection(Duration timeout, List<String> addresses) {
    this.timeout = timeout;
    this.addresses = String.join(", ", addresses);
  }

  boolean isMade() {
    return made;
  }

  void answered() {
    made = true;
  }

  /** Returns the time limit of one attempt to connect, in milliseconds. */
  long attemptMs() {
    return Math.min(timeout.toMillis(), MAX_ATTEMPT.toMillis());
  }

  /**
   * Returns the delay before the next connection of a stream, or the rest of the time limit if it is less.
   *
   * @throws SidecarException if the time limit has passed
   */
  long atMost(long delayMs, long waitedNanos, String reason) {
    if (made) {
      return delayMs;
    }
    long leftNanos = timeout.toNanos() - waitedNanos;
    if (leftNanos <= 0) {
      throw failure(reason, timeout);
    }
    return Math.min(delayMs, TimeUnit.NANOSECONDS.toMillis(leftNanos) + 1);
  }

  /** Returns the failure of a stream to which no sidecar answered for a time. */
  SidecarException failure(String reason, Duration waited) {
    return new SidecarException(
        Status.Code.UNAVAILABLE,
        "no answer for " + waited.toMillis() + " ms from " + addresses + ": " + reason);
  }

  /** Returns the failure of a call. Before the first connection, the failure names the addresses. */
  SidecarException failure(Status status, Throwable cause) {
    if (made || status.getCode() != Status.Code.UNAVAILABLE) {
      return SidecarException.of(status, cause);
    }
    return new SidecarException(
        Status.Code.UNAVAILABLE,
        "no answer from " + addresses + ": " + SidecarException.describe(status),
        cause);
  }
}

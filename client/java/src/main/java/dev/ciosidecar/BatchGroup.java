package dev.ciosidecar;

import java.time.Duration;

/** A mark of events that share batches with each other only; equal only to itself. */
final class BatchGroup {
  private final Duration timeout;

  /** Makes a group. A null timeout stands for the stream's own. */
  BatchGroup(Duration timeout) {
    this.timeout = timeout;
  }

  /** Returns the time limit for the delivery of the events; null for the stream's own. */
  Duration timeout() {
    return timeout;
  }
}

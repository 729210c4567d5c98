package dev.ciosidecar;

import java.time.Duration;
import java.util.List;

/**
 * What Customer.io answered to an event's requests, on a stream that delivers.
 *
 * @param attempts how many times a request that covers the event was sent
 * @param httpStatus the last HTTP status Customer.io answered; 0 if it answered none
 * @param reason Customer.io's own reason, 1,024 bytes at most; empty if it gave none
 * @param field the field Customer.io named; empty if it named none
 * @param latency from the first attempt to the last answer
 * @param failedItems with status 207, for a prepared request to {@code v2/batch}: the items of its body that
 *     were refused; the others were accepted
 */
public record Delivery(
    int attempts,
    int httpStatus,
    String reason,
    String field,
    Duration latency,
    List<FailedItem> failedItems) {

  /**
   * Copies what a caller could still change.
   *
   * @param attempts as above
   * @param httpStatus as above
   * @param reason as above
   * @param field as above
   * @param latency as above
   * @param failedItems as above; copied
   */
  public Delivery {
    failedItems = List.copyOf(failedItems);
  }
}

package dev.ciosidecar;

import java.time.Duration;
import java.util.List;

/**
 * What became of the delivery of an event.
 *
 * @param attempts how many times a request that covers the event was sent
 * @param httpStatus the last HTTP status that Customer.io answered; 0 if Customer.io did not answer
 * @param reason Customer.io's own reason, at most 1,024 bytes; empty if Customer.io gave none
 * @param field the field that Customer.io named; empty if Customer.io named none
 * @param latency the time from the first attempt to the last answer
 * @param failedItems with status 207: the items of the prepared request's body that Customer.io refused. It
 *     accepted the others
 */
public record DeliveryReport(
    int attempts,
    int httpStatus,
    String reason,
    String field,
    Duration latency,
    List<FailedItem> failedItems) {

  /**
   * Copies the list, so that the record cannot be changed.
   *
   * @param attempts as above
   * @param httpStatus as above
   * @param reason as above
   * @param field as above
   * @param latency as above
   * @param failedItems as above; copied
   */
  public DeliveryReport {
    failedItems = List.copyOf(failedItems);
  }
}

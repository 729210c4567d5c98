package dev.ciosidecar;

import com.google.protobuf.ByteString;
import java.util.List;
import java.util.Optional;

/**
 * The result of one event.
 *
 * @param position the position of the event: in its batch or, on a stream, among all events of the stream
 * @param status 200: transformed or delivered. 207: a prepared request of which Customer.io refused some
 *     items. 298: filtered. 408, 429 and 5xx: a retryable failure. Other 4xx: a permanent failure
 * @param requests the requests that the event became. A request that covers several events is in the result
 *     of the last of them, so that the order of the results is the order in which requests MUST be sent
 * @param error why the event failed, if it did
 * @param warnings what was repaired or left out
 * @param filterReason with status 298: {@code DEVICE_MODE}, {@code CONSENT} or {@code ANONYMOUS}
 * @param delivery with delivery: what Customer.io answered, for the events that {@link DetailLevel} selects
 * @param tag the tag of the event, if the result says more than its status; otherwise empty
 */
public record Result(
    long position,
    int status,
    List<ApiRequest> requests,
    Optional<EventError> error,
    List<EventWarning> warnings,
    Optional<String> filterReason,
    Optional<DeliveryReport> delivery,
    ByteString tag) {

  /**
   * Copies the lists, so that the record cannot be changed.
   *
   * @param position as above
   * @param status as above
   * @param requests as above; copied
   * @param error as above
   * @param warnings as above; copied
   * @param filterReason as above
   * @param delivery as above
   * @param tag as above
   */
  public Result {
    requests = List.copyOf(requests);
    warnings = List.copyOf(warnings);
  }

  /** {@return whether the status is 200: the whole event was transformed or delivered} */
  public boolean ok() {
    return status == 200;
  }
}

package dev.ciosidecar;

import com.google.protobuf.ByteString;
import java.util.List;
import java.util.Optional;

/**
 * What one event came to.
 *
 * @param position the event's position: in its batch, or, on a stream, among all events sent on it
 * @param status 200 transformed or delivered; 298 filtered; 400 and other 4xx refused for good; 408, 429 and
 *     5xx worth another try later; 207 a prepared request some of whose items were refused
 * @param requests what the event became. A request that covers several events is with the last of them, so
 *     that requests in the order of their results are in the order in which they must be sent
 * @param error why it failed, where it did
 * @param warnings what was repaired or left out on the way
 * @param filterReason {@code DEVICE_MODE} or {@code CONSENT}, with status 298
 * @param delivery what Customer.io answered, on a stream that delivers and where there is something to say
 * @param tag the event's own tag, where the result has anything to say beyond its status
 */
public record Result(
    long position,
    int status,
    List<Request> requests,
    Optional<EventError> error,
    List<Warning> warnings,
    Optional<String> filterReason,
    Optional<Delivery> delivery,
    ByteString tag) {

  /**
   * Copies what a caller could still change.
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

  /** {@return whether the status is 200: all of the event was transformed or delivered} */
  public boolean ok() {
    return status == 200;
  }
}

package dev.ciosidecar;

import com.google.protobuf.ByteString;
import java.util.List;
import java.util.Map;

/**
 * One HTTP call to Customer.io, complete in itself.
 *
 * @param method {@code PUT}, {@code POST} or {@code DELETE}
 * @param url where it goes, percent-encoded
 * @param endpointPath the call without identifiers, as {@code v1/customers/events}, for throttles to go by
 * @param headers all of them, Authorization included: a secret
 * @param body the bytes to send; empty for none
 * @param positions the positions of the events it covers, ascending, as in {@link Result#position()}
 */
public record Request(
    String method,
    String url,
    String endpointPath,
    Map<String, String> headers,
    ByteString body,
    List<Long> positions) {

  /**
   * Copies what a caller could still change.
   *
   * @param method as above
   * @param url as above
   * @param endpointPath as above
   * @param headers as above; copied
   * @param body as above
   * @param positions as above; copied
   */
  public Request {
    headers = Map.copyOf(headers);
    positions = List.copyOf(positions);
  }

  /** {@return the request without its headers and its body, so that it can be logged} */
  @Override
  public String toString() {
    return "Request[method=%s, url=%s, positions=%s]".formatted(method, url, positions);
  }
}

package dev.ciosidecar;

import com.google.protobuf.ByteString;
import java.util.List;
import java.util.Map;

/**
 * An HTTP request to Customer.io, complete in itself.
 *
 * @param method {@code PUT}, {@code POST} or {@code DELETE}
 * @param url the address, percent-encoded
 * @param endpointPath the endpoint without identifiers, such as {@code v1/customers/events}; throttle by this
 *     value
 * @param headers all headers, Authorization included: treat them as a secret
 * @param body the bytes to send; empty if the request has no body
 * @param positions the positions of all events that the request covers, ascending, as in {@link
 *     Result#position()}
 */
public record ApiRequest(
    String method,
    String url,
    String endpointPath,
    Map<String, String> headers,
    ByteString body,
    List<Long> positions) {

  /**
   * Copies the collections, so that the record cannot be changed.
   *
   * @param method as above
   * @param url as above
   * @param endpointPath as above
   * @param headers as above; copied
   * @param body as above
   * @param positions as above; copied
   */
  public ApiRequest {
    headers = Map.copyOf(headers);
    positions = List.copyOf(positions);
  }

  /** {@return the request without its headers and its body, so that it can be logged} */
  @Override
  public String toString() {
    return "ApiRequest[method=%s, url=%s, positions=%s]".formatted(method, url, positions);
  }
}

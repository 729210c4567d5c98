package dev.ciosidecar;

import com.google.protobuf.ByteString;
import dev.ciosidecar.v1.BatchItem;
import dev.ciosidecar.v1.PreparedRequest;
import dev.ciosidecar.v1.RudderEvent;
import java.util.Objects;
import java.util.Optional;

/**
 * A RudderStack event, or a prepared request to deliver. Immutable: each {@code with} method returns a copy.
 */
public final class Event {
  // A message has at most 64 MiB; 64 KiB of them are for its other fields.
  private static final int MAX_BYTES = (64 << 20) - (64 << 10);

  private final BatchItem item;
  private final Destination destination;
  private final SourceConnection connection;

  private Event(BatchItem item, Destination destination, SourceConnection connection) {
    this.item = item;
    this.destination = destination;
    this.connection = connection;
  }

  private Event(BatchItem.Builder item) {
    this(item.build(), null, null);
    if (sizeBytes() > MAX_BYTES) {
      throw new IllegalArgumentException(
          "an event has " + sizeBytes() + " bytes; at most " + MAX_BYTES + " can be sent");
    }
  }

  private Event with(BatchItem.Builder item) {
    return new Event(item.build(), destination, connection);
  }

  /**
   * Makes an event from its JSON as the caller already holds it. This form is the fastest and loses nothing.
   *
   * @param event a JSON object in UTF-8; copied. If it is no JSON object, the event's error is
   *     {@code INVALID_JSON}
   * @return the event
   * @throws IllegalArgumentException if the event is too large to be sent
   */
  public static Event json(byte[] event) {
    return new Event(BatchItem.newBuilder().setJson(ByteString.copyFrom(event)));
  }

  /**
   * Makes an event from its JSON text.
   *
   * @param event a JSON object. An unpaired surrogate, which UTF-8 cannot encode, is sent as an escape; the
   *     sidecar repairs it and warns
   * @return the event
   * @throws IllegalArgumentException if the event is too large to be sent
   */
  public static Event json(String event) {
    String json = event.chars().anyMatch(Event::isSurrogate) ? escapeUnpairedSurrogates(event) : event;
    return new Event(BatchItem.newBuilder().setJson(ByteString.copyFromUtf8(json)));
  }

  private static String escapeUnpairedSurrogates(String json) {
    StringBuilder escaped = new StringBuilder(json.length());
    json.codePoints()
        .forEach(
            point -> {
              if (isSurrogate(point)) {
                escaped.append("\\u").append(Integer.toHexString(point));
              } else {
                escaped.appendCodePoint(point);
              }
            });
    return escaped.toString();
  }

  private static boolean isSurrogate(int point) {
    return point >= Character.MIN_SURROGATE && point <= Character.MAX_SURROGATE;
  }

  /**
   * Makes an event that is built field by field.
   *
   * @param event a message of the contract
   * @return the event
   * @throws IllegalArgumentException if the event is too large to be sent, or if its fields nest more deeply
   *     than protobuf reads. Such an event would fail the whole call; send it as JSON
   */
  public static Event typed(RudderEvent event) {
    if (Nesting.isTooDeep(event)) {
      throw new IllegalArgumentException(
          "the event's fields are nested too deeply for protobuf: send the event as JSON");
    }
    return new Event(BatchItem.newBuilder().setEvent(event));
  }

  /**
   * Makes an event from a request that an earlier call returned, to be delivered as it is. Allowed only with
   * delivery.
   *
   * @param request a request of an earlier {@link Result}
   * @return an event that needs no destination
   */
  public static Event prepared(ApiRequest request) {
    PreparedRequest prepared =
        PreparedRequest.newBuilder()
            .setMethod(request.method())
            .setUrl(request.url())
            .setEndpointPath(request.endpointPath())
            .putAllHeaders(request.headers())
            .setBody(request.body())
            .build();
    return new Event(BatchItem.newBuilder().setPrepared(prepared));
  }

  /**
   * Sets the destination of this event.
   *
   * @param destination the destination, instead of that of the call or the stream
   * @return a copy with this destination
   */
  public Event withDestination(Destination destination) {
    return new Event(item, Objects.requireNonNull(destination, "destination"), connection);
  }

  /**
   * Sets the connection of this event.
   *
   * @param connection the connection; needed for records and audiences only
   * @return a copy with this connection
   */
  public Event withConnection(SourceConnection connection) {
    return new Event(item, destination, Objects.requireNonNull(connection, "connection"));
  }

  /**
   * Sets the type of the event's source.
   *
   * @param sourceType {@code web}, {@code ios}, {@code cloud}, …, as the dashboard's settings by source name
   *     it. Empty: the event's channel decides
   * @return a copy with this source type
   */
  public Event withSourceType(String sourceType) {
    return with(item.toBuilder().setSourceType(sourceType));
  }

  /**
   * Sets the ordering key. Used only with delivery.
   *
   * @param orderingKey events with the same key are delivered one after another. Empty: the events of each
   *     person are
   * @return a copy with this ordering key
   */
  public Event withOrderingKey(String orderingKey) {
    return with(item.toBuilder().setOrderingKey(orderingKey));
  }

  /**
   * Sets how many times the caller has already sent the event. With delivery, an event with an attempt above
   * 0 is not blocked by failures that the caller already knows of.
   *
   * @param attempt 0 the first time
   * @return a copy with this attempt
   * @throws IllegalArgumentException if the attempt is below 0
   */
  public Event withAttempt(int attempt) {
    if (attempt < 0) {
      throw new IllegalArgumentException("attempt is below 0");
    }
    return with(item.toBuilder().setAttempt(attempt));
  }

  /**
   * Sets whether the event must not share its request with other events.
   *
   * @param dontBatch true: the event shares its request with no other
   * @return a copy with this setting
   */
  public Event withDontBatch(boolean dontBatch) {
    return with(item.toBuilder().setDontBatch(dontBatch));
  }

  /**
   * Sets the trace context of the event. If the sidecar's tracing is on, the spans of the event's requests
   * link to it.
   *
   * @param traceparent a W3C trace context
   * @return a copy with this trace context
   */
  public Event withTraceparent(String traceparent) {
    return with(item.toBuilder().setTraceparent(traceparent));
  }

  /**
   * Sets the tag of the event. {@link Result#tag()} repeats it if the result says more than its status.
   *
   * @param tag any bytes, at most 4,096
   * @return a copy with this tag
   */
  public Event withTag(ByteString tag) {
    return with(item.toBuilder().setTag(tag));
  }

  /** Returns the item of the contract, without reference ids. */
  BatchItem item() {
    return item;
  }

  /**
   * Returns the destination of the event.
   *
   * @param other the destination of an event that names none; null if there is none
   * @return the destination; null if a prepared request has none
   * @throws IllegalArgumentException if there is no destination and the event is no prepared request
   */
  Destination destinationOr(Destination other) {
    Destination chosen = destination == null ? other : destination;
    if (chosen == null && !item.hasPrepared()) {
      throw new IllegalArgumentException(
          "the event has no destination: name one with the event, or with the call or the stream");
    }
    return chosen;
  }

  /** Returns the connection of the event, if it has one. */
  Optional<SourceConnection> connection() {
    return Optional.ofNullable(connection);
  }

  /** Returns the size of the event, which counts for batches and flow control. */
  int sizeBytes() {
    return item.hasJson() ? item.getJson().size() : item.getSerializedSize();
  }

  /** {@return the form and the size only: an event contains personal data} */
  @Override
  public String toString() {
    return "Event[" + item.getPayloadCase() + ", " + sizeBytes() + " bytes]";
  }
}

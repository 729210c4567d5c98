package dev.ciosidecar;

import com.google.protobuf.ByteString;
import dev.ciosidecar.v1.Item;
import dev.ciosidecar.v1.Message;
import dev.ciosidecar.v1.PreparedRequest;
import java.util.Objects;
import java.util.Optional;

/**
 * One RudderStack event, or one request that is only to be delivered. Immutable: each {@code with} method
 * makes another one.
 */
public final class Event {
  // A message holds 64 MiB, and its other fields need room too.
  private static final int MAX_BYTES = (64 << 20) - (64 << 10);

  private final Item item;
  private final Destination destination;
  private final Connection connection;

  private Event(Item item, Destination destination, Connection connection) {
    this.item = item;
    this.destination = destination;
    this.connection = connection;
  }

  private Event(Item.Builder item) {
    this(item.build(), null, null);
    if (sizeBytes() > MAX_BYTES) {
      throw new IllegalArgumentException(
          "an event has " + sizeBytes() + " bytes, " + MAX_BYTES + " at most travel");
    }
  }

  private Event with(Item.Builder item) {
    return new Event(item.build(), destination, connection);
  }

  /**
   * An event as the caller already holds it: the fast form, and the one that keeps every digit.
   *
   * @param event a JSON object in UTF-8; copied. What is not one is that event's {@code INVALID_JSON}
   * @return the event
   */
  public static Event json(byte[] event) {
    return new Event(Item.newBuilder().setJson(ByteString.copyFrom(event)));
  }

  /**
   * The same from text.
   *
   * @param event a JSON object. Half a surrogate pair, which UTF-8 cannot say, travels as an escape; the
   *     sidecar repairs it and warns
   * @return the event
   */
  public static Event json(String event) {
    String mended = event.chars().anyMatch(Event::isSurrogate) ? escapeLoneSurrogates(event) : event;
    return new Event(Item.newBuilder().setJson(ByteString.copyFromUtf8(mended)));
  }

  private static String escapeLoneSurrogates(String json) {
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
   * An event built field by field.
   *
   * @param event a message of the contract
   * @return the event
   * @throws IllegalArgumentException if its fields are nested more deeply than the sidecar's protobuf reads,
   *     which would fail the call for every other event; as JSON it travels
   */
  public static Event typed(Message event) {
    if (Nesting.isTooDeep(event)) {
      throw new IllegalArgumentException(
          "the event's fields are nested too deeply for protobuf: send the event as JSON");
    }
    return new Event(Item.newBuilder().setMessage(event));
  }

  /**
   * A request that was made earlier and is only to be delivered, on a stream that delivers.
   *
   * @param request one that a {@link Result} gave out
   * @return an event for {@link EventStream#send}
   */
  public static Event prepared(Request request) {
    PreparedRequest prepared =
        PreparedRequest.newBuilder()
            .setMethod(request.method())
            .setUrl(request.url())
            .setEndpointPath(request.endpointPath())
            .putAllHeaders(request.headers())
            .setBody(request.body())
            .build();
    return new Event(Item.newBuilder().setPrepared(prepared));
  }

  /**
   * The event for a destination of its own.
   *
   * @param destination instead of the call's or the stream's
   * @return another event
   */
  public Event withDestination(Destination destination) {
    return new Event(item, Objects.requireNonNull(destination, "destination"), connection);
  }

  /**
   * The event, a warehouse row, with what rows of its source become.
   *
   * @param connection records need one, and nothing else does
   * @return another event
   */
  public Event withConnection(Connection connection) {
    return new Event(item, destination, Objects.requireNonNull(connection, "connection"));
  }

  /**
   * The event with the type of its source.
   *
   * @param sourceType {@code web}, {@code ios}, {@code cloud}, …: what filters go by. Empty: the event's
   *     channel decides
   * @return another event
   */
  public Event withSourceType(String sourceType) {
    return with(item.toBuilder().setSourceType(sourceType));
  }

  /**
   * The event with a key of its own for order.
   *
   * @param orderingKey events with the same key are delivered one after another. Empty: by person
   * @return another event
   */
  public Event withOrderingKey(String orderingKey) {
    return with(item.toBuilder().setOrderingKey(orderingKey));
  }

  /**
   * The event with how often the caller has tried it before. It changes the order: on a stream that delivers,
   * an event that was tried before is never held back for an earlier failure of the same person, because the
   * caller knows of it.
   *
   * @param attempt 0 the first time
   * @return another event
   * @throws IllegalArgumentException if it is below 0
   */
  public Event withAttempt(int attempt) {
    if (attempt < 0) {
      throw new IllegalArgumentException("attempt is below 0");
    }
    return with(item.toBuilder().setAttempt(attempt));
  }

  /**
   * The event as one that shares its request with no other.
   *
   * @return another event
   */
  public Event alone() {
    return with(item.toBuilder().setDontBatch(true));
  }

  /**
   * The event with its trace.
   *
   * @param traceparent a W3C trace context
   * @return another event
   */
  public Event withTraceparent(String traceparent) {
    return with(item.toBuilder().setTraceparent(traceparent));
  }

  /**
   * The event with bytes that come back as {@link Result#tag()} where the result has anything to say.
   *
   * @param tag 4,096 bytes at most
   * @return another event
   */
  public Event withTag(ByteString tag) {
    return with(item.toBuilder().setTag(tag));
  }

  /** The item of the contract, without a destination. */
  Item item() {
    return item;
  }

  /** Where the event itself says that it goes. */
  Optional<Destination> destination() {
    return Optional.ofNullable(destination);
  }

  /** What the event says that its rows become. */
  Optional<Connection> connection() {
    return Optional.ofNullable(connection);
  }

  /** Whether the event can go without a destination. */
  boolean isPrepared() {
    return item.hasPrepared();
  }

  /** The bytes that count against batches and credit. */
  int sizeBytes() {
    return item.hasJson() ? item.getJson().size() : item.getSerializedSize();
  }

  /** {@return nothing of the event itself: it holds personal data} */
  @Override
  public String toString() {
    return "Event[" + item.getPayloadCase() + ", " + sizeBytes() + " bytes]";
  }
}

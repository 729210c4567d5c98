package dev.ciosidecar;

import dev.ciosidecar.v1.DeliveryOptions;
import java.time.Duration;
import java.util.Optional;

/** That a stream's events are delivered, and what to tell of it. Immutable. */
public final class Deliver {
  private static final Deliver DEFAULTS = new Deliver(true, false, null);

  private final boolean detailForEveryItem;
  private final boolean includeRequests;
  private final Duration timeout;

  private Deliver(boolean detailForEveryItem, boolean includeRequests, Duration timeout) {
    this.detailForEveryItem = detailForEveryItem;
    this.includeRequests = includeRequests;
    this.timeout = timeout;
  }

  /** {@return delivery with a {@link Result#delivery} for every event, within the sidecar's own time} */
  public static Deliver defaults() {
    return DEFAULTS;
  }

  /**
   * Says which results have a {@link Result#delivery}.
   *
   * @param detail false: only those that failed, were tried more than once, or have a warning, which is
   *     faster. True if not set
   * @return another one
   */
  public Deliver detailForEveryItem(boolean detail) {
    return new Deliver(detail, includeRequests, timeout);
  }

  /**
   * Says whether results have their requests, too.
   *
   * @param include false if not set
   * @return another one
   */
  public Deliver includeRequests(boolean include) {
    return new Deliver(detailForEveryItem, include, timeout);
  }

  /**
   * Bounds the delivery of a batch, retries included. What is not done by then comes back as retryable.
   *
   * @param timeout above zero; the sidecar's own if not set
   * @return another one
   */
  public Deliver timeout(Duration timeout) {
    return new Deliver(detailForEveryItem, includeRequests, positive(timeout));
  }

  /** {@return whether every result has a {@link Result#delivery}} */
  public boolean detailForEveryItem() {
    return detailForEveryItem;
  }

  /** {@return whether results have their requests, too} */
  public boolean includeRequests() {
    return includeRequests;
  }

  /** {@return how long the delivery of a batch may take; empty for as long as the sidecar says} */
  public Optional<Duration> timeout() {
    return Optional.ofNullable(timeout);
  }

  static Duration positive(Duration timeout) {
    if (timeout.isNegative() || timeout.isZero()) {
      throw new IllegalArgumentException("timeout must be above zero");
    }
    return timeout;
  }

  static com.google.protobuf.Duration wire(Duration duration) {
    return com.google.protobuf.Duration.newBuilder()
        .setSeconds(duration.getSeconds())
        .setNanos(duration.getNano())
        .build();
  }

  DeliveryOptions options() {
    DeliveryOptions.Builder options =
        DeliveryOptions.newBuilder()
            .setDetailForEveryItem(detailForEveryItem)
            .setIncludeRequests(includeRequests);
    timeout().ifPresent(one -> options.setDefaultTimeout(wire(one)));
    return options.build();
  }
}

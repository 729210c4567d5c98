package dev.ciosidecar;

import java.time.Duration;
import java.util.Objects;
import java.util.Optional;

/** How requests are delivered, by a stream or by {@link CiosidecarClient#deliver}. Immutable. */
public final class DeliveryOptions {
  private static final DeliveryOptions DEFAULTS = new DeliveryOptions(DetailLevel.ALL, false, null);

  // The default of the sidecar's --delivery-timeout-s.
  private static final Duration SIDECAR_TIMEOUT = Duration.ofSeconds(60);

  private final DetailLevel detailLevel;
  private final boolean includeRequests;
  private final Duration timeout;

  private DeliveryOptions(DetailLevel detailLevel, boolean includeRequests, Duration timeout) {
    this.detailLevel = detailLevel;
    this.includeRequests = includeRequests;
    this.timeout = timeout;
  }

  /** {@return the options of a delivery with all details, no requests and the sidecar's own time limit} */
  public static DeliveryOptions defaults() {
    return DEFAULTS;
  }

  /**
   * Sets which results have a {@link Result#delivery}.
   *
   * @param detailLevel the level. Defaults to {@code ALL}
   * @return a copy with this setting
   */
  public DeliveryOptions detailLevel(DetailLevel detailLevel) {
    return new DeliveryOptions(
        Objects.requireNonNull(detailLevel, "detailLevel"), includeRequests, timeout);
  }

  /**
   * Sets whether results contain their requests too.
   *
   * @param includeRequests true: they do. Defaults to false
   * @return a copy with this setting
   */
  public DeliveryOptions includeRequests(boolean includeRequests) {
    return new DeliveryOptions(detailLevel, includeRequests, timeout);
  }

  /**
   * Sets the time limit for the delivery of a batch, retries included. An event that is not delivered by then
   * has a retryable error.
   *
   * @param timeout above zero. Defaults to the sidecar's own limit
   * @return a copy with this setting
   * @throws IllegalArgumentException if the timeout is not above zero
   */
  public DeliveryOptions timeout(Duration timeout) {
    return new DeliveryOptions(detailLevel, includeRequests, positive(timeout));
  }

  /** {@return which results have a {@link Result#delivery}} */
  public DetailLevel detailLevel() {
    return detailLevel;
  }

  /** {@return whether results contain their requests too} */
  public boolean includeRequests() {
    return includeRequests;
  }

  /** {@return the time limit for the delivery of a batch; empty for the sidecar's own limit} */
  public Optional<Duration> timeout() {
    return Optional.ofNullable(timeout);
  }

  /** Returns the time limit of the delivery; the sidecar's default if the options set none. */
  Duration longestDelivery() {
    return timeout().orElse(SIDECAR_TIMEOUT);
  }

  static Duration positive(Duration timeout) {
    if (timeout.isNegative() || timeout.isZero()) {
      throw new IllegalArgumentException("timeout must be above zero");
    }
    return timeout;
  }

  /** Returns the message of the contract for a duration. */
  static com.google.protobuf.Duration message(Duration duration) {
    return com.google.protobuf.Duration.newBuilder()
        .setSeconds(duration.getSeconds())
        .setNanos(duration.getNano())
        .build();
  }

  /** Returns the options as a message of the contract. */
  dev.ciosidecar.v1.DeliveryOptions message() {
    dev.ciosidecar.v1.DeliveryOptions.Builder options =
        dev.ciosidecar.v1.DeliveryOptions.newBuilder()
            .setDetailLevel(detailLevel.message())
            .setIncludeRequests(includeRequests);
    timeout().ifPresent(limit -> options.setDefaultTimeout(message(limit)));
    return options.build();
  }
}

package dev.ciosidecar;

import java.time.Duration;
import java.util.Objects;
import java.util.Optional;

/** How a stream gathers events into batches, its flow control, and its time limits. Immutable. */
public final class StreamOptions {
  private final int maxBatchEvents;
  private final int maxBatchBytes;
  private final Duration linger;
  private final int maxOutstandingEvents;
  private final long maxOutstandingBytes;
  private final int maxReceiveBytes;
  private final Duration reconnectFor;
  private final Optional<Duration> deadline;
  private final Optional<DeliveryOptions> delivery;
  private final boolean unordered;
  private final Affinity affinity;
  private final String clientName;
  private final String clientVersion;

  private StreamOptions(Builder builder) {
    maxBatchEvents = builder.maxBatchEvents;
    maxBatchBytes = builder.maxBatchBytes;
    linger = builder.linger;
    maxOutstandingEvents = builder.maxOutstandingEvents;
    maxOutstandingBytes = builder.maxOutstandingBytes;
    maxReceiveBytes = builder.maxReceiveBytes;
    reconnectFor = builder.reconnectFor;
    deadline = Optional.ofNullable(builder.deadline);
    delivery = Optional.ofNullable(builder.delivery);
    unordered = builder.unordered;
    affinity = builder.affinity;
    clientName = builder.clientName;
    clientVersion = builder.clientVersion;
  }

  /** {@return the options of a stream that is opened without options} */
  public static StreamOptions defaults() {
    return builder().build();
  }

  /** {@return a builder that starts from the defaults} */
  public static Builder builder() {
    return new Builder();
  }

  /** {@return the number of events in a batch; the sidecar's own limit applies as well} */
  public int maxBatchEvents() {
    return maxBatchEvents;
  }

  /** {@return the size of the events in a batch, in bytes; a larger event has a batch of its own} */
  public int maxBatchBytes() {
    return maxBatchBytes;
  }

  /** {@return how long an event may wait for others to share its batch} */
  public Duration linger() {
    return linger;
  }

  /** {@return the number of outstanding events at which senders wait} */
  public int maxOutstandingEvents() {
    return maxOutstandingEvents;
  }

  /** {@return the size of the outstanding events at which senders wait, in bytes} */
  public long maxOutstandingBytes() {
    return maxOutstandingBytes;
  }

  /** {@return the size of the largest message that the sidecar may send, in bytes} */
  public int maxReceiveBytes() {
    return maxReceiveBytes;
  }

  /** {@return how long the stream tries to reconnect while no sidecar answers, before it fails} */
  public Duration reconnectFor() {
    return reconnectFor;
  }

  /** {@return the time limit for the whole stream, if it has one} */
  public Optional<Duration> deadline() {
    return deadline;
  }

  /** {@return how requests are delivered; empty if they are returned instead} */
  public Optional<DeliveryOptions> delivery() {
    return delivery;
  }

  /** {@return whether answers come in the order of arrival instead of the order of the events} */
  public boolean unordered() {
    return unordered;
  }

  /** {@return the choice of the sidecar that an event goes to} */
  public Affinity affinity() {
    return affinity;
  }

  /** {@return the name of the caller's program} */
  public String clientName() {
    return clientName;
  }

  /** {@return the release of the caller's program} */
  public String clientVersion() {
    return clientVersion;
  }

  /** Builds {@link StreamOptions}. */
  public static final class Builder {
    private static final int MIN_RECEIVE_BYTES = 65_536;

    private int maxBatchEvents = 200;
    private int maxBatchBytes = 1 << 20;
    private Duration linger = Duration.ofMillis(5);
    private int maxOutstandingEvents = 10_000;
    private long maxOutstandingBytes = 32L << 20;
    private int maxReceiveBytes = 16 << 20;
    private Duration reconnectFor = Duration.ofSeconds(60);
    private Duration deadline;
    private DeliveryOptions delivery;
    private boolean unordered;
    private Affinity affinity = Affinity.NONE;
    private String clientName = "ciosidecar-java";
    private String clientVersion = "";

    private Builder() {}

    /**
     * Sets the number of events in a batch.
     *
     * @param maxBatchEvents at least 1. Defaults to 200
     * @return this
     */
    public Builder maxBatchEvents(int maxBatchEvents) {
      this.maxBatchEvents = atLeast(1, maxBatchEvents, "maxBatchEvents");
      return this;
    }

    /**
     * Sets the size of the events in a batch. A larger event has a batch of its own.
     *
     * @param maxBatchBytes at least 1. Unit: bytes. Defaults to 1,048,576
     * @return this
     */
    public Builder maxBatchBytes(int maxBatchBytes) {
      this.maxBatchBytes = atLeast(1, maxBatchBytes, "maxBatchBytes");
      return this;
    }

    /**
     * Sets how long an event may wait for others to share its batch.
     *
     * @param linger zero or more. Defaults to 5 ms
     * @return this
     */
    public Builder linger(Duration linger) {
      this.linger = notNegative(linger, "linger");
      return this;
    }

    /**
     * Sets the number of outstanding events at which senders wait.
     *
     * @param maxOutstandingEvents at least 1. Defaults to 10,000
     * @return this
     */
    public Builder maxOutstandingEvents(int maxOutstandingEvents) {
      this.maxOutstandingEvents = atLeast(1, maxOutstandingEvents, "maxOutstandingEvents");
      return this;
    }

    /**
     * Sets the size of the outstanding events at which senders wait.
     *
     * @param maxOutstandingBytes at least 1. Unit: bytes. Defaults to 33,554,432
     * @return this
     */
    public Builder maxOutstandingBytes(long maxOutstandingBytes) {
      if (maxOutstandingBytes < 1) {
        throw new IllegalArgumentException("maxOutstandingBytes is below 1");
      }
      this.maxOutstandingBytes = maxOutstandingBytes;
      return this;
    }

    /**
     * Sets the size of the largest message that the sidecar may send. The sidecar splits results to fit.
     *
     * @param maxReceiveBytes 65,536 to 67,108,864. Unit: bytes. Defaults to 16,777,216
     * @return this
     */
    public Builder maxReceiveBytes(int maxReceiveBytes) {
      if (maxReceiveBytes > SidecarChannel.MAX_MESSAGE_BYTES) {
        throw new IllegalArgumentException(
            "maxReceiveBytes is above " + SidecarChannel.MAX_MESSAGE_BYTES);
      }
      this.maxReceiveBytes =
          atLeast(MIN_RECEIVE_BYTES, maxReceiveBytes, "maxReceiveBytes");
      return this;
    }

    /**
     * Sets how long the stream tries to reconnect while no sidecar answers. Then it fails with
     * {@code UNAVAILABLE}.
     *
     * @param reconnectFor zero or more. Defaults to 60 s
     * @return this
     */
    public Builder reconnectFor(Duration reconnectFor) {
      this.reconnectFor = notNegative(reconnectFor, "reconnectFor");
      return this;
    }

    /**
     * Sets the time limit for the whole stream, reconnects included. Then the stream fails with
     * {@code DEADLINE_EXCEEDED}.
     *
     * @param deadline zero or more, from the opening. Defaults to no limit
     * @return this
     */
    public Builder deadline(Duration deadline) {
      this.deadline = notNegative(deadline, "deadline");
      return this;
    }

    /**
     * Makes the sidecar deliver the requests. If the sidecar does not offer delivery, the stream fails with
     * {@code UNIMPLEMENTED}.
     *
     * @param delivery the options of the delivery, such as {@link DeliveryOptions#defaults}. Defaults to no
     *     delivery
     * @return this
     */
    public Builder delivery(DeliveryOptions delivery) {
      this.delivery = Objects.requireNonNull(delivery, "delivery");
      return this;
    }

    /**
     * Sets whether answers come in the order of arrival instead of the order of the events.
     *
     * @param unordered true: no answer waits for that of an earlier event. Defaults to false
     * @return this
     */
    public Builder unordered(boolean unordered) {
      this.unordered = unordered;
      return this;
    }

    /**
     * Sets what chooses the sidecar that an event goes to, of several.
     *
     * @param affinity {@link Affinity#PERSON}: all events of a person go to one sidecar, from all streams and
     *     clients with the same addresses. Needs a client with several addresses. Defaults to
     *     {@link Affinity#NONE}
     * @return this
     */
    public Builder affinity(Affinity affinity) {
      this.affinity = Objects.requireNonNull(affinity, "affinity");
      return this;
    }

    /**
     * Sets the release of the caller's program. It is sent when the stream opens.
     *
     * @param clientVersion the release. Defaults to empty
     * @return this
     */
    public Builder clientVersion(String clientVersion) {
      this.clientVersion = Objects.requireNonNull(clientVersion, "clientVersion");
      return this;
    }

    /**
     * Sets the name of the caller's program. It is sent when the stream opens.
     *
     * @param clientName the name. Defaults to {@code ciosidecar-java}
     * @return this
     */
    public Builder clientName(String clientName) {
      this.clientName = Objects.requireNonNull(clientName, "clientName");
      return this;
    }

    /** {@return the options} */
    public StreamOptions build() {
      return new StreamOptions(this);
    }

    private static int atLeast(int minimum, int value, String name) {
      if (value < minimum) {
        throw new IllegalArgumentException(name + " is below " + minimum);
      }
      return value;
    }

    private static Duration notNegative(Duration value, String name) {
      if (value.isNegative()) {
        throw new IllegalArgumentException(name + " is negative");
      }
      return value;
    }
  }
}

package dev.ciosidecar;

import java.time.Duration;
import java.util.Objects;
import java.util.Optional;

/** How a stream gathers events, how much it may owe, and how long it keeps trying. Immutable. */
public final class StreamOptions {
  private final int maxBatchEvents;
  private final int maxBatchBytes;
  private final Duration linger;
  private final int maxOwedEvents;
  private final long maxOwedBytes;
  private final int maxReceiveBytes;
  private final Duration reconnectFor;
  private final Optional<Duration> deadline;
  private final Optional<Deliver> delivery;
  private final boolean unordered;
  private final String clientName;
  private final String clientVersion;

  private StreamOptions(Builder builder) {
    maxBatchEvents = builder.maxBatchEvents;
    maxBatchBytes = builder.maxBatchBytes;
    linger = builder.linger;
    maxOwedEvents = builder.maxOwedEvents;
    maxOwedBytes = builder.maxOwedBytes;
    maxReceiveBytes = builder.maxReceiveBytes;
    reconnectFor = builder.reconnectFor;
    deadline = Optional.ofNullable(builder.deadline);
    delivery = Optional.ofNullable(builder.delivery);
    unordered = builder.unordered;
    clientName = builder.clientName;
    clientVersion = builder.clientVersion;
  }

  /** {@return the options that a stream has if it is given none} */
  public static StreamOptions defaults() {
    return builder().build();
  }

  /** {@return a builder that starts from the defaults} */
  public static Builder builder() {
    return new Builder();
  }

  /** {@return events a message holds at most; the sidecar's own limit holds as well} */
  public int maxBatchEvents() {
    return maxBatchEvents;
  }

  /** {@return bytes of events a message holds at most, but for one larger event} */
  public int maxBatchBytes() {
    return maxBatchBytes;
  }

  /** {@return how long an event may wait for others to share its message} */
  public Duration linger() {
    return linger;
  }

  /** {@return events sent whose answers the subscriber has not been given; more have to wait} */
  public int maxOwedEvents() {
    return maxOwedEvents;
  }

  /** {@return bytes of such events; more have to wait} */
  public long maxOwedBytes() {
    return maxOwedBytes;
  }

  /** {@return the largest message the sidecar may send, in bytes} */
  public int maxReceiveBytes() {
    return maxReceiveBytes;
  }

  /** {@return how long to go on trying when no sidecar answers, before the stream fails} */
  public Duration reconnectFor() {
    return reconnectFor;
  }

  /** {@return how long the stream may last, if it is bounded} */
  public Optional<Duration> deadline() {
    return deadline;
  }

  /** {@return how requests are delivered; empty if they are only made} */
  public Optional<Deliver> delivery() {
    return delivery;
  }

  /** {@return whether answers come as they are there, not in the order of their events} */
  public boolean unordered() {
    return unordered;
  }

  /** {@return what the sidecar's log calls this client} */
  public String clientName() {
    return clientName;
  }

  /** {@return its release there} */
  public String clientVersion() {
    return clientVersion;
  }

  /** Builds {@link StreamOptions}. */
  public static final class Builder {
    private static final int SMALLEST_MAX_RECEIVE_BYTES = 65_536;

    private int maxBatchEvents = 200;
    private int maxBatchBytes = 1 << 20;
    private Duration linger = Duration.ofMillis(5);
    private int maxOwedEvents = 10_000;
    private long maxOwedBytes = 32L << 20;
    private int maxReceiveBytes = 16 << 20;
    private Duration reconnectFor = Duration.ofSeconds(60);
    private Duration deadline;
    private Deliver delivery;
    private boolean unordered;
    private String clientName = "ciosidecar-java";
    private String clientVersion = "";

    private Builder() {}

    /**
     * Bounds a message in events.
     *
     * @param maxBatchEvents at least 1; 200 if not set
     * @return this
     */
    public Builder maxBatchEvents(int maxBatchEvents) {
      this.maxBatchEvents = atLeast(1, maxBatchEvents, "maxBatchEvents");
      return this;
    }

    /**
     * Bounds a message in bytes of events. One larger event travels alone.
     *
     * @param maxBatchBytes at least 1; 1,048,576 if not set
     * @return this
     */
    public Builder maxBatchBytes(int maxBatchBytes) {
      this.maxBatchBytes = atLeast(1, maxBatchBytes, "maxBatchBytes");
      return this;
    }

    /**
     * Says how long an event may wait for others.
     *
     * @param linger zero or more; 5 ms if not set
     * @return this
     */
    public Builder linger(Duration linger) {
      this.linger = notNegative(linger, "linger");
      return this;
    }

    /**
     * Bounds the credit in events: beyond it, sending waits.
     *
     * @param maxOwedEvents at least 1; 10,000 if not set
     * @return this
     */
    public Builder maxOwedEvents(int maxOwedEvents) {
      this.maxOwedEvents = atLeast(1, maxOwedEvents, "maxOwedEvents");
      return this;
    }

    /**
     * Bounds the credit in bytes of events.
     *
     * @param maxOwedBytes at least 1; 33,554,432 if not set
     * @return this
     */
    public Builder maxOwedBytes(long maxOwedBytes) {
      if (maxOwedBytes < 1) {
        throw new IllegalArgumentException("maxOwedBytes is below 1");
      }
      this.maxOwedBytes = maxOwedBytes;
      return this;
    }

    /**
     * Bounds the messages that come back; the sidecar splits its results to fit.
     *
     * @param maxReceiveBytes 65,536 to 67,108,864; 16,777,216 if not set
     * @return this
     */
    public Builder maxReceiveBytes(int maxReceiveBytes) {
      if (maxReceiveBytes > SidecarChannel.MAX_MESSAGE_BYTES) {
        throw new IllegalArgumentException(
            "maxReceiveBytes is above " + SidecarChannel.MAX_MESSAGE_BYTES);
      }
      this.maxReceiveBytes =
          atLeast(SMALLEST_MAX_RECEIVE_BYTES, maxReceiveBytes, "maxReceiveBytes");
      return this;
    }

    /**
     * Says how long to go on trying when no sidecar answers.
     *
     * @param reconnectFor zero or more; 60 s if not set
     * @return this
     */
    public Builder reconnectFor(Duration reconnectFor) {
      this.reconnectFor = notNegative(reconnectFor, "reconnectFor");
      return this;
    }

    /**
     * Bounds the whole stream, from its opening, reconnects included: then it fails with
     * {@code DEADLINE_EXCEEDED}.
     *
     * @param deadline zero or more; none if not set
     * @return this
     */
    public Builder deadline(Duration deadline) {
      this.deadline = notNegative(deadline, "deadline");
      return this;
    }

    /**
     * Has the sidecar deliver the requests too. A sidecar that cannot fails the stream with
     * {@code UNIMPLEMENTED}.
     *
     * @param delivery how; {@link Deliver#defaults} is a good start. None if not set
     * @return this
     */
    public Builder delivery(Deliver delivery) {
      this.delivery = Objects.requireNonNull(delivery, "delivery");
      return this;
    }

    /**
     * Has answers come as they are there: none waits for that of an earlier event.
     *
     * @param unordered false if not set
     * @return this
     */
    public Builder unordered(boolean unordered) {
      this.unordered = unordered;
      return this;
    }

    /**
     * Names the client's release in the sidecar's log.
     *
     * @param clientVersion empty if not set
     * @return this
     */
    public Builder clientVersion(String clientVersion) {
      this.clientVersion = Objects.requireNonNull(clientVersion, "clientVersion");
      return this;
    }

    /**
     * Names the client in the sidecar's log.
     *
     * @param clientName {@code ciosidecar-java} if not set
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

    private static int atLeast(int least, int value, String name) {
      if (value < least) {
        throw new IllegalArgumentException(name + " is below " + least);
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

package dev.ciosidecar;

import dev.ciosidecar.v1.Batch;
import dev.ciosidecar.v1.CheckDestinationRequest;
import dev.ciosidecar.v1.CheckDestinationResponse;
import dev.ciosidecar.v1.GetCapabilitiesRequest;
import dev.ciosidecar.v1.GetCapabilitiesResponse;
import dev.ciosidecar.v1.SidecarServiceGrpc;
import dev.ciosidecar.v1.SidecarServiceGrpc.SidecarServiceBlockingStub;
import dev.ciosidecar.v1.TransformRequest;
import io.grpc.ChannelCredentials;
import io.grpc.ClientInterceptor;
import io.grpc.InsecureChannelCredentials;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

/**
 * A connection to one or several sidecars. Make one and keep it: it is safe to share between threads, and
 * connecting costs more than a call. Connects with the first call.
 *
 * <p>Its calls wait for their answer. They heed gRPC's {@code Context}: a deadline or a cancellation there
 * ends them. An interrupt ends them too, with {@code CANCELLED}; the thread stays interrupted.
 */
public final class CiosidecarClient implements AutoCloseable {
  private static final Duration DEADLINE = Duration.ofSeconds(30);

  /** Where a sidecar listens unless it is told otherwise. */
  public static final String DEFAULT_ADDRESS = "127.0.0.1:50550";

  private final SidecarChannel channel;
  private final Set<EventStream<?>> streams = ConcurrentHashMap.newKeySet();
  private boolean closed;

  private CiosidecarClient(Builder builder) {
    channel =
        new SidecarChannel(
            builder.addresses,
            builder.credentials,
            builder.serverName,
            builder.keepAliveTime,
            builder.keepAliveTimeout,
            builder.interceptors);
  }

  /** {@return a builder of clients} */
  public static Builder builder() {
    return new Builder();
  }

  /**
   * A client with the defaults.
   *
   * @param address as for {@link Builder#addresses}
   * @return the client
   */
  public static CiosidecarClient connect(String address) {
    return builder().addresses(address).build();
  }

  /**
   * Asks what the sidecar is and can do, within 30 seconds.
   *
   * @return a message of the contract: versions, features, limits
   * @throws SidecarException if there was no answer
   */
  public GetCapabilitiesResponse capabilities() {
    return capabilities(DEADLINE);
  }

  /**
   * The same within a time.
   *
   * @param deadline gRPC's own further attempts included
   * @return as above
   * @throws SidecarException as above; {@code DEADLINE_EXCEEDED} when the time has passed
   */
  public GetCapabilitiesResponse capabilities(Duration deadline) {
    return call(
        deadline, stub -> stub.getCapabilities(GetCapabilitiesRequest.getDefaultInstance()));
  }

  /**
   * Asks whether a destination's settings can work, within 30 seconds. Customer.io is not asked.
   *
   * @param destination the destination
   * @return a message of the contract: what is wrong or ignored, by key
   * @throws SidecarException if there was no answer
   */
  public CheckDestinationResponse check(Destination destination) {
    return check(destination, false);
  }

  /**
   * Asks whether a destination can work, and, with a probe, whether Customer.io takes its credentials.
   *
   * @param destination the destination
   * @param probe true: ask Customer.io too
   * @return a message of the contract: what is wrong or ignored, by key, and what the probe found
   * @throws SidecarException if there was no answer; {@code UNIMPLEMENTED} where the sidecar cannot probe
   */
  public CheckDestinationResponse check(Destination destination, boolean probe) {
    return check(destination, probe, DEADLINE);
  }

  /**
   * The same within a time.
   *
   * @param destination the destination
   * @param probe true: ask Customer.io too
   * @param deadline gRPC's own further attempts included
   * @return as above
   * @throws SidecarException as above; {@code DEADLINE_EXCEEDED} when the time has passed
   */
  public CheckDestinationResponse check(
      Destination destination, boolean probe, Duration deadline) {
    CheckDestinationRequest request =
        CheckDestinationRequest.newBuilder()
            .setDestination(destination.declaredAs(0))
            .setProbe(probe)
            .build();
    return call(deadline, stub -> stub.checkDestination(request));
  }

  /**
   * One batch in, its results out, within 30 seconds.
   *
   * @param events 50 to 500 are a good batch; the sidecar's {@code max_batch_events} bounds it
   * @param destination where those go that name no destination themselves
   * @return one result an event, in order
   * @throws SidecarException if there was no answer; {@code INVALID_ARGUMENT} where the batch is too large
   */
  public List<Result> transform(List<Event> events, Destination destination) {
    return transform(events, destination, DEADLINE);
  }

  /**
   * The same within a time.
   *
   * @param events as above
   * @param destination as above
   * @param deadline gRPC's own further attempts included
   * @return one result an event, in order
   * @throws SidecarException as above; {@code DEADLINE_EXCEEDED} when the time has passed
   */
  public List<Result> transform(List<Event> events, Destination destination, Duration deadline) {
    TransformRequest.Builder request = TransformRequest.newBuilder();
    Batch.Builder batch = request.getBatchBuilder();
    Numbering<Destination> destinations = new Numbering<>(Integer.MAX_VALUE);
    Numbering<Connection> connections = new Numbering<>(Integer.MAX_VALUE);
    for (Event event : events) {
      batch.addItems(
          event.item().toBuilder()
              .setDestination(destinations.number(event.destination().orElse(destination)))
              .setConnection(connections.number(event.connection().orElse(null))));
    }
    destinations.takeUndeclared((named, number) -> request.addDestinations(named.declaredAs(number)));
    connections.takeUndeclared((named, number) -> request.addConnections(named.declaredAs(number)));
    return call(deadline, stub -> ResultReader.read(stub.transform(request.build()).getResults()));
  }

  /**
   * Opens a stream for events of one destination.
   *
   * @param <T> what the caller puts beside events
   * @param destination where those go that name no destination themselves
   * @return the stream; it starts to connect, and events may be sent at once
   * @throws IllegalStateException if the client is closed
   */
  public <T> EventStream<T> stream(Destination destination) {
    return stream(destination, StreamOptions.defaults());
  }

  /**
   * The same with options.
   *
   * @param <T> what the caller puts beside events
   * @param destination where those go that name no destination themselves
   * @param options how the stream gathers, what it may owe, whether it delivers
   * @return the stream; it starts to connect, and events may be sent at once
   * @throws IllegalStateException if the client is closed
   */
  public <T> EventStream<T> stream(Destination destination, StreamOptions options) {
    return open(Objects.requireNonNull(destination, "destination"), options);
  }

  /**
   * Opens a stream on which every event names its destination itself, or is a prepared request.
   *
   * @param <T> what the caller puts beside events
   * @param options how the stream gathers, what it may owe, whether it delivers
   * @return the stream; it starts to connect, and events may be sent at once
   * @throws IllegalStateException if the client is closed
   */
  public <T> EventStream<T> stream(StreamOptions options) {
    return open(null, options);
  }

  private <T> EventStream<T> open(Destination destination, StreamOptions options) {
    EventStream<T> stream = new EventStream<>(channel, destination, options, streams::remove);
    synchronized (streams) {
      if (closed) {
        throw new IllegalStateException("the client is closed");
      }
      streams.add(stream);
    }
    stream.start();
    return stream;
  }

  /** Ends every call and every stream, and the client's threads. Does nothing the second time. */
  @Override
  public void close() {
    synchronized (streams) {
      closed = true;
    }
    streams.forEach(EventStream::close);
    channel.close();
  }

  private <R> R call(Duration deadline, Function<SidecarServiceBlockingStub, R> method) {
    SidecarServiceBlockingStub stub =
        SidecarServiceGrpc.newBlockingStub(channel.channel())
            .withDeadlineAfter(deadline.toNanos(), TimeUnit.NANOSECONDS);
    try {
      return method.apply(stub);
    } catch (StatusRuntimeException failure) {
      if (failure.getStatus().getCode() == Status.Code.UNAVAILABLE) {
        // gRPC would wait up to two minutes before it tries a dead address again.
        channel.channel().resetConnectBackoff();
      }
      throw SidecarException.of(failure);
    }
  }

  /** Builds a {@link CiosidecarClient}. */
  public static final class Builder {
    private List<String> addresses = List.of(DEFAULT_ADDRESS);
    private ChannelCredentials credentials = InsecureChannelCredentials.create();
    private String serverName;
    private Duration keepAliveTime = Duration.ofSeconds(30);
    private Duration keepAliveTimeout = Duration.ofSeconds(10);
    private final List<ClientInterceptor> interceptors = new ArrayList<>();

    private Builder() {}

    /**
     * Says where the sidecars are. Calls take turns among those that are healthy.
     *
     * @param addresses one {@code host:port}, {@code dns:///name:port} or {@code unix:PATH}; or several, all
     *     IP addresses with ports or all {@code unix:PATH}. {@link #DEFAULT_ADDRESS} if not set
     * @return this
     */
    public Builder addresses(String... addresses) {
      this.addresses = List.of(addresses);
      return this;
    }

    /**
     * Has the client use TLS. A sidecar has none on its unix sockets.
     *
     * @param credentials as {@code TlsChannelCredentials} builds them: whom to trust, and the client's own
     *     certificate where the sidecar asks for one. No TLS if not set
     * @return this
     */
    public Builder credentials(ChannelCredentials credentials) {
      this.credentials = Objects.requireNonNull(credentials, "credentials");
      return this;
    }

    /**
     * Says which name the sidecar's certificate bears, where it is not the address.
     *
     * @param serverName a host name
     * @return this
     */
    public Builder serverName(String serverName) {
      this.serverName = Objects.requireNonNull(serverName, "serverName");
      return this;
    }

    /**
     * Says how a peer that vanished without a word is noticed.
     *
     * @param time how long a connection with calls may be silent before it is pinged; gRPC takes at least
     *     10 s. 30 s if not set
     * @param timeout how long the answer may take; 10 s if not set
     * @return this
     */
    public Builder keepAlive(Duration time, Duration timeout) {
      keepAliveTime = Objects.requireNonNull(time, "time");
      keepAliveTimeout = Objects.requireNonNull(timeout, "timeout");
      return this;
    }

    /**
     * Adds something that sees every call: metrics, traces, tokens.
     *
     * @param interceptor gRPC's own interface
     * @return this
     */
    public Builder intercept(ClientInterceptor interceptor) {
      interceptors.add(Objects.requireNonNull(interceptor, "interceptor"));
      return this;
    }

    /**
     * Makes the client. It does not connect yet.
     *
     * @return the client
     * @throws IllegalArgumentException if an address is none, or the addresses cannot be used together, or
     *     credentials are for a unix socket
     */
    public CiosidecarClient build() {
      return new CiosidecarClient(this);
    }
  }
}

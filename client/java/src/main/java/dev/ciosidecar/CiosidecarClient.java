package dev.ciosidecar;

import dev.ciosidecar.v1.CheckDestinationRequest;
import dev.ciosidecar.v1.CheckDestinationResponse;
import dev.ciosidecar.v1.DeliverRequest;
import dev.ciosidecar.v1.GetCapabilitiesRequest;
import dev.ciosidecar.v1.GetCapabilitiesResponse;
import dev.ciosidecar.v1.SidecarServiceGrpc;
import dev.ciosidecar.v1.SidecarServiceGrpc.SidecarServiceBlockingStub;
import dev.ciosidecar.v1.TransformRequest;
import io.grpc.CallCredentials;
import io.grpc.ChannelCredentials;
import io.grpc.ClientInterceptor;
import io.grpc.InsecureChannelCredentials;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * A client of one or several sidecars. Make one client and keep it: threads can share it, and connecting
 * costs more than a call. The client connects with the first call.
 *
 * <p>Calls wait for their answer. A deadline or a cancellation of gRPC's {@code Context} ends them. An
 * interrupt ends them too, with {@code CANCELLED}; the thread stays interrupted.
 */
public final class CiosidecarClient implements AutoCloseable {
  private static final Duration DEADLINE = Duration.ofSeconds(30);

  /** The address at which a sidecar listens by default. */
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
            builder.interceptors,
            builder.bearerToken(),
            new FirstConnection(builder.connectTimeout, builder.addresses));
  }

  /** {@return a builder of clients} */
  public static Builder builder() {
    return new Builder();
  }

  /**
   * Makes a client with the defaults.
   *
   * @param address as for {@link Builder#addresses}
   * @return the client
   */
  public static CiosidecarClient connect(String address) {
    return builder().addresses(address).build();
  }

  /**
   * Asks for the version, the features and the limits of the sidecar, within 30 seconds.
   *
   * @return a message of the contract
   * @throws SidecarException if the call failed
   */
  public GetCapabilitiesResponse capabilities() {
    return capabilities(DEADLINE);
  }

  /**
   * Asks for the version, the features and the limits of the sidecar.
   *
   * @param deadline the time limit, gRPC's retries included
   * @return a message of the contract
   * @throws SidecarException if the call failed; {@code DEADLINE_EXCEEDED} after the time limit
   */
  public GetCapabilitiesResponse capabilities(Duration deadline) {
    return call(
        deadline, stub -> stub.getCapabilities(GetCapabilitiesRequest.getDefaultInstance()));
  }

  /**
   * Checks the settings of a destination, within 30 seconds. Does not ask Customer.io.
   *
   * @param destination the destination
   * @return a message of the contract: errors and remarks about the settings, by key
   * @throws SidecarException if the call failed
   */
  public CheckDestinationResponse check(Destination destination) {
    return check(destination, false);
  }

  /**
   * Checks the settings of a destination and, with a probe, its credentials, within 30 seconds.
   *
   * @param destination the destination
   * @param probe true: ask Customer.io whether it accepts the credentials, and for their region
   * @return a message of the contract: errors and remarks about the settings, by key, and the probe's result
   * @throws SidecarException if the call failed; {@code UNIMPLEMENTED} if the sidecar does not offer the
   *     probe
   */
  public CheckDestinationResponse check(Destination destination, boolean probe) {
    return check(destination, probe, DEADLINE);
  }

  /**
   * Checks the settings of a destination and, with a probe, its credentials.
   *
   * @param destination the destination
   * @param probe true: ask Customer.io whether it accepts the credentials, and for their region
   * @param deadline the time limit, gRPC's retries included
   * @return a message of the contract: errors and remarks about the settings, by key, and the probe's result
   * @throws SidecarException if the call failed; {@code DEADLINE_EXCEEDED} after the time limit
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
   * Transforms one batch, within 30 seconds.
   *
   * @param events the batch: 50 to 500 events are best; the sidecar's {@code max_batch_events} is the limit
   * @param destination the destination of the events that name none
   * @return one result for each event, in order
   * @throws SidecarException if the call failed; {@code INVALID_ARGUMENT} if the batch is too large
   */
  public List<Result> transform(List<Event> events, Destination destination) {
    return transform(events, destination, DEADLINE);
  }

  /**
   * Transforms one batch.
   *
   * @param events the batch
   * @param destination the destination of the events that name none
   * @param deadline the time limit, gRPC's retries included
   * @return one result for each event, in order
   * @throws SidecarException if the call failed; {@code DEADLINE_EXCEEDED} after the time limit
   */
  public List<Result> transform(List<Event> events, Destination destination, Duration deadline) {
    TransformRequest request = new UnaryBatch(events, destination).transformRequest();
    return call(deadline, stub -> ResultReader.read(stub.transform(request).getResults()));
  }

  /**
   * Transforms one batch and delivers its requests, with the default options.
   *
   * @param events the batch; prepared requests are allowed
   * @param destination the destination of the events that name none
   * @return one result for each event, in order, as on a stream with delivery
   * @throws SidecarException as for {@link #deliver(List, Destination, DeliveryOptions)}
   */
  public List<Result> deliver(List<Event> events, Destination destination) {
    return deliver(events, destination, DeliveryOptions.defaults());
  }

  /**
   * Transforms one batch and delivers its requests. The time limit of the call is 30 seconds more than
   * {@link DeliveryOptions#timeout}, or 90 seconds if that is not set.
   *
   * <p>The call is never retried, because a retry could deliver events twice. If it fails, it is unknown
   * which events were delivered.
   *
   * @param events the batch; prepared requests are allowed
   * @param destination the destination of the events that name none
   * @param options how requests are delivered
   * @return one result for each event, in order, as on a stream with delivery
   * @throws SidecarException if the call failed; {@code UNIMPLEMENTED} if the sidecar does not offer delivery
   */
  public List<Result> deliver(
      List<Event> events, Destination destination, DeliveryOptions options) {
    return deliver(events, destination, options, options.longestDelivery().plus(DEADLINE));
  }

  /**
   * Transforms one batch and delivers its requests, within a time limit of the caller's.
   *
   * @param events the batch; prepared requests are allowed
   * @param destination the destination of the events that name none
   * @param options how requests are delivered
   * @param deadline the time limit of the call; SHOULD be above the time limit of the delivery
   * @return one result for each event, in order, as on a stream with delivery
   * @throws SidecarException as for {@link #deliver(List, Destination, DeliveryOptions)};
   *     {@code DEADLINE_EXCEEDED} after the time limit
   */
  public List<Result> deliver(
      List<Event> events, Destination destination, DeliveryOptions options, Duration deadline) {
    return deliver(
        new UnaryBatch(events, Objects.requireNonNull(destination, "destination")),
        options,
        deadline);
  }

  /**
   * Delivers one batch in which every event names its destination or is a prepared request.
   *
   * @param events the batch
   * @param options how requests are delivered
   * @return one result for each event, in order, as on a stream with delivery
   * @throws SidecarException as for {@link #deliver(List, Destination, DeliveryOptions)}
   * @throws IllegalArgumentException if an event has no destination and is no prepared request
   */
  public List<Result> deliver(List<Event> events, DeliveryOptions options) {
    return deliver(events, options, options.longestDelivery().plus(DEADLINE));
  }

  /**
   * Delivers one batch in which every event names its destination or is a prepared request, within a time
   * limit of the caller's.
   *
   * @param events the batch
   * @param options how requests are delivered
   * @param deadline the time limit of the call; SHOULD be above the time limit of the delivery
   * @return one result for each event, in order, as on a stream with delivery
   * @throws SidecarException as for {@link #deliver(List, Destination, DeliveryOptions)};
   *     {@code DEADLINE_EXCEEDED} after the time limit
   * @throws IllegalArgumentException if an event has no destination and is no prepared request
   */
  public List<Result> deliver(List<Event> events, DeliveryOptions options, Duration deadline) {
    return deliver(new UnaryBatch(events, null), options, deadline);
  }

  private List<Result> deliver(UnaryBatch batch, DeliveryOptions options, Duration deadline) {
    DeliverRequest request = batch.deliverRequest(options);
    return call(deadline, stub -> ResultReader.read(stub.deliver(request).getResults()));
  }

  /**
   * Opens a stream with the default options.
   *
   * @param <T> the type of the attachments
   * @param destination the destination of the events that name none
   * @return the stream; it connects in the background, and events may be sent at once
   * @throws IllegalStateException if the client is closed
   */
  public <T> EventStream<T> stream(Destination destination) {
    return stream(destination, StreamOptions.defaults());
  }

  /**
   * Opens a stream.
   *
   * @param <T> the type of the attachments
   * @param destination the destination of the events that name none
   * @param options the options of the stream
   * @return the stream; it connects in the background, and events may be sent at once
   * @throws IllegalArgumentException if the options have an affinity and the client has not several addresses
   * @throws IllegalStateException if the client is closed
   */
  public <T> EventStream<T> stream(Destination destination, StreamOptions options) {
    return open(Objects.requireNonNull(destination, "destination"), options);
  }

  /**
   * Opens a stream on which every event names its destination or is a prepared request.
   *
   * @param <T> the type of the attachments
   * @param options the options of the stream
   * @return the stream; it connects in the background, and events may be sent at once
   * @throws IllegalArgumentException if the options have an affinity and the client has not several addresses
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

  /** Ends all calls, all streams and the client's threads. Does nothing the second time. */
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
        channel
            .authorized(SidecarServiceGrpc.newBlockingStub(channel.channel()))
            .withDeadlineAfter(deadline.toNanos(), TimeUnit.NANOSECONDS);
    FirstConnection first = channel.firstConnection();
    ConnectLimit limit = channel.connectLimit(channel.channel());
    try {
      R response = limit.apply(stub, method::apply);
      first.answered();
      return response;
    } catch (StatusRuntimeException failure) {
      Status status = limit.statusOr(failure.getStatus());
      if (status.getCode() == Status.Code.UNAVAILABLE) {
        // gRPC's own backoff would keep an address that was down out of use for up to two minutes.
        channel.channel().resetConnectBackoff();
      }
      throw first.failure(status, failure);
    } catch (RejectedExecutionException fault) {
      // The threads of a closed client have ended.
      throw SidecarException.of(Status.UNAVAILABLE.withDescription("the client is closed"), fault);
    }
  }

  /** Builds a {@link CiosidecarClient}. */
  public static final class Builder {
    private List<String> addresses = List.of(DEFAULT_ADDRESS);
    private ChannelCredentials credentials = InsecureChannelCredentials.create();
    private String serverName;
    private Duration keepAliveTime = Duration.ofSeconds(30);
    private Duration keepAliveTimeout = Duration.ofSeconds(10);
    private Duration connectTimeout = Duration.ofSeconds(10);
    private Supplier<String> token;
    private boolean insecure;
    private final List<ClientInterceptor> interceptors = new ArrayList<>();

    private Builder() {}

    /**
     * Sets the addresses of the sidecars. Calls take turns among those that are healthy.
     *
     * @param addresses one {@code host:port}, {@code [IPv6]:port}, {@code unix:PATH}, {@code
     *     unix-abstract:NAME} or {@code dns:///host:port}; or several, all IP addresses with ports or all
     *     unix sockets. Defaults to {@link #DEFAULT_ADDRESS}
     * @return this
     */
    public Builder addresses(String... addresses) {
      this.addresses = List.of(addresses);
      return this;
    }

    /**
     * Makes the client use TLS. A sidecar has no TLS on its unix sockets.
     *
     * @param credentials as {@link Tls} reads them or {@code TlsChannelCredentials} builds them: the certificate authorities to trust,
     *     and the client's own certificate if the sidecar requires one. Defaults to no TLS
     * @return this
     */
    public Builder credentials(ChannelCredentials credentials) {
      this.credentials = Objects.requireNonNull(credentials, "credentials");
      return this;
    }

    /**
     * Sets the name in the sidecar's certificate, if it is not the address.
     *
     * @param serverName a host name
     * @return this
     */
    public Builder serverName(String serverName) {
      this.serverName = Objects.requireNonNull(serverName, "serverName");
      return this;
    }

    /**
     * Sets the bearer token that the sidecar requires.
     *
     * @param token the token
     * @return this
     * @throws IllegalArgumentException if no header can have the token
     */
    public Builder token(String token) {
      BearerToken.checked(token);
      return token(() -> token);
    }

    /**
     * Sets a function that returns the bearer token that the sidecar requires. The client calls the function
     * for each call and each stream, so that a token can be replaced.
     *
     * @param token the function; threads of the client call it
     * @return this
     */
    public Builder token(Supplier<String> token) {
      if (this.token != null) {
        throw new IllegalArgumentException("give token or tokenFile, once");
      }
      this.token = Objects.requireNonNull(token, "token");
      return this;
    }

    /**
     * Sets a file with the bearer token that the sidecar requires. The client reads the file for each call
     * and each stream: its first line that is neither blank nor a comment (#).
     *
     * @param file the file
     * @return this
     */
    public Builder tokenFile(Path file) {
      Objects.requireNonNull(file, "file");
      return token(() -> BearerToken.firstLine(file));
    }

    /**
     * Sets whether the token is sent without TLS to any address. By default, it is sent only over loopback
     * and unix sockets.
     *
     * @param insecure true: the network is safe
     * @return this
     */
    public Builder insecure(boolean insecure) {
      this.insecure = insecure;
      return this;
    }

    /**
     * Sets how long the streams of a new client try until a sidecar answers for the first time. After that,
     * {@link StreamOptions#reconnectFor} applies. An attempt to connect takes at most this time, and at most
     * 5 seconds.
     *
     * @param timeout above zero. Defaults to 10 s
     * @return this
     * @throws IllegalArgumentException if the time is not above zero
     */
    public Builder connectTimeout(Duration timeout) {
      if (timeout.isZero() || timeout.isNegative()) {
        throw new IllegalArgumentException("connectTimeout must be above zero");
      }
      connectTimeout = timeout;
      return this;
    }

    private CallCredentials bearerToken() {
      if (token == null) {
        return null;
      }
      Addresses.check(addresses);
      if (credentials instanceof InsecureChannelCredentials && !insecure) {
        BearerToken.requireLocal(addresses);
      }
      return new BearerToken(token);
    }

    /**
     * Sets how the client notices that a sidecar no longer responds.
     *
     * @param time how long a connection with calls may be silent before the client pings it; at least 10 s,
     *     gRPC's own limit. Defaults to 30 s
     * @param timeout how long the answer to a ping may take. Defaults to 10 s
     * @return this
     */
    public Builder keepAlive(Duration time, Duration timeout) {
      keepAliveTime = Objects.requireNonNull(time, "time");
      keepAliveTimeout = Objects.requireNonNull(timeout, "timeout");
      return this;
    }

    /**
     * Adds an interceptor of all calls, for metrics, traces or tokens.
     *
     * @param interceptor an interceptor of gRPC
     * @return this
     */
    public Builder intercept(ClientInterceptor interceptor) {
      interceptors.add(Objects.requireNonNull(interceptor, "interceptor"));
      return this;
    }

    /**
     * Makes the client. Does not connect yet.
     *
     * @return the client
     * @throws IllegalArgumentException if an address is malformed, if the addresses cannot be used together,
     *     if there are credentials for a unix socket, or if the token would leave the host without TLS
     */
    public CiosidecarClient build() {
      return new CiosidecarClient(this);
    }
  }
}

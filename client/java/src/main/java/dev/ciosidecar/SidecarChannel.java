package dev.ciosidecar;

import io.grpc.CallCredentials;
import io.grpc.ChannelCredentials;
import io.grpc.ClientInterceptor;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.shaded.io.netty.channel.Channel;
import io.grpc.netty.shaded.io.netty.channel.ChannelOption;
import io.grpc.netty.shaded.io.netty.channel.EventLoopGroup;
import io.grpc.netty.shaded.io.netty.channel.MultiThreadIoEventLoopGroup;
import io.grpc.netty.shaded.io.netty.channel.epoll.Epoll;
import io.grpc.netty.shaded.io.netty.channel.epoll.EpollDomainSocketChannel;
import io.grpc.netty.shaded.io.netty.channel.epoll.EpollIoHandler;
import io.grpc.netty.shaded.io.netty.channel.nio.NioIoHandler;
import io.grpc.netty.shaded.io.netty.channel.socket.nio.NioSocketChannel;
import io.grpc.stub.AbstractStub;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.stream.Stream;

/**
 * The connections to the sidecars, with threads of their own: a channel for all addresses and, for streams
 * with affinity, one for each.
 *
 * <p>gRPC would share its threads among all channels of the process and keep them for a while afterwards. The
 * threads of these channels end when they are closed.
 */
final class SidecarChannel implements AutoCloseable {
  private static final String SERVICE = "ciosidecar.v1.SidecarService";
  static final int MAX_MESSAGE_BYTES = 64 << 20;
  private static final long CLOSING_SECONDS = 10;

  // gRPC's own features: each address has a connection, addresses whose health is not SERVING get no calls,
  // calls take turns, and a unary call that is UNAVAILABLE is retried. Deliver is not: a retry could deliver
  // twice.
  private static final Map<String, ?> SERVICE_CONFIG =
      Map.of(
          "loadBalancingConfig", List.of(Map.of("round_robin", Map.of())),
          "healthCheckConfig", Map.of("serviceName", SERVICE),
          "methodConfig", List.of(
              Map.of(
                  "name", List.of(
                      Map.of("service", SERVICE, "method", "GetCapabilities"),
                      Map.of("service", SERVICE, "method", "CheckDestination"),
                      Map.of("service", SERVICE, "method", "Transform")),
                  "retryPolicy", Map.of(
                      "maxAttempts", 4.0,
                      "initialBackoff", "0.1s",
                      "maxBackoff", "2s",
                      "backoffMultiplier", 2.0,
                      "retryableStatusCodes", List.of("UNAVAILABLE")))));

  private final ExecutorService executor = Executors.newCachedThreadPool(threads("ciosidecar-"));
  private final EventLoopGroup eventLoop;
  // Different ones.
  private final List<String> addresses;
  private final Function<List<String>, ManagedChannel> newChannel;
  private final ManagedChannel channel;
  // Under the lock of this object. Made when a stream with affinity first needs them.
  private List<ManagedChannel> byAddress = List.of();
  private boolean closed;
  private final FirstConnection first;
  private final CallCredentials token;

  SidecarChannel(
      List<String> addresses,
      ChannelCredentials credentials,
      String serverName,
      Duration keepAliveTime,
      Duration keepAliveTimeout,
      List<ClientInterceptor> interceptors,
      CallCredentials token,
      FirstConnection first) {
    this.token = token;
    this.first = first;
    Addresses.check(addresses);
    boolean unix = addresses.stream().anyMatch(Addresses::isUnix);
    if (unix && !(credentials instanceof InsecureChannelCredentials)) {
      throw new IllegalArgumentException("a sidecar has no TLS on its unix sockets");
    }
    this.addresses = addresses.stream().distinct().toList();
    // Refuses addresses of different kinds before any thread is started.
    target(this.addresses);
    if (unix) {
      // The exception says why this platform has no unix sockets.
      Epoll.ensureAvailability();
    }
    Class<? extends Channel> kind = unix ? EpollDomainSocketChannel.class : NioSocketChannel.class;
    eventLoop =
        new MultiThreadIoEventLoopGroup(
            1,
            threads("ciosidecar-io-"),
            unix ? EpollIoHandler.newFactory() : NioIoHandler.newFactory());
    newChannel =
        called -> {
          NettyChannelBuilder builder =
              NettyChannelBuilder.forTarget(target(called), credentials)
                  .channelType(kind, null)
                  .eventLoopGroup(eventLoop)
                  .executor(executor)
                  .offloadExecutor(executor)
                  .maxInboundMessageSize(MAX_MESSAGE_BYTES)
                  .keepAliveTime(keepAliveTime.toMillis(), TimeUnit.MILLISECONDS)
                  .keepAliveTimeout(keepAliveTimeout.toMillis(), TimeUnit.MILLISECONDS)
                  // A sidecar is near; the proxies of the environment are for distant servers.
                  .proxyDetector(address -> null)
                  .disableServiceConfigLookUp()
                  .defaultServiceConfig(SERVICE_CONFIG)
                  // The last one is called first.
                  .intercept(new DetachedContext())
                  .intercept(interceptors);
          if (unix) {
            // gRPC sets TCP's keep-alive on every socket; netty would log a warning for each unix socket.
            builder.withOption(ChannelOption.SO_KEEPALIVE, null);
          }
          if (serverName != null) {
            builder.overrideAuthority(serverName);
          }
          return builder.build();
        };
    channel = newChannel.apply(this.addresses);
  }

  /** Returns the channel for all addresses. */
  ManagedChannel channel() {
    return channel;
  }

  /** Returns the addresses, each once. */
  List<String> addresses() {
    return addresses;
  }

  /**
   * Returns a channel for each address, in the order of {@link #addresses}.
   *
   * @throws IllegalArgumentException if there are not several addresses
   * @throws IllegalStateException if the client is closed
   */
  synchronized List<ManagedChannel> channelsByAddress() {
    if (addresses.size() < 2) {
      throw new IllegalArgumentException(
          "affinity needs a client with the addresses of several sidecars");
    }
    if (closed) {
      throw new IllegalStateException("the client is closed");
    }
    if (byAddress.isEmpty()) {
      byAddress = addresses.stream().map(List::of).map(newChannel).toList();
    }
    return byAddress;
  }

  /** Returns the stub with the token of this channel. */
  <S extends AbstractStub<S>> S authorized(S stub) {
    return token == null ? stub : stub.withCallCredentials(token);
  }

  FirstConnection firstConnection() {
    return first;
  }

  ConnectLimit connectLimit(ManagedChannel called) {
    return new ConnectLimit(called, first, eventLoop);
  }

  ScheduledExecutorService timers() {
    return eventLoop;
  }

  ExecutorService executor() {
    return executor;
  }

  /** Ends all calls and threads. Waits for the threads, except those in a caller's own code. */
  @Override
  public void close() {
    List<ManagedChannel> channels = allChannels();
    channels.forEach(ManagedChannel::shutdownNow);
    boolean interrupted = false;
    try {
      for (ManagedChannel each : channels) {
        each.awaitTermination(CLOSING_SECONDS, TimeUnit.SECONDS);
      }
    } catch (InterruptedException signal) {
      interrupted = true;
    }
    eventLoop.shutdownGracefully(0, CLOSING_SECONDS, TimeUnit.SECONDS);
    if (!interrupted) {
      try {
        eventLoop.awaitTermination(CLOSING_SECONDS, TimeUnit.SECONDS);
      } catch (InterruptedException signal) {
        interrupted = true;
      }
    }
    executor.shutdown();
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /** Returns all channels, and lets no other be made. */
  private synchronized List<ManagedChannel> allChannels() {
    closed = true;
    return Stream.concat(Stream.of(channel), byAddress.stream()).toList();
  }

  /** Returns one gRPC target for all addresses. */
  static String target(List<String> addresses) {
    if (addresses.stream().allMatch(Addresses::isUnix)
        || addresses.stream().allMatch(Addresses::isIpAndPort)) {
      return AddressListResolverProvider.target(addresses);
    }
    if (addresses.size() == 1) {
      return addresses.get(0);
    }
    throw new IllegalArgumentException(
        "several addresses must all be IP:port or all unix sockets; a name that stands for several"
            + " addresses can be given alone, as dns:///host:port");
  }

  private static ThreadFactory threads(String prefix) {
    AtomicInteger count = new AtomicInteger();
    return task -> {
      Thread thread = new Thread(task, prefix + count.incrementAndGet());
      thread.setDaemon(true);
      return thread;
    };
  }
}

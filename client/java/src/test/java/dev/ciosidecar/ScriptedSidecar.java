package dev.ciosidecar;

import dev.ciosidecar.v1.Batch;
import dev.ciosidecar.v1.DeliverRequest;
import dev.ciosidecar.v1.DeliverResponse;
import dev.ciosidecar.v1.Drain;
import dev.ciosidecar.v1.EventDetail;
import dev.ciosidecar.v1.Limits;
import dev.ciosidecar.v1.OpenStream;
import dev.ciosidecar.v1.Results;
import dev.ciosidecar.v1.SidecarServiceGrpc;
import dev.ciosidecar.v1.StreamOpened;
import dev.ciosidecar.v1.TransformRequest;
import dev.ciosidecar.v1.TransformResponse;
import dev.ciosidecar.v1.TransformStreamRequest;
import dev.ciosidecar.v1.TransformStreamResponse;
import dev.ciosidecar.v1.UpsertDestinations;
import io.grpc.Server;
import io.grpc.ServerInterceptor;
import io.grpc.ServerInterceptors;
import io.grpc.Status;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.protobuf.services.HealthStatusManager;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;

/**
 * A sidecar that a test scripts, over a real socket. Each stream has a script; the last script serves all
 * further streams too.
 */
final class ScriptedSidecar implements AutoCloseable {
  private static final long TIMEOUT_S = 30;
  private static final String SERVICE = "ciosidecar.v1.SidecarService";

  /** The behaviour of the sidecar on one stream. */
  interface Script {
    void play(Caller caller) throws Exception;
  }

  /** Answers everything with 200 until the caller has finished. */
  static final Script ANSWERING =
      caller -> {
        caller.open();
        caller.answerEverything();
      };

  final List<Caller> callers = new CopyOnWriteArrayList<>();
  private final List<Script> scripts;
  private final ExecutorService threads = Executors.newCachedThreadPool();
  private final HealthStatusManager health = new HealthStatusManager();
  private final Server server;
  /** The requests of Deliver that arrived. */
  final List<DeliverRequest> delivers = new CopyOnWriteArrayList<>();

  private volatile Runnable called = () -> {};
  private volatile DeliverResponse delivered;

  ScriptedSidecar(Script... scripts) throws Exception {
    this(List.of(), scripts);
  }

  ScriptedSidecar(List<ServerInterceptor> interceptors, Script... scripts) throws Exception {
    this.scripts = List.of(scripts);
    health.setStatus(SERVICE, ServingStatus.SERVING);
    server =
        NettyServerBuilder.forAddress(new InetSocketAddress("127.0.0.1", 0))
            .executor(threads)
            .addService(ServerInterceptors.intercept(new Service(), interceptors))
            .addService(health.getHealthService())
            .build()
            .start();
  }

  String address() {
    return "127.0.0.1:" + server.getPort();
  }

  @Override
  public void close() {
    server.shutdownNow();
    try {
      server.awaitTermination(TIMEOUT_S, TimeUnit.SECONDS);
    } catch (InterruptedException interrupt) {
      Thread.currentThread().interrupt();
    }
    threads.shutdownNow();
  }

  /** Sends a GOAWAY on each connection and takes no further ones. Calls under way go on. */
  void goAway() {
    server.shutdown();
  }

  /** Sets the health to NOT_SERVING. The sidecar would still answer. */
  void fallIll() {
    health.setStatus(SERVICE, ServingStatus.NOT_SERVING);
  }

  /** Sets what runs when a unary Transform arrives, which is never answered. */
  void whenCalled(Runnable callback) {
    called = callback;
  }

  /** Sets the answer to Deliver. Without one, the call fails with UNAVAILABLE. */
  void answerDeliver(DeliverResponse response) {
    delivered = response;
  }

  private final class Service extends SidecarServiceGrpc.SidecarServiceImplBase {
    @Override
    public void transform(
        TransformRequest request, StreamObserver<TransformResponse> responses) {
      called.run();
    }

    @Override
    public void deliver(DeliverRequest request, StreamObserver<DeliverResponse> responses) {
      delivers.add(request);
      if (delivered == null) {
        responses.onError(Status.UNAVAILABLE.asRuntimeException());
        return;
      }
      responses.onNext(delivered);
      responses.onCompleted();
    }

    @Override
    public synchronized StreamObserver<TransformStreamRequest> transformStream(
        StreamObserver<TransformStreamResponse> responses) {
      Caller caller = new Caller(responses);
      // Without a handler, a script that answers a cancelled call would fail.
      ((ServerCallStreamObserver<TransformStreamResponse>) responses).setOnCancelHandler(() -> {});
      Script script = scripts.get(Math.min(callers.size(), scripts.size() - 1));
      callers.add(caller);
      threads.execute(() -> caller.play(script));
      return caller;
    }
  }

  /** One stream, from the sidecar's side. */
  static final class Caller implements StreamObserver<TransformStreamRequest> {
    /** The batches that arrived. */
    final List<Batch> batches = new CopyOnWriteArrayList<>();

    /** The configs of the declared destinations, by reference id. */
    final Map<Integer, String> declared = new ConcurrentHashMap<>();

    /** The configs of the declared connections, by reference id. */
    final Map<Integer, String> connections = new ConcurrentHashMap<>();

    private final StreamObserver<TransformStreamResponse> responses;
    private final BlockingQueue<Optional<TransformStreamRequest>> requests =
        new LinkedBlockingQueue<>();

    Caller(StreamObserver<TransformStreamResponse> responses) {
      this.responses = responses;
    }

    /** Returns the number of events in each batch. */
    List<Integer> batchSizes() {
      return batches.stream().map(Batch::getItemsCount).toList();
    }

    void play(Script script) {
      try {
        script.play(this);
        responses.onCompleted();
      } catch (Ended end) {
        responses.onError(end.status.asRuntimeException());
      } catch (Throwable fault) {
        responses.onError(Status.DATA_LOSS.withDescription(fault.toString()).asRuntimeException());
      }
    }

    /** Receives OpenStream without answering. */
    OpenStream receive() throws InterruptedException {
      return next().orElseThrow().getOpen();
    }

    /** Receives OpenStream and answers it. */
    OpenStream open() throws InterruptedException {
      return open(Limits.newBuilder().setMaxBatchEvents(10_000).setMaxDestinations(1_000));
    }

    OpenStream open(Limits.Builder limits) throws InterruptedException {
      OpenStream open = receive();
      responses.onNext(
          TransformStreamResponse.newBuilder()
              .setOpened(StreamOpened.newBuilder().setLimits(limits))
              .build());
      return open;
    }

    /** Receives the next batch. Returns nothing after the caller has finished. */
    Optional<Batch> batch() throws InterruptedException {
      while (true) {
        Optional<TransformStreamRequest> request = next();
        if (request.isEmpty() || request.get().hasFinish()) {
          return Optional.empty();
        }
        if (request.get().hasBatch()) {
          batches.add(request.get().getBatch());
          return Optional.of(request.get().getBatch());
        }
        UpsertDestinations upsert = request.get().getUpsertDestinations();
        upsert
            .getDestinationsList()
            .forEach(
                destination ->
                    declared.put(
                        destination.getReferenceId(), destination.getConfigJson().toStringUtf8()));
        upsert
            .getConnectionsList()
            .forEach(
                connection ->
                    connections.put(
                        connection.getReferenceId(), connection.getConfigJson().toStringUtf8()));
      }
    }

    private Optional<TransformStreamRequest> next() throws InterruptedException {
      Optional<TransformStreamRequest> request = requests.poll(TIMEOUT_S, TimeUnit.SECONDS);
      if (request == null) {
        throw new IllegalStateException("the caller sent nothing more");
      }
      return request;
    }

    /** Answers all of a batch with 200. */
    void answer(Batch batch) {
      answer(batch, true, IntStream.range(0, batch.getItemsCount()).toArray());
    }

    /** Answers some positions of a batch with 200. */
    void answer(Batch batch, boolean complete, int... positions) {
      Results.Builder results =
          Results.newBuilder().setBatchId(batch.getBatchId()).setBatchComplete(complete);
      for (int position : positions) {
        results.addPositions(position).addStatuses(200);
      }
      send(results);
    }

    void send(Results.Builder results) {
      responses.onNext(TransformStreamResponse.newBuilder().setResults(results).build());
    }

    /** Answers every batch until the caller has finished. */
    void answerEverything() throws InterruptedException {
      Optional<Batch> batch;
      while ((batch = batch()).isPresent()) {
        answer(batch.get());
      }
    }

    /** Answers one position with a detail. */
    void detail(Batch batch, int status, EventDetail.Builder detail) {
      send(
          Results.newBuilder()
              .setBatchId(batch.getBatchId())
              .setFirstPosition(detail.getPosition())
              .addStatuses(status)
              .addDetails(detail)
              .setBatchComplete(true));
    }

    /** Announces that the sidecar is shutting down. */
    void drain() {
      responses.onNext(
          TransformStreamResponse.newBuilder().setDrain(Drain.getDefaultInstance()).build());
    }

    /** Ends the stream with a status, after the earlier answers. */
    Ended fail(Status status) {
      return new Ended(status);
    }

    @Override
    public void onNext(TransformStreamRequest request) {
      requests.add(Optional.of(request));
    }

    @Override
    public void onError(Throwable failure) {
      requests.add(Optional.empty());
    }

    @Override
    public void onCompleted() {
      requests.add(Optional.empty());
    }
  }

  static final class Ended extends Exception {
    private static final long serialVersionUID = 1L;
    private final transient Status status;

    Ended(Status status) {
      this.status = status;
    }
  }
}

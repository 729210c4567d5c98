package dev.ciosidecar;

import dev.ciosidecar.v1.Batch;
import dev.ciosidecar.v1.Detail;
import dev.ciosidecar.v1.Drain;
import dev.ciosidecar.v1.Limits;
import dev.ciosidecar.v1.Open;
import dev.ciosidecar.v1.Opened;
import dev.ciosidecar.v1.Results;
import dev.ciosidecar.v1.SidecarServiceGrpc;
import dev.ciosidecar.v1.TransformRequest;
import dev.ciosidecar.v1.TransformResponse;
import dev.ciosidecar.v1.TransformStreamRequest;
import dev.ciosidecar.v1.TransformStreamResponse;
import dev.ciosidecar.v1.UpsertDestinations;
import io.grpc.Server;
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
 * A sidecar that does what a test tells it to, over a real socket: one script a stream, the last for all that
 * follow.
 */
final class ScriptedSidecar implements AutoCloseable {
  private static final long PATIENCE_S = 30;
  private static final String SERVICE = "ciosidecar.v1.SidecarService";

  /** What the sidecar does with one stream. */
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
  private volatile Runnable called = () -> {};

  ScriptedSidecar(Script... scripts) throws Exception {
    this.scripts = List.of(scripts);
    health.setStatus(SERVICE, ServingStatus.SERVING);
    server =
        NettyServerBuilder.forAddress(new InetSocketAddress("127.0.0.1", 0))
            .executor(threads)
            .addService(new Service())
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
      server.awaitTermination(PATIENCE_S, TimeUnit.SECONDS);
    } catch (InterruptedException interrupt) {
      Thread.currentThread().interrupt();
    }
    threads.shutdownNow();
  }

  /** Its health is NOT_SERVING from now on; it would answer all the same. */
  void fallIll() {
    health.setStatus(SERVICE, ServingStatus.NOT_SERVING);
  }

  /** A unary transform is never answered; the test is told that it came. */
  void whenCalled(Runnable told) {
    called = told;
  }

  private final class Service extends SidecarServiceGrpc.SidecarServiceImplBase {
    @Override
    public void transform(
        TransformRequest request, StreamObserver<TransformResponse> responses) {
      called.run();
    }

    @Override
    public synchronized StreamObserver<TransformStreamRequest> transformStream(
        StreamObserver<TransformStreamResponse> responses) {
      Caller caller = new Caller(responses);
      // With this, answering a caller who has left is no fault of the script's.
      ((ServerCallStreamObserver<TransformStreamResponse>) responses).setOnCancelHandler(() -> {});
      Script script = scripts.get(Math.min(callers.size(), scripts.size() - 1));
      callers.add(caller);
      threads.execute(() -> caller.play(script));
      return caller;
    }
  }

  /** One stream, from the sidecar's side. */
  static final class Caller implements StreamObserver<TransformStreamRequest> {
    /** The batches that came. */
    final List<Batch> batches = new CopyOnWriteArrayList<>();

    /** Configs of the destinations that were declared, by number. */
    final Map<Integer, String> declared = new ConcurrentHashMap<>();

    /** The same of connections. */
    final Map<Integer, String> connections = new ConcurrentHashMap<>();

    private final StreamObserver<TransformStreamResponse> responses;
    private final BlockingQueue<Optional<TransformStreamRequest>> requests =
        new LinkedBlockingQueue<>();

    Caller(StreamObserver<TransformStreamResponse> responses) {
      this.responses = responses;
    }

    /** How many events each batch had. */
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

    /** Takes Open and says nothing. */
    Open hear() throws InterruptedException {
      return next().orElseThrow().getOpen();
    }

    /** Takes Open and answers it. */
    Open open() throws InterruptedException {
      return open(Limits.newBuilder().setMaxBatchEvents(10_000).setMaxDestinations(1_000));
    }

    Open open(Limits.Builder limits) throws InterruptedException {
      Open open = hear();
      responses.onNext(
          TransformStreamResponse.newBuilder()
              .setOpened(Opened.newBuilder().setLimits(limits))
              .build());
      return open;
    }

    /** The next batch; nothing once the caller has finished. */
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
            .forEach(one -> declared.put(one.getNumber(), one.getConfigJson().toStringUtf8()));
        upsert
            .getConnectionsList()
            .forEach(one -> connections.put(one.getNumber(), one.getConfigJson().toStringUtf8()));
      }
    }

    private Optional<TransformStreamRequest> next() throws InterruptedException {
      Optional<TransformStreamRequest> request = requests.poll(PATIENCE_S, TimeUnit.SECONDS);
      if (request == null) {
        throw new IllegalStateException("the caller said nothing more");
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
      say(results);
    }

    void say(Results.Builder results) {
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
    void detail(Batch batch, int status, Detail.Builder detail) {
      say(
          Results.newBuilder()
              .setBatchId(batch.getBatchId())
              .setFirstPosition(detail.getPosition())
              .addStatuses(status)
              .addDetails(detail)
              .setBatchComplete(true));
    }

    /** Says that the sidecar is going away. */
    void drain() {
      responses.onNext(
          TransformStreamResponse.newBuilder().setDrain(Drain.getDefaultInstance()).build());
    }

    /** Ends the stream with a status, after what was answered. */
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

package dev.ciosidecar.polyglot;

import dev.ciosidecar.v1.SidecarServiceGrpc;
import io.grpc.CallOptions;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.ClientResponseObserver;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Base64;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/** A stream without the client: messages are sent and received as bytes. */
final class RawCall implements ClientResponseObserver<byte[], byte[]> {
  private static final int MAX_MESSAGE_BYTES = 64 << 20;

  /** Passes messages on as bytes, so that malformed messages can be sent too. */
  private static final MethodDescriptor.Marshaller<byte[]> BYTES =
      new MethodDescriptor.Marshaller<>() {
        @Override
        public InputStream stream(byte[] message) {
          return new ByteArrayInputStream(message);
        }

        @Override
        public byte[] parse(InputStream message) {
          try {
            return message.readAllBytes();
          } catch (IOException failure) {
            throw new UncheckedIOException(failure);
          }
        }
      };

  private final Lines lines;
  private final long cancelAfter;
  private final CompletableFuture<Status> ended = new CompletableFuture<>();
  private final Semaphore ready = new Semaphore(0);
  private ClientCallStreamObserver<byte[]> requests;
  private long answers;

  private RawCall(Lines lines, long cancelAfter) {
    this.lines = lines;
    this.cancelAfter = cancelAfter;
  }

  static void play(Scenario scenario, Lines lines) throws Exception {
    ManagedChannel channel =
        Grpc.newChannelBuilder(scenario.addresses()[0], scenario.credentials())
            .maxInboundMessageSize(MAX_MESSAGE_BYTES)
            .build();
    CallOptions options =
        scenario
            .deadline()
            .map(limit -> CallOptions.DEFAULT.withDeadlineAfter(limit.toNanos(), TimeUnit.NANOSECONDS))
            .orElse(CallOptions.DEFAULT);
    RawCall call = new RawCall(lines, scenario.cancelAfter());
    ClientCalls.asyncBidiStreamingCall(
        channel.newCall(
            SidecarServiceGrpc.getTransformStreamMethod().toBuilder(BYTES, BYTES).build(), options),
        call);
    // The suite may wait for the end of the call before it sends the next line, so a daemon thread reads
    // lines.
    Thread feeding = new Thread(call::feed, "feeding");
    feeding.setDaemon(true);
    feeding.start();
    Status status = call.ended.get();
    lines.writeEnd(
        status.getCode().name(),
        status.getDescription() == null ? "" : status.getDescription(),
        0);
    channel.shutdownNow();
  }

  private void feed() {
    try {
      byte[] line;
      while (!ended.isDone() && (line = lines.event()) != null) {
        while (!requests.isReady() && !ended.isDone()) {
          ready.acquire();
        }
        requests.onNext(Base64.getDecoder().decode(line));
      }
      requests.onCompleted();
    } catch (IOException | InterruptedException | RuntimeException fault) {
      requests.cancel("the input cannot be sent: " + fault, fault);
    }
  }

  @Override
  public void beforeStart(ClientCallStreamObserver<byte[]> requests) {
    this.requests = requests;
    requests.setOnReadyHandler(ready::release);
  }

  @Override
  public void onNext(byte[] response) {
    lines.writeResponse(Base64.getEncoder().encodeToString(response));
    answers++;
    if (answers == cancelAfter) {
      requests.cancel("the scenario asks for it", null);
    }
  }

  @Override
  public void onError(Throwable failure) {
    end(Status.fromThrowable(failure));
  }

  @Override
  public void onCompleted() {
    end(Status.OK);
  }

  private void end(Status status) {
    ended.complete(status);
    ready.release();
  }
}

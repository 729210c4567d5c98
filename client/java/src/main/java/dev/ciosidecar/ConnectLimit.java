package dev.ciosidecar;

import io.grpc.Attributes;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ClientStreamTracer;
import io.grpc.ConnectivityState;
import io.grpc.Context;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.stub.AbstractStub;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/** Cancels a call whose connection is not established within the time limit of an attempt. */
final class ConnectLimit {
  private static final Status NOT_CONNECTED =
      Status.UNAVAILABLE.withDescription("the attempt to connect got no answer");

  private final ManagedChannel channel;
  private final FirstConnection first;
  private final ScheduledExecutorService timers;
  private volatile boolean connected;
  private volatile boolean passed;

  ConnectLimit(ManagedChannel channel, FirstConnection first, ScheduledExecutorService timers) {
    this.channel = channel;
    this.first = first;
    this.timers = timers;
  }

  /** The use of a stub for one call. */
  interface Call<S, R, F extends Exception> {
    R make(S stub) throws F;
  }

  /** Makes a call, which gRPC's current context cancels, and returns what it returns. */
  <S extends AbstractStub<S>, R, F extends Exception> R apply(S stub, Call<S, R, F> call)
      throws F {
    if (first.isMade()) {
      return call.make(stub);
    }
    Context.CancellableContext context = Context.current().withCancellation();
    Runnable check =
        () -> {
          ConnectivityState state = channel.getState(false);
          // The state says nothing of a call that has a connection: after a GOAWAY, the channel connects anew.
          // In TRANSIENT_FAILURE the call fails by itself, with the reason.
          if (!connected
              && (state == ConnectivityState.CONNECTING || state == ConnectivityState.IDLE)) {
            passed = true;
            context.cancel(null);
          }
        };
    Future<?> timer = timers.schedule(check, first.attemptMs(), TimeUnit.MILLISECONDS);
    Context previous = context.attach();
    try {
      return call.make(stub.withInterceptors(new Watch()));
    } finally {
      context.detach(previous);
      timer.cancel(false);
      context.cancel(null);
    }
  }

  /** Returns the status of the call: that it was cancelled here, or the given one. */
  Status statusOr(Status status) {
    return passed && status.getCode() == Status.Code.CANCELLED ? NOT_CONNECTED : status;
  }

  /** Notes that a call has a connection. */
  private final class Watch implements ClientInterceptor {
    private final ClientStreamTracer tracer =
        new ClientStreamTracer() {
          @Override
          public void streamCreated(Attributes transport, Metadata headers) {
            connected = true;
          }
        };
    private final ClientStreamTracer.Factory tracers =
        new ClientStreamTracer.Factory() {
          @Override
          public ClientStreamTracer newClientStreamTracer(
              ClientStreamTracer.StreamInfo info, Metadata headers) {
            return tracer;
          }
        };

    @Override
    public <Q, P> ClientCall<Q, P> interceptCall(
        MethodDescriptor<Q, P> method, CallOptions options, Channel next) {
      return next.newCall(method, options.withStreamTracerFactory(tracers));
    }
  }
}

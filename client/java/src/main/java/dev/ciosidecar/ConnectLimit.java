package dev.ciosidecar;

import io.grpc.ConnectivityState;
import io.grpc.Context;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import java.util.concurrent.Callable;
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
  private volatile boolean passed;

  ConnectLimit(ManagedChannel channel, FirstConnection first, ScheduledExecutorService timers) {
    this.channel = channel;
    this.first = first;
    this.timers = timers;
  }

  /** Makes a call, which gRPC's current context cancels, and returns what it returns. */
  <R> R apply(Callable<R> call) throws Exception {
    if (first.isMade()) {
      return call.call();
    }
    Context.CancellableContext context = Context.current().withCancellation();
    Runnable check =
        () -> {
          ConnectivityState state = channel.getState(false);
          // In TRANSIENT_FAILURE the call fails by itself, with the reason.
          if (state == ConnectivityState.CONNECTING || state == ConnectivityState.IDLE) {
            passed = true;
            context.cancel(null);
          }
        };
    Future<?> timer = timers.schedule(check, first.attemptMs(), TimeUnit.MILLISECONDS);
    try {
      return context.call(call);
    } finally {
      timer.cancel(false);
      context.cancel(null);
    }
  }

  /** Returns the status of the call: that it was cancelled here, or the given one. */
  Status statusOr(Status status) {
    return passed && status.getCode() == Status.Code.CANCELLED ? NOT_CONNECTED : status;
  }
}

package dev.ciosidecar;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.Deadline;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.ForwardingClientCallListener.SimpleForwardingClientCallListener;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;

/**
 * Makes each call in gRPC's root context. The end of the caller's context still cancels the call.
 *
 * <p>The thread of a call may also do work of the channel, such as starting a health check. A health check
 * belongs to the context in which it was started: it would be cancelled with the context of that call, and
 * its address would get no calls until the next health check.
 */
final class DetachedContext implements ClientInterceptor {
  @Override
  public <Q, R> ClientCall<Q, R> interceptCall(
      MethodDescriptor<Q, R> method, CallOptions options, Channel next) {
    Context caller = Context.current();
    CallOptions bounded = options.withDeadline(earlier(options.getDeadline(), caller.getDeadline()));
    Context previous = Context.ROOT.attach();
    try {
      return new DetachedCall<>(next.newCall(method, bounded), caller);
    } finally {
      Context.ROOT.detach(previous);
    }
  }

  private static Deadline earlier(Deadline one, Deadline other) {
    if (one == null || other == null) {
      return one == null ? other : one;
    }
    return one.minimum(other);
  }

  private static final class DetachedCall<Q, R> extends SimpleForwardingClientCall<Q, R> {
    private final Context caller;
    private final Context.CancellationListener cancelling;
    private volatile boolean closed;
    // Under the lock of this object: gRPC takes no message of a call that was cancelled.
    private boolean ended;

    DetachedCall(ClientCall<Q, R> call, Context caller) {
      super(call);
      this.caller = caller;
      cancelling =
          context -> {
            Status status = Contexts.statusFromCancelled(context);
            // The deadline of the context is the call's own, too.
            if (status.getCode() != Status.Code.DEADLINE_EXCEEDED) {
              end(status);
            }
          };
    }

    private synchronized void end(Status status) {
      ended = true;
      cancel(status.getDescription(), status.getCause());
    }

    @Override
    public synchronized void sendMessage(Q message) {
      if (!ended) {
        super.sendMessage(message);
      }
    }

    @Override
    public synchronized void halfClose() {
      if (!ended) {
        super.halfClose();
      }
    }

    @Override
    public void start(Listener<R> listener, Metadata headers) {
      Context previous = Context.ROOT.attach();
      try {
        super.start(new ClosingListener(listener), headers);
      } finally {
        Context.ROOT.detach(previous);
      }
      // A call cannot be cancelled before it is started. If the context has ended already, it is cancelled now.
      caller.addListener(cancelling, Runnable::run);
      if (closed) {
        caller.removeListener(cancelling);
      }
    }

    private final class ClosingListener extends SimpleForwardingClientCallListener<R> {
      ClosingListener(ClientCall.Listener<R> listener) {
        super(listener);
      }

      @Override
      public void onClose(Status status, Metadata trailers) {
        closed = true;
        caller.removeListener(cancelling);
        super.onClose(status, trailers);
      }
    }
  }
}

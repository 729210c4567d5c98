package dev.ciosidecar;

import dev.ciosidecar.v1.SidecarServiceGrpc;
import dev.ciosidecar.v1.SidecarServiceGrpc.SidecarServiceStub;
import io.grpc.Deadline;
import io.grpc.Status;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.TimeUnit;

/** Keeps a lane connected until all events of its stream are answered or the stream fails. */
final class StreamLoop<T> implements Runnable {
  // A broken connection may end in INTERNAL too.
  private static final Set<Status.Code> RETRYABLE =
      Set.of(Status.Code.OK, Status.Code.UNAVAILABLE, Status.Code.ABORTED, Status.Code.INTERNAL);

  private final SidecarChannel sidecars;
  private final StreamState<T> state;
  private final Lane<T> lane;
  private final ReconnectBackoff backoff;
  private final Deadline deadline;

  StreamLoop(SidecarChannel sidecars, StreamState<T> state, Lane<T> lane) {
    this.sidecars = sidecars;
    this.state = state;
    this.lane = lane;
    this.backoff = new ReconnectBackoff(
            state.options.reconnectFor(), new Random(), sidecars.firstConnection(), System.nanoTime());
    this.deadline =
        state.options.deadline()
            .map(limit -> Deadline.after(limit.toNanos(), TimeUnit.NANOSECONDS))
            .orElse(null);
  }

  @Override
  public void run() {
    SidecarException failure;
    try {
      keepConnected();
      return;
    } catch (SidecarException reason) {
      failure = reason;
    } catch (InterruptedException | RuntimeException | Error fault) {
      // Without this, senders and the subscriber would wait for ever.
      failure = new SidecarException(Status.Code.INTERNAL, "a fault of the client: " + fault, fault);
    }
    state.lock.lock();
    try {
      state.fail(failure);
    } finally {
      state.lock.unlock();
    }
  }

  private void keepConnected() throws InterruptedException {
    SidecarServiceStub stub = sidecars.authorized(SidecarServiceGrpc.newStub(lane.channel));
    if (deadline != null) {
      stub = stub.withDeadline(deadline);
    }
    while (true) {
      long beganNanos = System.nanoTime();
      long answeredBefore = answered();
      Status status = oneCall(stub);
      if (!backOff(status, beganNanos, answeredBefore)) {
        return;
      }
      // gRPC's own backoff would be added to this one, and grow to two minutes.
      lane.channel.resetConnectBackoff();
    }
  }

  private Status oneCall(SidecarServiceStub stub) throws InterruptedException {
    ConnectLimit limit = sidecars.connectLimit(lane.channel);
    StreamCall<T> call = new StreamCall<>(state, lane, sidecars.firstConnection());
    return limit.statusOr(limit.apply(stub, call::run));
  }

  private long answered() {
    state.lock.lock();
    try {
      return lane.outstanding.answered();
    } finally {
      state.lock.unlock();
    }
  }

  /** Waits before the next call. Returns false if there is to be no other call. */
  private boolean backOff(Status status, long beganNanos, long answeredBefore)
      throws InterruptedException {
    state.lock.lock();
    try {
      if (!needsCall()) {
        return false;
      }
      boolean cancelled = state.fault != null && status.getCode() == Status.Code.CANCELLED;
      if (!cancelled && !RETRYABLE.contains(status.getCode())) {
        throw SidecarException.of(status, null);
      }
      long lastedNanos = System.nanoTime() - beganNanos;
      boolean progress = lane.outstanding.answered() > answeredBefore;
      state
          .lost(lane, ReconnectBackoff.wasUseful(lastedNanos, progress))
          .ifPresent(backoff::connectedAt);
      long delayMs =
          backoff.nextDelayMs(
              System.nanoTime(),
              lastedNanos,
              progress,
              status.isOk() ? "the sidecar ended the stream" : SidecarException.describe(status));
      long leftNanos = TimeUnit.MILLISECONDS.toNanos(delayMs);
      if (deadline != null) {
        leftNanos = Math.min(leftNanos, deadline.timeRemaining(TimeUnit.NANOSECONDS));
      }
      while (leftNanos > 0 && needsCall()) {
        leftNanos = lane.toSend.awaitNanos(leftNanos);
      }
      if (!needsCall()) {
        return false;
      }
      state.reconnects++;
      return true;
    } finally {
      state.lock.unlock();
    }
  }

  /** Returns whether the lane is to have another call. Throws the fault that ends the stream, if any does. */
  private boolean needsCall() {
    if (state.isOver() || !state.isDone()) {
      return !state.isOver();
    }
    if (state.fault != null) {
      throw state.fault;
    }
    return false;
  }
}

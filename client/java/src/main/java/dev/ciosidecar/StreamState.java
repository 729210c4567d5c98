package dev.ciosidecar;

import dev.ciosidecar.v1.Limits;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * The state that the threads of one stream share: those that send events, those that keep the connections,
 * gRPC's, and the subscriber's. All of it is read and written under the lock.
 */
final class StreamState<T> {
  /** How long a stream with affinity waits for its other lanes once the first one is connected. */
  private static final long SETTLE_MS = 500;

  final ReentrantLock lock = new ReentrantLock();
  /** Signalled when another event may be admitted, or when no event ever will be. */
  final Condition capacity = lock.newCondition();

  final AnswerQueue<T> answers;
  final List<Lane<T>> lanes;
  final StreamOptions options;
  /** Null without affinity. */
  private final AffinityRouter<T> router;
  private final ScheduledExecutorService timers;

  /** True: no event will be added. */
  boolean finished;
  /** True: the caller closed the stream. No event is sent, added or answered. */
  boolean closed;
  /** Why no event is sent any more, although sent events are still answered; null if events are sent. */
  SidecarException fault;
  /** Why there will be no other connection; null if there may be one. */
  SidecarException failure;
  int reconnects;
  /** The subscription that passes on the answers; null before there is a subscriber. */
  AnswerSubscription<T> subscription;
  private boolean settling;
  /** The time at which the last lane of several lost its connection. */
  private OptionalLong connectedUntilNanos = OptionalLong.empty();

  StreamState(SidecarChannel sidecars, StreamOptions options) {
    this.options = options;
    this.timers = sidecars.timers();
    this.answers = new AnswerQueue<>(options.unordered());
    boolean hasAffinity = options.affinity() == Affinity.PERSON;
    List<ManagedChannel> channels =
        hasAffinity ? sidecars.channelsByAddress() : List.of(sidecars.channel());
    List<Lane<T>> made = new ArrayList<>();
    for (ManagedChannel channel : channels) {
      made.add(
          new Lane<>(
              made.size(),
              channel,
              new OutstandingEvents<>(answers, options),
              options,
              lock.newCondition()));
    }
    this.lanes = List.copyOf(made);
    this.router =
        hasAffinity
            ? new AffinityRouter<>(
                sidecars.addresses(),
                lanes.stream().map(lane -> lane.outstanding).toList(),
                lane -> lanes.get(lane).linger())
            : null;
  }

  /** Returns whether the event's person chooses the lane. Needs no lock. */
  boolean hasAffinity() {
    return router != null;
  }

  /** Returns whether flow control admits another event. */
  boolean hasCapacity() {
    // One event is always admitted, however large: it could never be sent otherwise.
    return answers.count() == 0
        || (answers.count() < options.maxOutstandingEvents()
            && answers.bytes() < options.maxOutstandingBytes());
  }

  /** Adds an event, which lingers for others to share its batch. */
  void add(OutstandingEvent<T> event) {
    if (hasAffinity()) {
      router.place(event);
    } else {
      lanes.get(0).outstanding.enqueue(event);
      lanes.get(0).linger();
    }
  }

  /** Sends the waiting events of all lanes at once. */
  void sendNow() {
    lanes.forEach(Lane::sendNow);
  }

  /** Returns whether any event was sent and has no result. */
  boolean hasSent() {
    return lanes.stream().anyMatch(lane -> lane.outstanding.hasSent());
  }

  /** Handles that a lane's sidecar takes events. */
  void opened(Lane<T> lane, Limits limits) {
    lane.outstanding.connect(limits);
    if (hasAffinity()) {
      router.opened(lane.index);
      if (!router.isSettled() && !settling) {
        settling = true;
        timers.schedule(this::settle, SETTLE_MS, TimeUnit.MILLISECONDS);
      }
    }
    sendNow();
  }

  private void settle() {
    lock.lock();
    try {
      router.settle();
    } finally {
      lock.unlock();
    }
  }

  /** Handles results of a lane. */
  void recorded(Lane<T> lane, RecordedResults<T> results) {
    if (hasAffinity()) {
      router.answered(results.answered());
      router.returned(lane.index, results.returned());
      if (!results.returned().isEmpty() || isDone()) {
        sendNow();
      }
    }
    wakeSubscriber();
  }

  /** Handles that a lane's sidecar drains. */
  void draining(Lane<T> lane) {
    if (hasAffinity()) {
      router.draining(lane.index);
      sendNow();
    }
    lane.toSend.signalAll();
  }

  /**
   * Handles the end of a lane's call that another one follows.
   *
   * @param useful whether the call answered anything or lasted
   * @return the time at which any lane last had a connection; empty if none has had one, or without affinity
   */
  OptionalLong lost(Lane<T> lane, boolean useful) {
    if (!hasAffinity()) {
      return OptionalLong.empty();
    }
    boolean wasConnected = router.isConnected();
    router.lost(lane.index);
    sendNow();
    if (router.isConnected()) {
      return OptionalLong.of(System.nanoTime());
    }
    if (useful && wasConnected) {
      connectedUntilNanos = OptionalLong.of(System.nanoTime());
    }
    return connectedUntilNanos;
  }

  /** Stops sending because of a lane's fault. The first fault stays. */
  void stopSending(Lane<T> lane, Throwable reason) {
    if (fault == null) {
      fault = new SidecarException(Status.Code.INTERNAL, "a fault of the client: " + reason, reason);
    }
    if (hasAffinity()) {
      router.drop();
      sendNow();
    } else {
      lane.outstanding.takeWaiting();
    }
    capacity.signalAll();
  }

  /** Returns whether a lane will never have another event to send. */
  boolean hasSentAll(Lane<T> lane) {
    if (hasAffinity()) {
      // The lane may still get events of a lane whose sidecar goes away.
      return isDone();
    }
    return (finished || fault != null) && !lane.outstanding.hasWaiting();
  }

  /** Returns whether all events have results and none will be added. */
  boolean isDone() {
    return (finished || fault != null)
        && lanes.stream().noneMatch(lane -> lane.outstanding.hasUnanswered())
        && !(hasAffinity() && router.holdsEvents());
  }

  /** Returns whether the stream has failed or was closed: no lane opens another call. */
  boolean isOver() {
    return failure != null;
  }

  /** Fails the stream: there will be no other connection. The first reason stays. */
  void fail(SidecarException reason) {
    if (failure == null) {
      failure = reason;
    }
    lanes.forEach(lane -> lane.toSend.signalAll());
    capacity.signalAll();
    wakeSubscriber();
  }

  /** Closes the stream for the caller. */
  void close() {
    closed = true;
    fail(new SidecarException(Status.Code.CANCELLED, "the stream was closed"));
  }

  void wakeSubscriber() {
    if (subscription != null) {
      subscription.wake();
    }
  }
}

package dev.ciosidecar;

import dev.ciosidecar.v1.TransformStreamRequest;
import io.grpc.Status;
import java.util.List;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * The state that the threads of one stream share: those that send events, the one that keeps the connection,
 * gRPC's, and the subscriber's. All of it is read and written under the lock.
 */
final class StreamState<T> {
  final ReentrantLock lock = new ReentrantLock();
  /** Signalled when there may be something to send, or when the connection has changed. */
  final Condition toSend = lock.newCondition();
  /** Signalled when another event may be admitted, or when no event ever will be. */
  final Condition capacity = lock.newCondition();

  final OutstandingEvents<T> outstanding;
  final StreamOptions options;
  private final long lingerNanos;

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

  /** The time at which the oldest waiting event is sent. Meaningful only while {@code lingering}. */
  private long dueAtNanos;

  private boolean lingering;

  StreamState(StreamOptions options) {
    this.options = options;
    this.lingerNanos = options.linger().toNanos();
    this.outstanding =
        new OutstandingEvents<>(
            options.maxBatchEvents(), options.maxBatchBytes(), options.unordered());
  }

  /** Returns whether flow control admits another event. */
  boolean hasCapacity() {
    // One event is always admitted, however large: it could never be sent otherwise.
    return outstanding.count() == 0
        || (outstanding.count() < options.maxOutstandingEvents()
            && outstanding.bytes() < options.maxOutstandingBytes());
  }

  void add(Event event, Destination destination, T attachment) {
    outstanding.add(event, destination, attachment, null);
    if (!lingering) {
      lingering = true;
      dueAtNanos = System.nanoTime() + lingerNanos;
      toSend.signalAll();
    } else if (outstanding.batchIsFull()) {
      toSend.signalAll();
    }
  }

  /** Sends the waiting events at once. If none waits, the next event lingers as usual. */
  void sendNow() {
    if (outstanding.hasWaiting()) {
      lingering = true;
      dueAtNanos = System.nanoTime();
    }
    toSend.signalAll();
  }

  /** Returns how long the waiting events may still linger; 0 if they are due or fill a batch. */
  long remainingLingerNanos() {
    return outstanding.batchIsFull() ? 0 : Math.max(0, dueAtNanos - System.nanoTime());
  }

  List<TransformStreamRequest> takeMessages() {
    List<TransformStreamRequest> messages = outstanding.takeMessages();
    lingering = outstanding.hasWaiting();
    return messages;
  }

  /** Stops sending because of a fault. The first fault stays. */
  void stopSending(Throwable reason) {
    if (fault == null) {
      fault = new SidecarException(Status.Code.INTERNAL, "a fault of the client: " + reason, reason);
    }
    outstanding.dropWaiting();
    capacity.signalAll();
  }

  /** Returns whether all events have results and none will be added. */
  boolean isDone() {
    return (finished || fault != null) && !outstanding.hasUnanswered();
  }

  /** Fails the stream: there will be no other connection. The first reason stays. */
  void fail(SidecarException reason) {
    if (failure == null) {
      failure = reason;
    }
    signalAll();
  }

  /** Closes the stream for the caller. */
  void close() {
    closed = true;
    fail(new SidecarException(Status.Code.CANCELLED, "the stream was closed"));
  }

  private void signalAll() {
    toSend.signalAll();
    capacity.signalAll();
    wakeSubscriber();
  }

  void wakeSubscriber() {
    if (subscription != null) {
      subscription.wake();
    }
  }
}

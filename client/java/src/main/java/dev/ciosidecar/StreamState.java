package dev.ciosidecar;

import dev.ciosidecar.v1.TransformStreamRequest;
import io.grpc.Status;
import java.util.List;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * What the threads of one stream share: those that send events, the one that keeps the connection, gRPC's, and
 * the subscriber's. All of it is read and written under the lock.
 */
final class StreamState<T> {
  final ReentrantLock lock = new ReentrantLock();
  /** There may be something to send, or the connection has changed. */
  final Condition toSend = lock.newCondition();
  /** There may be credit, or no hope of it. */
  final Condition room = lock.newCondition();

  final Ledger<T> ledger;
  final StreamOptions options;
  private final long lingerNanos;

  /** Nothing more will be added. */
  boolean finished;
  /** The user has left: nothing more is sent, taken or told. */
  boolean closed;
  /** Why nothing more is sent, although what was sent is still answered; null while there is no such reason. */
  SidecarException fault;
  /** Why no connection will come any more; null while there is hope. */
  SidecarException failure;
  int reconnects;
  /** Who is told when an answer is due, or when there will be no more; null before somebody subscribes. */
  AnswerSubscription<T> subscription;

  /** When the oldest waiting event has lingered enough; the clock runs only while one waits. */
  private long dueAtNanos;

  private boolean clockRuns;

  StreamState(StreamOptions options) {
    this.options = options;
    this.lingerNanos = options.linger().toNanos();
    this.ledger = 
        new Ledger<>(options.maxBatchEvents(), options.maxBatchBytes(), options.unordered());
  }

  boolean hasCredit() {
    // One event is always taken, however large: it could never go otherwise.
    return ledger.owedEvents() == 0
        || (ledger.owedEvents() < options.maxOwedEvents()
            && ledger.owedBytes() < options.maxOwedBytes());
  }

  void add(Event event, Destination destination, T attachment) {
    ledger.add(event, destination, attachment, null);
    if (!clockRuns) {
      clockRuns = true;
      dueAtNanos = System.nanoTime() + lingerNanos;
      toSend.signalAll();
    } else if (ledger.batchIsFull()) {
      toSend.signalAll();
    }
  }

  /** What waits goes at once. If nothing does, the next event still starts the clock. */
  void sendNow() {
    if (ledger.hasWaiting()) {
      clockRuns = true;
      dueAtNanos = System.nanoTime();
    }
    toSend.signalAll();
  }

  /** How long what waits may still linger; 0 if it is due, or enough for a message. */
  long remainingLingerNanos() {
    return ledger.batchIsFull() ? 0 : Math.max(0, dueAtNanos - System.nanoTime());
  }

  List<TransformStreamRequest> takeMessages() {
    List<TransformStreamRequest> messages = ledger.takeMessages();
    clockRuns = ledger.hasWaiting();
    return messages;
  }

  /** Nothing more is sent. The first reason stays. */
  void giveUpSending(Throwable reason) {
    if (fault == null) {
      fault = new SidecarException(Status.Code.INTERNAL, "a fault of the client: " + reason, reason);
    }
    ledger.dropWaiting();
    room.signalAll();
  }

  /** Nothing is owed by a sidecar, and nothing more will be sent. */
  boolean isDone() {
    return (finished || fault != null) && !ledger.hasUnanswered();
  }

  /** No connection will come any more. The first reason stays. */
  void fail(SidecarException reason) {
    if (failure == null) {
      failure = reason;
    }
    tellAll();
  }

  /** The user leaves. */
  void close() {
    closed = true;
    fail(new SidecarException(Status.Code.CANCELLED, "the stream was closed"));
  }

  /** Everybody who waits looks again. */
  void tellAll() {
    toSend.signalAll();
    room.signalAll();
    tellSubscriber();
  }

  void tellSubscriber() {
    if (subscription != null) {
      subscription.wake();
    }
  }
}

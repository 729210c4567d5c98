package dev.ciosidecar;

import io.grpc.ManagedChannel;
import java.util.concurrent.locks.Condition;

/**
 * A lane: one connection of a stream, its events, and when they are sent. A stream with affinity has a lane
 * for each address, any other stream has one for all. Everything is read and written under the stream's lock.
 */
final class Lane<T> {
  final int index;
  final ManagedChannel channel;
  final OutstandingEvents<T> outstanding;
  /** Signalled when there may be something to send, or when the connection has changed. */
  final Condition toSend;
  private final long lingerNanos;
  /** The time at which the oldest waiting event is sent. Meaningful only while events wait. */
  private long dueAtNanos;

  Lane(
      int index,
      ManagedChannel channel,
      OutstandingEvents<T> outstanding,
      StreamOptions options,
      Condition toSend) {
    this.index = index;
    this.channel = channel;
    this.outstanding = outstanding;
    this.toSend = toSend;
    this.lingerNanos = options.linger().toNanos();
  }

  /** Notes that an event was added, which waits for others to share its batch. */
  void linger() {
    if (outstanding.waitingCount() == 1) {
      dueAtNanos = System.nanoTime() + lingerNanos;
      toSend.signalAll();
    } else if (outstanding.batchIsFull()) {
      toSend.signalAll();
    }
  }

  /** Sends the waiting events at once. If none waits, the next event lingers as usual. */
  void sendNow() {
    dueAtNanos = System.nanoTime();
    toSend.signalAll();
  }

  /** Returns how long the waiting events may still linger; 0 if they are due or fill a batch. */
  long remainingLingerNanos() {
    return outstanding.batchIsFull() ? 0 : Math.max(0, dueAtNanos - System.nanoTime());
  }

}

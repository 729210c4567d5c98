package dev.ciosidecar;

import java.util.ArrayDeque;
import java.util.Deque;

/**
 * All events of a stream whose answers are not taken yet, on whichever lane they are. Has no I/O, no clock
 * and no lock.
 */
final class AnswerQueue<T> {
  private final boolean unordered;
  // Ordered: all outstanding events. Unordered: those that have a result.
  private final Deque<OutstandingEvent<T>> answers = new ArrayDeque<>();
  private long nextPosition;
  private int count;
  private long bytes;

  AnswerQueue(boolean unordered) {
    this.unordered = unordered;
  }

  /** Returns the number of outstanding events. */
  int count() {
    return count;
  }

  /** Returns the size of the outstanding events. */
  long bytes() {
    return bytes;
  }

  /**
   * Returns a new event of the stream, which no lane has yet. A null group stands for an event that may share
   * a batch with any other.
   */
  OutstandingEvent<T> add(
      Event event, Destination destination, T attachment, BatchGroup group, int slot) {
    OutstandingEvent<T> added =
        new OutstandingEvent<>(nextPosition++, event, destination, attachment, group, slot);
    count++;
    bytes += added.sizeBytes;
    if (!unordered) {
      answers.add(added);
    }
    return added;
  }

  /** Notes that an event has its result. */
  void answered(OutstandingEvent<T> event) {
    if (unordered) {
      answers.add(event);
    }
  }

  /** Returns whether an answer can be taken. */
  boolean hasAnswer() {
    return !answers.isEmpty() && answers.peek().result != null;
  }

  /**
   * Takes the next answer: in the order of the events or, unordered, in the order of arrival. MUST NOT be
   * called unless {@link #hasAnswer}.
   */
  Answer<T> takeAnswer() {
    OutstandingEvent<T> event = answers.remove();
    count--;
    bytes -= event.sizeBytes;
    return new Answer<>(event.attachment, event.result);
  }
}

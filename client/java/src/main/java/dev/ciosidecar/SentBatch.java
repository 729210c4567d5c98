package dev.ciosidecar;

import java.util.BitSet;
import java.util.List;
import java.util.stream.IntStream;

/**
 * A batch that has events without an answer.
 *
 * @param events the events of the batch, by position
 * @param returned the positions of events that a draining sidecar returned, and that belong to another lane
 */
record SentBatch<T>(List<OutstandingEvent<T>> events, BitSet returned) {
  SentBatch(List<OutstandingEvent<T>> events) {
    this(events, new BitSet());
  }

  /** Returns whether an event has no answer yet. */
  boolean isUnanswered(int position) {
    return events.get(position).result == null && !returned.get(position);
  }

  /** Returns the events that have no answer, in order. */
  List<OutstandingEvent<T>> unanswered() {
    return IntStream.range(0, events.size())
        .filter(this::isUnanswered)
        .<OutstandingEvent<T>>mapToObj(events::get)
        .toList();
  }
}

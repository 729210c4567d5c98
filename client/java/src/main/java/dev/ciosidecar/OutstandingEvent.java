package dev.ciosidecar;

import dev.ciosidecar.v1.BatchItem;

/** An event of a stream, from the time it is added until its answer is taken. */
final class OutstandingEvent<T> {
  final long position;
  final BatchItem item;
  final int sizeBytes;
  final Destination destination;
  final SourceConnection connection;
  final T attachment;
  final BatchGroup group;
  /** The slot of the event's person on a stream with affinity; otherwise 0. */
  final int slot;
  int destinationId;
  int connectionId;
  Result result;

  OutstandingEvent(
      long position, Event event, Destination destination, T attachment, BatchGroup group, int slot) {
    this.position = position;
    this.item = event.item();
    this.sizeBytes = event.sizeBytes();
    this.destination = destination;
    this.connection = event.connection().orElse(null);
    this.attachment = attachment;
    this.group = group;
    this.slot = slot;
  }

  /** Returns whether both events have the same destination and the same connection. */
  boolean refersToTheSameAs(OutstandingEvent<T> other) {
    return destinationId == other.destinationId && connectionId == other.connectionId;
  }
}

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
  int destinationId;
  int connectionId;
  Result result;

  OutstandingEvent(
      long position, Event event, Destination destination, T attachment, BatchGroup group) {
    this.position = position;
    this.item = event.item();
    this.sizeBytes = event.sizeBytes();
    this.destination = destination;
    this.connection = event.connection().orElse(null);
    this.attachment = attachment;
    this.group = group;
  }

  /** Returns whether both events have the same destination and the same connection. */
  boolean refersToTheSameAs(OutstandingEvent<T> other) {
    return destinationId == other.destinationId && connectionId == other.connectionId;
  }
}

package dev.ciosidecar;

import dev.ciosidecar.v1.Batch;
import dev.ciosidecar.v1.Limits;
import dev.ciosidecar.v1.Results;
import dev.ciosidecar.v1.TransformStreamRequest;
import dev.ciosidecar.v1.UpsertDestinations;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The events of a stream whose answers are not taken yet. Has no I/O, no clock and no lock. */
final class OutstandingEvents<T> {
  private final boolean unordered;
  private long maxBatchBytes;
  private int maxBatchEvents;
  // Ordered: all outstanding events. Unordered: those that have a result.
  private final Deque<OutstandingEvent<T>> answers = new ArrayDeque<>();
  private final Deque<OutstandingEvent<T>> waiting = new ArrayDeque<>();
  private long waitingBytes;
  // By batch id, in the order of sending, which is also the order of resending.
  private final Map<Long, List<OutstandingEvent<T>>> sent = new LinkedHashMap<>();
  private final SentPositions positions = new SentPositions();
  private final ReferenceTable<Destination> destinations = new ReferenceTable<>(1);
  private final ReferenceTable<SourceConnection> connections = new ReferenceTable<>(1);
  private long nextBatchId = 1;
  private long nextPosition;
  private int count;
  private long bytes;
  private long answered;

  OutstandingEvents(int maxBatchEvents, int maxBatchBytes, boolean unordered) {
    this.unordered = unordered;
    this.maxBatchEvents = maxBatchEvents;
    this.maxBatchBytes = maxBatchBytes;
  }

  /** Returns the number of outstanding events. */
  int count() {
    return count;
  }

  /** Returns the size of the outstanding events. */
  long bytes() {
    return bytes;
  }

  /** Returns how many events sidecars have answered since the stream was opened. */
  long answered() {
    return answered;
  }

  /** Returns whether any event has no result, sent or not. */
  boolean hasUnanswered() {
    return !waiting.isEmpty() || !sent.isEmpty();
  }

  /** Returns whether any event was sent and has no result. */
  boolean hasSent() {
    return !sent.isEmpty();
  }

  /** Returns whether any event is not sent yet. */
  boolean hasWaiting() {
    return !waiting.isEmpty();
  }

  /** Returns whether the waiting events fill a batch. */
  boolean batchIsFull() {
    return waiting.size() >= maxBatchEvents || waitingBytes >= maxBatchBytes;
  }

  /** Adds an event. A null group stands for an event that may share a batch with any other. */
  void add(Event event, Destination destination, T attachment, BatchGroup group) {
    OutstandingEvent<T> added =
        new OutstandingEvent<>(nextPosition++, event, destination, attachment, group);
    count++;
    if (!unordered) {
      answers.add(added);
    }
    waiting.add(added);
    waitingBytes += added.sizeBytes;
    bytes += added.sizeBytes;
  }

  /** Drops the last batch that was taken: it could not be sent and will have no answer. */
  void dropLastBatch() {
    sent.remove(nextBatchId - 1);
  }

  /** Drops the events that are not sent: they will have no answer. */
  void dropWaiting() {
    waiting.clear();
    waitingBytes = 0;
  }

  /** Starts over with another call: the events that were sent and have no result wait again, in order. */
  void connect(Limits limits) {
    int maxIds = Math.max(1, limits.getMaxDestinations());
    destinations.reset(maxIds);
    connections.reset(maxIds);
    positions.clear();
    maxBatchEvents = Math.min(maxBatchEvents, Math.max(1, limits.getMaxBatchEvents()));
    if (limits.getMaxMessageBytes() > 0) {
      // The other half of a message is for the options of the events.
      maxBatchBytes = Math.min(maxBatchBytes, limits.getMaxMessageBytes() / 2);
    }
    List<OutstandingEvent<T>> resent =
        sent.values().stream().flatMap(List::stream).filter(event -> event.result == null).toList();
    sent.clear();
    for (int index = resent.size() - 1; index >= 0; index--) {
      waiting.addFirst(resent.get(index));
      waitingBytes += resent.get(index).sizeBytes;
    }
  }

  /** Takes the next batch to send, after a message that declares what it refers to. Empty: nothing waits. */
  List<TransformStreamRequest> takeMessages() {
    List<OutstandingEvent<T>> events = takeEvents();
    if (events.isEmpty()) {
      return List.of();
    }
    long batchId = nextBatchId++;
    sent.put(batchId, events);
    positions.add(batchId, events.stream().mapToLong(event -> event.position).toArray());
    TransformStreamRequest message =
        TransformStreamRequest.newBuilder().setBatch(batch(events).setBatchId(batchId)).build();
    UpsertDestinations.Builder upsert = UpsertDestinations.newBuilder();
    destinations.takeUndeclared(
        (destination, id) -> upsert.addDestinations(destination.declaredAs(id)));
    connections.takeUndeclared(
        (connection, id) -> upsert.addConnections(connection.declaredAs(id)));
    return upsert.getDestinationsCount() + upsert.getConnectionsCount() == 0
        ? List.of(message)
        : List.of(TransformStreamRequest.newBuilder().setUpsertDestinations(upsert).build(), message);
  }

  private List<OutstandingEvent<T>> takeEvents() {
    List<OutstandingEvent<T>> events = new ArrayList<>();
    destinations.beginBatch();
    connections.beginBatch();
    long batchBytes = 0;
    while (!waiting.isEmpty() && events.size() < maxBatchEvents) {
      OutstandingEvent<T> event = waiting.peek();
      batchBytes += event.sizeBytes;
      if (!events.isEmpty()
          && (batchBytes > maxBatchBytes || event.group != events.get(0).group)) {
        break;
      }
      event.destinationId = destinations.referenceId(event.destination);
      event.connectionId = connections.referenceId(event.connection);
      if (event.destinationId == ReferenceTable.NONE_LEFT
          || event.connectionId == ReferenceTable.NONE_LEFT) {
        break;
      }
      waiting.remove();
      waitingBytes -= event.sizeBytes;
      events.add(event);
    }
    return events;
  }

  private static <T> Batch.Builder batch(List<OutstandingEvent<T>> events) {
    OutstandingEvent<T> first = events.get(0);
    Batch.Builder batch = Batch.newBuilder();
    if (first.group != null && first.group.timeout() != null) {
      batch.setTimeout(DeliveryOptions.message(first.group.timeout()));
    }
    if (events.stream().allMatch(first::refersToTheSameAs)) {
      // Most batches have one destination: their items are sent without a copy.
      batch.setDestination(first.destinationId).setConnection(first.connectionId);
      events.forEach(event -> batch.addItems(event.item));
      return batch;
    }
    for (OutstandingEvent<T> event : events) {
      batch.addItems(
          event.item.toBuilder()
              .setDestination(event.destinationId)
              .setConnection(event.connectionId));
    }
    return batch;
  }

  /**
   * Records the results that a sidecar sent. A second result for the same event is ignored.
   *
   * @throws IndexOutOfBoundsException or another unchecked exception if the sidecar violates the contract
   */
  void record(Results results) {
    List<OutstandingEvent<T>> events = sent.get(results.getBatchId());
    if (events == null) {
      return;
    }
    int[] batchPositions = ResultReader.positions(results);
    List<Result> read =
        ResultReader.read(results, position -> events.get(position).position, positions::find);
    for (int index = 0; index < batchPositions.length; index++) {
      OutstandingEvent<T> event = events.get(batchPositions[index]);
      if (event.result == null) {
        event.result = read.get(index);
        answered++;
        if (unordered) {
          answers.add(event);
        }
      }
    }
    if (results.getBatchComplete()) {
      if (events.stream().anyMatch(event -> event.result == null)) {
        throw new IllegalStateException("a complete batch has events without an answer");
      }
      sent.remove(results.getBatchId());
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

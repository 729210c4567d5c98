package dev.ciosidecar;

import dev.ciosidecar.v1.Batch;
import dev.ciosidecar.v1.Limits;
import dev.ciosidecar.v1.Results;
import dev.ciosidecar.v1.TransformStreamRequest;
import dev.ciosidecar.v1.UpsertDestinations;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The unanswered events of one lane, a connection of a stream: waiting or sent. Has no I/O, no clock and no
 * lock.
 */
final class OutstandingEvents<T> {
  private final AnswerQueue<T> answers;
  // True: a draining sidecar's DRAINING is no result, because another sidecar can take the event.
  private final boolean movesEvents;
  private long maxBatchBytes;
  private int maxBatchEvents;
  private final Deque<OutstandingEvent<T>> waiting = new ArrayDeque<>();
  private long waitingBytes;
  // By batch id, in the order of sending, which is also the order of resending.
  private final Map<Long, SentBatch<T>> sent = new LinkedHashMap<>();
  // The positions on the stream of the events that were returned on this call.
  private final Set<Long> returnedPositions = new HashSet<>();
  private final SentPositions positions = new SentPositions();
  private final ReferenceTable<Destination> destinations = new ReferenceTable<>(1);
  private final ReferenceTable<SourceConnection> connections = new ReferenceTable<>(1);
  private long nextBatchId = 1;
  private long answered;

  OutstandingEvents(AnswerQueue<T> answers, StreamOptions options) {
    this.answers = answers;
    this.movesEvents = options.affinity() == Affinity.PERSON;
    this.maxBatchEvents = options.maxBatchEvents();
    this.maxBatchBytes = options.maxBatchBytes();
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

  /** Returns how many events are not sent yet. */
  int waitingCount() {
    return waiting.size();
  }

  /** Returns whether the waiting events fill a batch. */
  boolean batchIsFull() {
    return waiting.size() >= maxBatchEvents || waitingBytes >= maxBatchBytes;
  }

  /** Adds an event to the lane. */
  void enqueue(OutstandingEvent<T> event) {
    waiting.add(event);
    waitingBytes += event.sizeBytes;
  }

  /** Drops the last batch that was taken: it could not be sent and will have no answer. */
  void dropLastBatch() {
    sent.remove(nextBatchId - 1);
  }

  /** Returns the events that are not sent, and gives them up. */
  List<OutstandingEvent<T>> takeWaiting() {
    List<OutstandingEvent<T>> events = List.copyOf(waiting);
    waiting.clear();
    waitingBytes = 0;
    return events;
  }

  /** Returns all events without an answer, in order, and gives them up. The call has ended. */
  List<OutstandingEvent<T>> takeUnanswered() {
    List<OutstandingEvent<T>> events = new ArrayList<>(takeSent());
    events.addAll(takeWaiting());
    return events;
  }

  private List<OutstandingEvent<T>> takeSent() {
    List<OutstandingEvent<T>> events =
        sent.values().stream().flatMap(batch -> batch.unanswered().stream()).toList();
    sent.clear();
    returnedPositions.clear();
    return events;
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
    List<OutstandingEvent<T>> resent = takeSent();
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
    sent.put(batchId, new SentBatch<>(events));
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
  RecordedResults<T> record(Results results) {
    List<OutstandingEvent<T>> nowAnswered = new ArrayList<>();
    List<OutstandingEvent<T>> nowReturned = new ArrayList<>();
    SentBatch<T> batch = sent.get(results.getBatchId());
    if (batch == null) {
      return new RecordedResults<>(nowAnswered, nowReturned);
    }
    int[] batchPositions = ResultReader.positions(results);
    List<Result> read =
        ResultReader.read(
            results, position -> batch.events().get(position).position, positions::find);
    for (int index = 0; index < batchPositions.length; index++) {
      int position = batchPositions[index];
      if (!batch.isUnanswered(position)) {
        continue;
      }
      OutstandingEvent<T> event = batch.events().get(position);
      if (movesEvents && mayMove(read.get(index))) {
        batch.returned().set(position);
        returnedPositions.add(event.position);
        nowReturned.add(event);
      } else {
        event.result = read.get(index);
        answered++;
        answers.answered(event);
        nowAnswered.add(event);
      }
    }
    if (results.getBatchComplete()) {
      if (!batch.unanswered().isEmpty()) {
        throw new IllegalStateException("a complete batch has events without an answer");
      }
      sent.remove(results.getBatchId());
    }
    return new RecordedResults<>(nowAnswered, nowReturned);
  }

  /** Returns whether a draining sidecar did not send the event, nor the one that blocked it. */
  private boolean mayMove(Result result) {
    return result
        .error()
        .filter(
            error ->
                error.code().equals("DRAINING")
                    || error.blockedBy().stream().anyMatch(returnedPositions::contains))
        .isPresent();
  }
}

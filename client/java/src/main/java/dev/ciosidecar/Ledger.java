package dev.ciosidecar;

import dev.ciosidecar.v1.Batch;
import dev.ciosidecar.v1.Item;
import dev.ciosidecar.v1.Limits;
import dev.ciosidecar.v1.Results;
import dev.ciosidecar.v1.TransformStreamRequest;
import dev.ciosidecar.v1.UpsertDestinations;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What a stream owes its user: every event until it is answered. No I/O, no clock, no lock. */
final class Ledger<T> {
  /** An event between {@link #add} and {@link #takeAnswer}. */
  private static final class Entry<T> {
    final long position;
    final Item item;
    final int sizeBytes;
    final Destination destination;
    final Connection connection;
    final T attachment;
    final Group group;
    int destinationNumber;
    int connectionNumber;
    Result result;

    Entry(long position, Event event, Destination destination, T attachment, Group group) {
      this.group = group;
      this.position = position;
      this.item = event.item();
      this.sizeBytes = event.sizeBytes();
      this.destination = destination;
      this.connection = event.connection().orElse(null);
      this.attachment = attachment;
    }

    boolean goesWith(Entry<T> other) {
      return destinationNumber == other.destinationNumber
          && connectionNumber == other.connectionNumber;
    }
  }

  /** What events share that must travel in batches of their own; equal only to itself. */
  static final class Group {
    private final Duration timeout;

    /** Of events whose delivery is bounded; null for as long as the stream says. */
    Group(Duration timeout) {
      this.timeout = timeout;
    }
  }

  private final boolean unordered;
  private long maxBatchBytes;
  private int maxBatchEvents;
  // Ordered: all that are owed. Unordered: those that are answered.
  private final Deque<Entry<T>> answers = new ArrayDeque<>();
  private final Deque<Entry<T>> waiting = new ArrayDeque<>();
  private long waitingBytes;
  // By batch id, in the order of sending, which is the order of sending again.
  private final Map<Long, List<Entry<T>>> sent = new LinkedHashMap<>();
  private final SentPositions positions = new SentPositions();
  private final Numbering<Destination> destinations = new Numbering<>(1);
  private final Numbering<Connection> connections = new Numbering<>(1);
  private long nextBatchId = 1;
  private long nextPosition;
  private int owedEvents;
  private long owedBytes;
  private long answered;

  Ledger(int maxBatchEvents, int maxBatchBytes, boolean unordered) {
    this.unordered = unordered;
    this.maxBatchEvents = maxBatchEvents;
    this.maxBatchBytes = maxBatchBytes;
  }

  /** Events that the user has no answer to yet. */
  int owedEvents() {
    return owedEvents;
  }

  /** Bytes of those events. */
  long owedBytes() {
    return owedBytes;
  }

  /** Events that a sidecar has answered since the beginning. */
  long answered() {
    return answered;
  }

  /** Whether a sidecar owes an answer, or is still to be asked. */
  boolean hasUnanswered() {
    return !waiting.isEmpty() || !sent.isEmpty();
  }

  /** Whether a sidecar owes an answer to what was sent. */
  boolean hasSent() {
    return !sent.isEmpty();
  }

  /** Whether events are not sent yet. */
  boolean hasWaiting() {
    return !waiting.isEmpty();
  }

  /** Whether what waits is worth a message. */
  boolean batchIsFull() {
    return waiting.size() >= maxBatchEvents || waitingBytes >= maxBatchBytes;
  }

  /** Takes an event. The group is null for one that may travel with any other. */
  void add(Event event, Destination destination, T attachment, Group group) {
    Entry<T> entry = new Entry<>(nextPosition++, event, destination, attachment, group);
    owedEvents++;
    if (!unordered) {
      answers.add(entry);
    }
    waiting.add(entry);
    waitingBytes += entry.sizeBytes;
    owedBytes += entry.sizeBytes;
  }

  /** Forgets the last batch that was taken: it could not be sent, and will have no answer. */
  void dropLastBatch() {
    sent.remove(nextBatchId - 1);
  }

  /** Forgets what is not sent: it will have no answer. */
  void dropWaiting() {
    waiting.clear();
    waitingBytes = 0;
  }

  /** Begins anew with a sidecar: what was sent and not answered is to be sent again, in order. */
  void connect(Limits limits) {
    int most = Math.max(1, bounded(limits.getMaxDestinations()));
    destinations.beginAnew(most);
    connections.beginAnew(most);
    positions.clear();
    maxBatchEvents = Math.min(maxBatchEvents, Math.max(1, bounded(limits.getMaxBatchEvents())));
    if (limits.getMaxMessageBytes() > 0) {
      // Beside its events, a message has what is said about them.
      maxBatchBytes = Math.min(maxBatchBytes, limits.getMaxMessageBytes() / 2);
    }
    List<Entry<T>> again =
        sent.values().stream().flatMap(List::stream).filter(one -> one.result == null).toList();
    sent.clear();
    for (int index = again.size() - 1; index >= 0; index--) {
      waiting.addFirst(again.get(index));
      waitingBytes += again.get(index).sizeBytes;
    }
  }

  /** The next batch to send, after what it is the first to name; empty for none. */
  List<TransformStreamRequest> takeMessages() {
    List<Entry<T>> entries = takeEntries();
    if (entries.isEmpty()) {
      return List.of();
    }
    long id = nextBatchId++;
    sent.put(id, entries);
    positions.add(id, entries.stream().mapToLong(entry -> entry.position).toArray());
    TransformStreamRequest message =
        TransformStreamRequest.newBuilder().setBatch(batch(entries).setBatchId(id)).build();
    UpsertDestinations.Builder declared = UpsertDestinations.newBuilder();
    destinations.takeUndeclared((one, number) -> declared.addDestinations(one.declaredAs(number)));
    connections.takeUndeclared((one, number) -> declared.addConnections(one.declaredAs(number)));
    return declared.getDestinationsCount() + declared.getConnectionsCount() == 0
        ? List.of(message)
        : List.of(TransformStreamRequest.newBuilder().setUpsertDestinations(declared).build(), message);
  }

  private List<Entry<T>> takeEntries() {
    List<Entry<T>> entries = new ArrayList<>();
    destinations.beginBatch();
    connections.beginBatch();
    long bytes = 0;
    while (!waiting.isEmpty() && entries.size() < maxBatchEvents) {
      Entry<T> entry = waiting.peek();
      bytes += entry.sizeBytes;
      if (!entries.isEmpty()
          && (bytes > maxBatchBytes || entry.group != entries.get(0).group)) {
        break;
      }
      entry.destinationNumber = destinations.number(entry.destination);
      entry.connectionNumber = connections.number(entry.connection);
      if (entry.destinationNumber == Numbering.NONE_LEFT
          || entry.connectionNumber == Numbering.NONE_LEFT) {
        break;
      }
      waiting.remove();
      waitingBytes -= entry.sizeBytes;
      entries.add(entry);
    }
    return entries;
  }

  private static <T> Batch.Builder batch(List<Entry<T>> entries) {
    Entry<T> first = entries.get(0);
    Batch.Builder batch = Batch.newBuilder();
    if (first.group != null && first.group.timeout != null) {
      batch.setTimeout(Deliver.wire(first.group.timeout));
    }
    if (entries.stream().allMatch(first::goesWith)) {
      // The usual batch has one destination: its items go out as they are.
      batch.setDestination(first.destinationNumber).setConnection(first.connectionNumber);
      entries.forEach(entry -> batch.addItems(entry.item));
      return batch;
    }
    for (Entry<T> entry : entries) {
      batch.addItems(
          entry.item.toBuilder()
              .setDestination(entry.destinationNumber)
              .setConnection(entry.connectionNumber));
    }
    return batch;
  }

  /**
   * Takes what a sidecar answered. What it answers twice counts once.
   *
   * @throws IndexOutOfBoundsException or another unchecked exception if the sidecar breaks the contract
   */
  void answer(Results results) {
    List<Entry<T>> entries = sent.get(results.getBatchId());
    if (entries == null) {
      return;
    }
    int[] answeredPositions = ResultReader.positions(results);
    List<Result> found =
        ResultReader.read(results, position -> entries.get(position).position, positions::find);
    for (int index = 0; index < answeredPositions.length; index++) {
      Entry<T> entry = entries.get(answeredPositions[index]);
      if (entry.result == null) {
        entry.result = found.get(index);
        answered++;
        if (unordered) {
          answers.add(entry);
        }
      }
    }
    if (results.getBatchComplete()) {
      if (entries.stream().anyMatch(entry -> entry.result == null)) {
        throw new IllegalStateException("a complete batch has events without an answer");
      }
      sent.remove(results.getBatchId());
    }
  }

  /** Whether an answer is due. */
  boolean hasAnswer() {
    return !answers.isEmpty() && answers.peek().result != null;
  }

  /** The next answer: in the order of the events, or, unordered, as they came. Call it only if one is due. */
  Answer<T> takeAnswer() {
    Entry<T> entry = answers.remove();
    owedEvents--;
    owedBytes -= entry.sizeBytes;
    return new Answer<>(entry.attachment, entry.result);
  }

  /** A limit of the contract, which has no sign, as an int. */
  private static int bounded(int limit) {
    return limit < 0 ? Integer.MAX_VALUE : limit;
  }
}

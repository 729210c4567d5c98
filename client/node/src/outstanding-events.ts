// The outstanding events of a stream: every event from sending until the caller takes its answer.

import { connectionMessage, destinationMessage } from "./destinations.js";
import type { Destination, SourceConnection } from "./destinations.js";
import type { EncodedEvent } from "./events.js";
import { Batch, BatchItem, TransformStreamRequest, UpsertDestinations } from "./gen/index.js";
import type { Limits, Results } from "./gen/index.js";
import { Queue } from "./queue.js";
import { ReferenceTable } from "./reference-table.js";
import { answeredPositions, readResults } from "./results.js";
import type { Result } from "./results.js";
import { duration } from "./stream-options.js";

/** The result of one event, beside the caller's own object. */
export interface Answer<A> {
  /** The caller's own object; the event itself if the caller attached none. */
  readonly attachment: A;
  /** Its positions, also those of its requests, count the events of the stream from 0. */
  readonly result: Result;
}

/** An encoded event with everything that is sent, or returned, with it. */
export interface Entry<A> {
  readonly encoded: EncodedEvent;
  readonly attachment: A;
  /** undefined for a prepared request, which needs none. */
  readonly destination: Destination | undefined;
  /** Set for records only. */
  readonly connection: SourceConnection | undefined;
  /** A BatchItem with the further fields, if there are any. */
  readonly fields: BatchItem | undefined;
}

/** Marks the events of one `sendBatch`, which share messages with no other events. */
export interface BatchGroup {
  readonly timeoutMs: number | undefined;
}

interface OutstandingEvent<A> extends Entry<A> {
  readonly position: number;
  readonly group: BatchGroup | undefined;
  result: Result | undefined;
}

/** Maps a position of one batch to a position on the stream. */
type StreamPositionOf = (position: number) => number | undefined;

const MAX_REMEMBERED_BATCHES = 10_000;

/** The outstanding events of one stream: waiting, sent or answered. Does no I/O. */
export class OutstandingEvents<A> {
  /** The size of the events whose answers the caller has not taken. Unit: bytes. */
  bytes = 0;
  /** The number of events whose answers the caller has not taken. */
  count = 0;
  /** The number of events that a server has answered so far. */
  answeredCount = 0;
  #maxBatchEvents: number;
  #maxBatchBytes: number;
  readonly #unordered: boolean;
  // Ordered: all outstanding events. Unordered: the answered ones.
  readonly #answers = new Queue<OutstandingEvent<A>>();
  readonly #waiting = new Queue<OutstandingEvent<A>>();
  #waitingBytes = 0;
  readonly #sent = new Map<bigint, OutstandingEvent<A>[]>();
  // Answered batches, because `EventError.blocked_by` may name an event of them.
  readonly #remembered = new Map<bigint, StreamPositionOf>();
  readonly #destinations = new ReferenceTable<Destination>();
  readonly #connections = new ReferenceTable<SourceConnection>();
  #nextBatchId = 1n;
  #nextPosition = 0;

  constructor(options: { maxBatchEvents: number; maxBatchBytes: number; unordered: boolean }) {
    this.#maxBatchEvents = options.maxBatchEvents;
    this.#maxBatchBytes = options.maxBatchBytes;
    this.#unordered = options.unordered;
  }

  /** True if an event is waiting or sent, and not answered. */
  get hasUnanswered(): boolean {
    return this.#waiting.length > 0 || this.#sent.size > 0;
  }

  /** True if a server has a batch that it has not answered. */
  get hasInFlight(): boolean {
    return this.#sent.size > 0;
  }

  /** True if an event is not sent yet. */
  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** True if the waiting events fill a message. */
  get batchIsFull(): boolean {
    return this.#waiting.length >= this.#maxBatchEvents || this.#waitingBytes >= this.#maxBatchBytes;
  }

  /** Add an event. group: set for an event of `sendBatch`. */
  add(entry: Entry<A>, group?: BatchGroup): void {
    const event = { ...entry, position: this.#nextPosition, group, result: undefined };
    this.#nextPosition += 1;
    this.count += 1;
    if (!this.#unordered) this.#answers.push(event);
    this.#waiting.push(event);
    this.#waitingBytes += entry.encoded.bytes;
    this.bytes += entry.encoded.bytes;
  }

  /** Start anew on another call: the events that the last server did not answer wait again, in order. */
  connect(limits: Limits | undefined): void {
    this.#destinations.reset(limits?.maxDestinations ?? 1);
    this.#connections.reset(limits?.maxDestinations ?? 1);
    this.#remembered.clear();
    this.#maxBatchEvents = Math.min(this.#maxBatchEvents, limits?.maxBatchEvents || Infinity);
    // Half of a message is kept for the fields of the items.
    this.#maxBatchBytes = Math.min(this.#maxBatchBytes, Number(limits?.maxMessageBytes || Infinity) / 2);
    const unanswered = [...this.#sent.values()].flat().filter(({ result }) => result === undefined);
    this.#sent.clear();
    this.#waiting.putBack(unanswered);
    this.#waitingBytes += totalBytes(unanswered);
  }

  /** Forget the last batch that was taken: it could not be sent, and gets no answer. */
  dropLastBatch(): void {
    this.#sent.delete(this.#nextBatchId - 1n);
  }

  /** Forget the waiting events: they get no answer. */
  dropWaiting(): void {
    while (this.#waiting.shift() !== undefined);
    this.#waitingBytes = 0;
  }

  /** Return the next batch, after the declarations that it needs. Returns [] if no event waits. */
  takeMessages(): TransformStreamRequest[] {
    const events: OutstandingEvent<A>[] = [];
    const items: BatchItem[] = [];
    const destinationIds = new Set([0]);
    const connectionIds = new Set([0]);
    let bytes = 0;
    for (let event = this.#waiting.first; event !== undefined; event = this.#waiting.first) {
      bytes += event.encoded.bytes;
      const isFull = events.length === this.#maxBatchEvents || bytes > this.#maxBatchBytes;
      if (events.length > 0 && (isFull || event.group !== events[0]?.group)) break;
      const { destination, connection } = event;
      // The reference id 0 means none.
      const destinationId = destination && this.#destinations.referenceId(destination, destinationIds);
      const connectionId = connection && this.#connections.referenceId(connection, connectionIds);
      if (destination && destinationId === undefined) break;
      if (connection && connectionId === undefined) break;
      destinationIds.add(destinationId ?? 0);
      connectionIds.add(connectionId ?? 0);
      this.#waiting.shift();
      events.push(event);
      items.push(itemOf(event, destinationId ?? 0, connectionId ?? 0));
    }
    if (events.length === 0) return [];
    this.#waitingBytes -= totalBytes(events);
    const messages = [...this.#declarations(), batchMessage(this.#nextBatchId, items, events[0]?.group?.timeoutMs)];
    this.#sent.set(this.#nextBatchId, events);
    this.#nextBatchId += 1n;
    return messages;
  }

  /** Return the message that declares what has a new reference id, or []. */
  #declarations(): TransformStreamRequest[] {
    const declarations = UpsertDestinations.create();
    declarations.destinations = this.#destinations
      .takeUndeclared()
      .map(([id, destination]) => destinationMessage(destination, id));
    declarations.connections = this.#connections
      .takeUndeclared()
      .map(([id, connection]) => connectionMessage(connection, id));
    if (declarations.destinations.length === 0 && declarations.connections.length === 0) return [];
    const message = TransformStreamRequest.create();
    message.message = { $case: "upsertDestinations", value: declarations };
    return [message];
  }

  /** Keep the results of a message; a second answer to an event is ignored. Throws if the contract is broken. */
  answer(results: Results): void {
    const events = this.#sent.get(results.batchId);
    if (events === undefined) return;
    const read = readResults(results, (batchId, position) => this.#streamPosition(batchId, position));
    answeredPositions(results).forEach((position, index) => {
      const event = events[position];
      if (event === undefined || event.result !== undefined) return;
      event.result = read[index];
      this.answeredCount += 1;
      if (this.#unordered) this.#answers.push(event);
    });
    if (!results.batchComplete) return;
    if (events.some(({ result }) => result === undefined)) {
      throw new RangeError("a complete batch has events without an answer");
    }
    this.#sent.delete(results.batchId);
    this.#remembered.set(results.batchId, streamPositionOf(events));
    if (this.#remembered.size <= MAX_REMEMBERED_BATCHES) return;
    const [oldest] = this.#remembered.keys();
    if (oldest !== undefined) this.#remembered.delete(oldest);
  }

  /** Return the position on the stream of an event of a batch, or undefined if it is not remembered. */
  #streamPosition(batchId: bigint, position: number): number | undefined {
    const events = this.#sent.get(batchId);
    return events === undefined ? this.#remembered.get(batchId)?.(position) : events[position]?.position;
  }

  /** Return the next answer: in the order of the events or, unordered, of the arrival. */
  takeAnswer(): Answer<A> | undefined {
    const first = this.#answers.first;
    if (first?.result === undefined) return undefined;
    this.#answers.shift();
    this.count -= 1;
    this.bytes -= first.encoded.bytes;
    return { attachment: first.attachment, result: first.result };
  }
}

function totalBytes<A>(events: readonly OutstandingEvent<A>[]): number {
  return events.reduce((bytes, { encoded }) => bytes + encoded.bytes, 0);
}

/** Return a function that needs little memory if the batch holds consecutive events, as most do. */
function streamPositionOf<A>(events: readonly OutstandingEvent<A>[]): StreamPositionOf {
  const first = events[0]?.position ?? 0;
  const count = events.length;
  if (events.every((event, index) => event.position === first + index)) {
    return (position) => (position < count ? first + position : undefined);
  }
  const positions = events.map((event) => event.position);
  return (position) => positions[position];
}

function itemOf<A>(entry: Entry<A>, destinationId: number, connectionId: number): BatchItem {
  const item = { ...(entry.fields ?? NO_FIELDS) };
  item.payload = entry.encoded.payload;
  item.destination = destinationId;
  item.connection = connectionId;
  return item;
}

function batchMessage(id: bigint, items: BatchItem[], timeoutMs: number | undefined): TransformStreamRequest {
  const batch = Batch.create();
  batch.batchId = id;
  batch.items = items;
  if (timeoutMs !== undefined) batch.timeout = duration(timeoutMs);
  const message = TransformStreamRequest.create();
  message.message = { $case: "batch", value: batch };
  return message;
}

const NO_FIELDS = BatchItem.create();

// The outstanding events of a stream and of its lanes: from sending until the caller takes the answer.

import type { Affinity } from "./affinity.js";
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
  /** The slot of its person on a stream with affinity; else 0. */
  readonly slot: number;
}

/** Marks the events of one `sendBatch`, which share messages with no other events. */
export interface BatchGroup {
  readonly timeoutMs: number | undefined;
}

/** An event from sending until its answer is taken. */
export interface OutstandingEvent<A> extends Entry<A> {
  readonly position: number;
  readonly group: BatchGroup | undefined;
  result: Result | undefined;
}

/** Maps a position of one batch to a position on the stream. */
type StreamPositionOf = (position: number) => number | undefined;

const MAX_REMEMBERED_BATCHES = 10_000;

/** All outstanding events of one stream, on whichever lane they are. */
export class AnswerQueue<A> {
  /** The size of the events whose answers the caller has not taken. Unit: bytes. */
  bytes = 0;
  /** The number of events whose answers the caller has not taken. */
  count = 0;
  // Ordered: all outstanding events. Unordered: the answered ones.
  readonly #answers = new Queue<OutstandingEvent<A>>();
  #nextPosition = 0;

  constructor(private readonly unordered: boolean) {}

  /** Return a new event of the stream, which no lane has yet. group: set for an event of `sendBatch`. */
  add(entry: Entry<A>, group?: BatchGroup): OutstandingEvent<A> {
    const event = { ...entry, position: this.#nextPosition, group, result: undefined };
    this.#nextPosition += 1;
    this.count += 1;
    this.bytes += entry.encoded.bytes;
    if (!this.unordered) this.#answers.push(event);
    return event;
  }

  /** Note that an event has its result. */
  answered(event: OutstandingEvent<A>): void {
    if (this.unordered) this.#answers.push(event);
  }

  /** Return the next answer: in the order of the events or, unordered, of the arrival. */
  take(): Answer<A> | undefined {
    const first = this.#answers.first;
    if (first?.result === undefined) return undefined;
    this.#answers.shift();
    this.count -= 1;
    this.bytes -= first.encoded.bytes;
    return { attachment: first.attachment, result: first.result };
  }
}

/** What a message of results changed. */
export interface Answered<A> {
  /** The events that have their results now. */
  readonly answered: readonly OutstandingEvent<A>[];
  /** The events that a draining sidecar did not send, which another one can. */
  readonly returned: readonly OutstandingEvent<A>[];
}

/** The unanswered events of one lane, a connection of a stream: waiting or sent. Does no I/O. */
export class OutstandingEvents<A> {
  /** The number of events that a server has answered so far. */
  answeredCount = 0;
  #maxBatchEvents: number;
  #maxBatchBytes: number;
  readonly #movesEvents: boolean;
  readonly #waiting = new Queue<OutstandingEvent<A>>();
  #waitingBytes = 0;
  readonly #sent = new Map<bigint, OutstandingEvent<A>[]>();
  // The events of a batch that were returned, and where these are on the stream.
  readonly #returned = new Map<bigint, Set<OutstandingEvent<A>>>();
  readonly #returnedPositions = new Set<number>();
  // Answered batches, because `EventError.blocked_by` may name an event of them.
  readonly #remembered = new Map<bigint, StreamPositionOf>();
  readonly #destinations = new ReferenceTable<Destination>();
  readonly #connections = new ReferenceTable<SourceConnection>();
  #nextBatchId = 1n;

  constructor(
    private readonly answers: AnswerQueue<A>,
    options: { maxBatchEvents: number; maxBatchBytes: number; affinity: Affinity },
  ) {
    this.#maxBatchEvents = options.maxBatchEvents;
    this.#maxBatchBytes = options.maxBatchBytes;
    this.#movesEvents = options.affinity === "person";
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

  /** Add an event to the lane. */
  enqueue(event: OutstandingEvent<A>): void {
    this.#waiting.push(event);
    this.#waitingBytes += event.encoded.bytes;
  }

  /** Return the events that are not sent, and give them up. */
  takeWaiting(): OutstandingEvent<A>[] {
    const events: OutstandingEvent<A>[] = [];
    for (let event = this.#waiting.shift(); event !== undefined; event = this.#waiting.shift()) events.push(event);
    this.#waitingBytes = 0;
    return events;
  }

  /** Return the events without a result, in order, and give them up. The call has ended. */
  takeUnanswered(): OutstandingEvent<A>[] {
    return [...this.#takeSent(), ...this.takeWaiting()];
  }

  #takeSent(): OutstandingEvent<A>[] {
    const events = [...this.#sent].flatMap(([id, batch]) =>
      batch.filter((event) => event.result === undefined && !this.#returned.get(id)?.has(event)),
    );
    this.#sent.clear();
    this.#returned.clear();
    this.#returnedPositions.clear();
    return events;
  }

  /** Start anew on another call: the events that the last server did not answer wait again, in order. */
  connect(limits: Limits | undefined): void {
    this.#destinations.reset(limits?.maxDestinations ?? 1);
    this.#connections.reset(limits?.maxDestinations ?? 1);
    this.#remembered.clear();
    this.#maxBatchEvents = Math.min(this.#maxBatchEvents, limits?.maxBatchEvents || Infinity);
    // Half of a message is kept for the fields of the items.
    this.#maxBatchBytes = Math.min(this.#maxBatchBytes, Number(limits?.maxMessageBytes || Infinity) / 2);
    const unanswered = this.#takeSent();
    this.#waiting.putBack(unanswered);
    this.#waitingBytes += totalBytes(unanswered);
  }

  /** Forget the last batch that was taken: it could not be sent, and gets no answer. */
  dropLastBatch(): void {
    this.#sent.delete(this.#nextBatchId - 1n);
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
  answer(results: Results): Answered<A> {
    const answered: OutstandingEvent<A>[] = [];
    const returned: OutstandingEvent<A>[] = [];
    const events = this.#sent.get(results.batchId);
    if (events === undefined) return { answered, returned };
    const returnedBefore = this.#returned.get(results.batchId) ?? new Set();
    const read = readResults(results, (batchId, position) => this.#streamPosition(batchId, position));
    answeredPositions(results).forEach((position, index) => {
      const event = events[position];
      const result = read[index];
      if (event === undefined || event.result !== undefined || returnedBefore.has(event)) return;
      if (this.#movesEvents && result !== undefined && this.#mayMove(result)) {
        returnedBefore.add(event);
        this.#returned.set(results.batchId, returnedBefore);
        this.#returnedPositions.add(event.position);
        returned.push(event);
        return;
      }
      event.result = result;
      this.answeredCount += 1;
      this.answers.answered(event);
      answered.push(event);
    });
    if (!results.batchComplete) return { answered, returned };
    if (events.some((event) => event.result === undefined && !returnedBefore.has(event))) {
      throw new RangeError("a complete batch has events without an answer");
    }
    this.#sent.delete(results.batchId);
    this.#returned.delete(results.batchId);
    this.#remembered.set(results.batchId, streamPositionOf(events));
    const [oldest] = this.#remembered.keys();
    if (this.#remembered.size > MAX_REMEMBERED_BATCHES && oldest !== undefined) this.#remembered.delete(oldest);
    return { answered, returned };
  }

  /** Tell whether a draining sidecar did not send the event, nor the one that blocked it. */
  #mayMove({ error }: Result): boolean {
    if (error?.code === "DRAINING") return true;
    return error?.blockedBy !== undefined && this.#returnedPositions.has(error.blockedBy);
  }

  /** Return the position on the stream of an event of a batch, or undefined if it is not remembered. */
  #streamPosition(batchId: bigint, position: number): number | undefined {
    const events = this.#sent.get(batchId);
    return events === undefined ? this.#remembered.get(batchId)?.(position) : events[position]?.position;
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

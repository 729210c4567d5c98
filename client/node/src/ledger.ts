// What a stream owes its user: every event until it is answered. No I/O, no clock.

import { wireConnection, wireDestination } from "./destinations.js";
import type { Connection, Destination } from "./destinations.js";
import type { EncodedEvent } from "./events.js";
import { Batch, Item, TransformStreamRequest, UpsertDestinations } from "./gen/index.js";
import type { Limits, Results } from "./gen/index.js";
import { Numbering } from "./numbering.js";
import { Queue } from "./queue.js";
import { answeredPositions, readResults } from "./results.js";
import type { Result } from "./results.js";
import { wireDuration } from "./stream-options.js";

/** One event's result, and what its sender put beside it. */
export interface Answer<I> {
  /** The caller's own object; the event itself if there was none. */
  readonly item: I;
  /** Positions in it, the requests' too, count the events of the stream from 0. */
  readonly result: Result;
}

/** An event on its way into a ledger. */
export interface Entry<I> {
  readonly event: EncodedEvent;
  readonly item: I;
  /** None for a prepared request, which needs none. */
  readonly destination: Destination | undefined;
  /** Only for records. */
  readonly connection: Connection | undefined;
  /** An item with the further fields, where there are any. */
  readonly fields: Item | undefined;
}

/** What events share that must travel in batches of their own. */
export interface BatchGroup {
  readonly timeoutMs: number | undefined;
}

interface Owed<I> extends Entry<I> {
  readonly position: number;
  readonly group: BatchGroup | undefined;
  result: Result | undefined;
}

/** The position on the stream of an event at a position of a batch. */
type PositionOf = (position: number) => number | undefined;

const MAX_REMEMBERED_BATCHES = 10_000;

/** The events of one stream: waiting, sent, answered. */
export class Ledger<I> {
  /** Bytes of the events that the user has no answer to yet. */
  owedBytes = 0;
  /** Events that a server has answered. */
  answered = 0;
  /** Events that the user has no answer to yet. */
  owed = 0;
  #maxBatchEvents: number;
  #maxBatchBytes: number;
  readonly #unordered: boolean;
  // Ordered: all that are owed. Unordered: those that are answered.
  readonly #answers = new Queue<Owed<I>>();
  readonly #waiting = new Queue<Owed<I>>();
  #waitingBytes = 0;
  readonly #sent = new Map<bigint, Owed<I>[]>();
  // Answered batches that an error may still name: an event waits for one that failed earlier.
  readonly #remembered = new Map<bigint, PositionOf>();
  readonly #destinations = new Numbering<Destination>();
  readonly #connections = new Numbering<Connection>();
  #nextBatchId = 1n;
  #nextPosition = 0;

  constructor(options: { maxBatchEvents: number; maxBatchBytes: number; unordered: boolean }) {
    this.#maxBatchEvents = options.maxBatchEvents;
    this.#maxBatchBytes = options.maxBatchBytes;
    this.#unordered = options.unordered;
  }

  /** Whether a server owes an answer, or is still to be asked. */
  get unanswered(): boolean {
    return this.#waiting.length > 0 || this.#sent.size > 0;
  }

  /** Whether a server has been asked for something that it has not answered. */
  get inFlight(): boolean {
    return this.#sent.size > 0;
  }

  /** Whether events are not sent yet. */
  get waiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** Whether what waits is worth a message. */
  get batchIsFull(): boolean {
    return this.#waiting.length >= this.#maxBatchEvents || this.#waitingBytes >= this.#maxBatchBytes;
  }

  /** group: for events that travel with no others. */
  add(entry: Entry<I>, group?: BatchGroup): void {
    const owed = { ...entry, position: this.#nextPosition, group, result: undefined };
    this.#nextPosition += 1;
    this.owed += 1;
    if (!this.#unordered) this.#answers.push(owed);
    this.#waiting.push(owed);
    this.#waitingBytes += entry.event.bytes;
    this.owedBytes += entry.event.bytes;
  }

  /** Begins anew with a server: what it had not answered is to be sent again, in order. */
  connect(limits: Limits | undefined): void {
    this.#destinations.beginAnew(limits?.maxDestinations ?? 1);
    this.#connections.beginAnew(limits?.maxDestinations ?? 1);
    this.#remembered.clear();
    this.#maxBatchEvents = Math.min(this.#maxBatchEvents, limits?.maxBatchEvents || Infinity);
    // Beside its events, a message has what is said about them.
    this.#maxBatchBytes = Math.min(this.#maxBatchBytes, Number(limits?.maxMessageBytes || Infinity) / 2);
    const unanswered = [...this.#sent.values()].flat().filter((entry) => entry.result === undefined);
    this.#sent.clear();
    this.#waiting.putBack(unanswered);
    this.#waitingBytes += total(unanswered);
  }

  /** Forgets the last batch that was taken: it could not be sent, and will have no answer. */
  dropLastBatch(): void {
    this.#sent.delete(this.#nextBatchId - 1n);
  }

  /** Forgets what is not sent: it will have no answer. */
  dropWaiting(): void {
    while (this.#waiting.shift() !== undefined);
    this.#waitingBytes = 0;
  }

  /** The next batch to send, after the destinations it is the first to name; [] for none. */
  takeMessages(): TransformStreamRequest[] {
    const entries: Owed<I>[] = [];
    const items: Item[] = [];
    const destinations = new Set([0]);
    const connections = new Set([0]);
    let bytes = 0;
    for (let entry = this.#waiting.first; entry !== undefined; entry = this.#waiting.first) {
      bytes += entry.event.bytes;
      const full = entries.length === this.#maxBatchEvents || bytes > this.#maxBatchBytes;
      if (entries.length > 0 && (full || entry.group !== entries[0]?.group)) break;
      // 0 stands for none.
      const to = entry.destination === undefined ? 0 : this.#destinations.number(entry.destination, destinations);
      const rows = entry.connection === undefined ? 0 : this.#connections.number(entry.connection, connections);
      if (to === undefined || rows === undefined) break;
      destinations.add(to);
      connections.add(rows);
      this.#waiting.shift();
      entries.push(entry);
      items.push(itemOf(entry, to, rows));
    }
    if (entries.length === 0) return [];
    this.#waitingBytes -= total(entries);
    const batch = Batch.create();
    batch.batchId = this.#nextBatchId;
    batch.items = items;
    const timeoutMs = entries[0]?.group?.timeoutMs;
    if (timeoutMs !== undefined) batch.timeout = wireDuration(timeoutMs);
    this.#sent.set(this.#nextBatchId, entries);
    this.#nextBatchId += 1n;
    const message = TransformStreamRequest.create();
    message.message = { $case: "batch", value: batch };
    const declared = this.#declarations();
    if (declared.destinations.length === 0 && declared.connections.length === 0) return [message];
    const first = TransformStreamRequest.create();
    first.message = { $case: "upsertDestinations", value: declared };
    return [first, message];
  }

  #declarations(): UpsertDestinations {
    const found = UpsertDestinations.create();
    found.destinations = this.#destinations.takeUndeclared().map(([number, one]) => wireDestination(one, number));
    found.connections = this.#connections.takeUndeclared().map(([number, one]) => wireConnection(one, number));
    return found;
  }

  /** Takes what the server answered. What it answers twice counts once. Throws if that makes no sense. */
  answer(results: Results): void {
    const entries = this.#sent.get(results.batchId);
    if (entries === undefined) return;
    const found = readResults(results, (batchId, position) => this.#positionOf(batchId, position));
    answeredPositions(results).forEach((position, index) => {
      const entry = entries[position];
      if (entry === undefined || entry.result !== undefined) return;
      entry.result = found[index];
      this.answered += 1;
      if (this.#unordered) this.#answers.push(entry);
    });
    if (!results.batchComplete) return;
    if (entries.some(({ result }) => result === undefined)) {
      throw new RangeError("a complete batch has events without an answer");
    }
    this.#sent.delete(results.batchId);
    this.#remembered.set(results.batchId, positionOf(entries));
    if (this.#remembered.size <= MAX_REMEMBERED_BATCHES) return;
    const [oldest] = this.#remembered.keys();
    if (oldest !== undefined) this.#remembered.delete(oldest);
  }

  /** Where on the stream an event of a batch was; undefined if that is not remembered. */
  #positionOf(batchId: bigint, position: number): number | undefined {
    const entries = this.#sent.get(batchId);
    return entries === undefined ? this.#remembered.get(batchId)?.(position) : entries[position]?.position;
  }

  /** The next answer that is due: in the order of the events, or, unordered, as they came. */
  takeAnswer(): Answer<I> | undefined {
    const first = this.#answers.first;
    if (first?.result === undefined) return undefined;
    this.#answers.shift();
    this.owed -= 1;
    this.owedBytes -= first.event.bytes;
    return { item: first.item, result: first.result };
  }
}

function total<I>(entries: readonly Owed<I>[]): number {
  return entries.reduce((bytes, entry) => bytes + entry.event.bytes, 0);
}

/** The same in little memory: most batches hold events that followed each other. */
function positionOf<I>(entries: readonly Owed<I>[]): PositionOf {
  const first = entries[0]?.position ?? 0;
  const count = entries.length;
  if (entries.every((entry, index) => entry.position === first + index)) {
    return (position) => (position < count ? first + position : undefined);
  }
  const positions = entries.map((entry) => entry.position);
  return (position) => positions[position];
}

function itemOf<I>(entry: Entry<I>, destination: number, connection: number): Item {
  const item = { ...(entry.fields ?? NO_FIELDS) };
  item.payload = entry.event.payload;
  item.destination = destination;
  item.connection = connection;
  return item;
}

const NO_FIELDS = Item.create();

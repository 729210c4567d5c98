// A stream: events in one at a time, answers out in order.

import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";

import { personKey, slotOf } from "./affinity.js";
import { AffinityRouter } from "./affinity-router.js";
import { Aborted, Closed, asSidecarError } from "./errors.js";
import type { SidecarError } from "./errors.js";
import { Destination, SourceConnection } from "./destinations.js";
import { BatchEntry, encodeEvent, encodeFields } from "./events.js";
import type { BatchOptions, Event, SendOptions } from "./events.js";
import type { FirstConnection } from "./first-connection.js";
import { Lane } from "./lane.js";
import { AnswerQueue, OutstandingEvents } from "./outstanding-events.js";
import type { Answer, Answered, BatchGroup, Entry } from "./outstanding-events.js";
import { Queue } from "./queue.js";
import { SETTLE_MS } from "./sidecars.js";
import type { Sidecars } from "./sidecars.js";
import { checkTimeout } from "./stream-options.js";
import type { FilledOptions } from "./stream-options.js";

/** How long closing a stream with affinity waits for the sidecars to end their calls. */
const ORDERLY_END_MS = 2_000;

/** Events whose sender waits for flow control. */
interface WaitingSender<A> {
  readonly entries: readonly Entry<A>[];
  readonly group: BatchGroup | undefined;
  readonly admit: () => void;
  readonly reject: (failure: SidecarError) => void;
}

/**
 * A stream of events, which returns an answer for each event. `Client.stream` creates it.
 *
 * The stream gathers events into messages and limits the outstanding events. If the sidecar goes away,
 * the stream opens another call and sends the events without an answer again. A is the type of the
 * attachments; without it, events come back as their own attachments.
 */
export class Stream<A = Event> implements AsyncIterable<Answer<A>>, AsyncDisposable {
  readonly #answers: AnswerQueue<A>;
  readonly #lanes: readonly Lane<A>[];
  // undefined: without affinity.
  readonly #router: AffinityRouter<A> | undefined;
  // In the order of their calls.
  readonly #senders = new Queue<WaitingSender<A>>();
  readonly #running: Promise<void>;
  readonly #first: FirstConnection;
  // The reason why no more answers come.
  #failure: SidecarError | undefined;
  // The reason why no more events are sent, although those that were sent still get their answers.
  #fault: SidecarError | undefined;
  // True: the caller takes no more answers.
  #abandoned = false;
  #finished = false;
  #settling: NodeJS.Timeout | undefined;
  // When the last lane of several lost its connection.
  #connectedUntilMs = 0;
  #readers: (() => void)[] = [];

  /** Internal. Callers use `Client.stream`. */
  constructor(
    sidecars: Sidecars,
    private readonly destination: Destination | undefined,
    private readonly options: FilledOptions,
    private readonly clientClosed: AbortSignal,
  ) {
    this.#first = sidecars.first;
    this.#answers = new AnswerQueue(options.unordered);
    const { addresses } = sidecars;
    const hasAffinity = options.affinity === "person";
    if (hasAffinity && addresses.length < 2) {
      throw new TypeError("affinity needs a client with the addresses of several sidecars");
    }
    const choices = hasAffinity ? addresses.map((_, index) => sidecars.forStream(index)) : [sidecars.forStream()];
    const outstanding = choices.map(() => new OutstandingEvents<A>(this.#answers, options));
    const owner = {
      hasSentAll: (lane: Lane<A>) => this.#hasSentAll(lane),
      isFinished: () => this.#finished,
      isDone: () => this.#isDone(),
      hasFault: () => this.#fault !== undefined,
      onAnswered: (lane: Lane<A>, answered: Answered<A>) => {
        this.#onAnswered(lane, answered);
      },
      onOpened: (lane: Lane<A>) => {
        this.#onOpened(lane);
      },
      onDraining: (lane: Lane<A>) => {
        this.#router?.draining(lane.index);
        this.#sendNow();
      },
      onLost: (lane: Lane<A>, useful: boolean) => this.#onLost(lane, useful),
      onFault: (lane: Lane<A>, fault: SidecarError) => {
        this.#onFault(lane, fault);
      },
    };
    this.#lanes = outstanding.map(
      (events, index) => new Lane(index, events, choices[index] ?? sidecars, options, owner),
    );
    this.#router = hasAffinity
      ? new AffinityRouter(addresses, outstanding, (index) => this.#lanes[index]?.linger())
      : undefined;
    this.#running = this.#run();
  }

  /** The number of calls that were opened after the first one, with affinity at any address. */
  get reconnects(): number {
    return this.#lanes.reduce((reconnects, { call }) => reconnects + call.reconnects, 0);
  }

  /**
   * Queue an event. Resolves when flow control admits the event.
   *
   * attachment: the caller's own object, which comes back with the result. Defaults to the event.
   * Rejects with a SidecarError if the stream has failed or is finished, and with a TypeError or
   * RangeError if the event cannot be sent.
   */
  async send(event: Event, attachment?: A, options: SendOptions = {}): Promise<void> {
    await this.#admitted([this.#entry(new BatchEntry(event, attachment, options))], undefined);
  }

  /**
   * Queue events that are sent at once, in messages without other events: they share requests only
   * with each other. Either all are queued or, if the promise rejects, none.
   *
   * Resolves when flow control admits any event: the batch may exceed the limits. Rejects as `send` does.
   */
  async sendBatch(entries: Iterable<Event | BatchEntry<A>>, { timeoutMs }: BatchOptions = {}): Promise<void> {
    checkTimeout(timeoutMs);
    await this.#admitted(
      Array.from(entries, (entry) => this.#entry(BatchEntry.of(entry))),
      { timeoutMs },
    );
  }

  async #admitted(entries: readonly Entry<A>[], group: BatchGroup | undefined): Promise<void> {
    const failure = this.#failure ?? this.#fault;
    if (failure !== undefined) throw failure;
    if (this.#finished) throw new Closed("the stream is finished");
    if (!this.#hasCapacity()) {
      if (!this.#lanes.some(({ outstanding }) => outstanding.hasInFlight)) {
        // No event can join the waiting ones, so they are sent. With events in flight, capacity
        // returns later, and more events share the next message.
        this.#sendNow();
      }
      await new Promise<void>((admit, reject) => {
        this.#senders.push({ entries, group, admit, reject });
      });
      return;
    }
    this.#add(entries, group);
    // A producer that never waits would keep the socket from sending its messages.
    if (this.#lanes.some(({ outstanding }) => outstanding.batchIsFull)) await nextTurn();
  }

  /** End the caller's events. Iteration ends after the last answer. */
  finish(): void {
    this.#finished = true;
    this.#sendNow();
    this.#wakeReaders();
  }

  /**
   * Iterate over the answers, in the order of the events unless `unordered` is set. Leaving the loop
   * does not end the stream.
   *
   * Throws a SidecarError after the last answer before a failure. If the caller ended the stream, the
   * error is thrown at once.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Answer<A>, void, undefined> {
    const { signal } = this.options;
    for (;;) {
      // Both signals also count after the last call, when only answers are left to take.
      if (signal?.aborted) this.#abandon(new Aborted(signal));
      if (this.clientClosed.aborted) this.#abandon(new Closed("the client was closed"));
      if (this.#abandoned && this.#failure !== undefined) throw this.#failure;
      const answer = this.#answers.take();
      if (answer !== undefined) {
        this.#admitSenders();
        yield answer;
      } else if (this.#finished && this.#answers.count === 0) {
        return;
      } else if (this.#failure !== undefined) {
        throw this.#failure;
      } else {
        await new Promise<void>((wake) => this.#readers.push(wake));
      }
    }
  }

  /**
   * Send all events and iterate over all answers. The stream is finished afterwards.
   *
   * Each event is the attachment of its answer. If events were sent with other attachments too, iterate
   * over the stream instead.
   * Events are read as flow control admits them. Leaving the loop closes the stream. An error of the
   * events is thrown after the answers to the events before it.
   */
  async *map<E extends A & Event>(
    events: Iterable<E> | AsyncIterable<E>,
    options?: SendOptions,
  ): AsyncGenerator<Answer<E>, void, undefined> {
    const feeding = this.#feed(events, options).then(
      () => undefined,
      (failure: unknown) => ({ failure }),
    );
    let complete = false;
    try {
      yield* this as AsyncIterable<Answer<A>> as AsyncIterable<Answer<E>>;
      complete = true;
    } finally {
      if (!complete) this.#abandon(new Closed("the caller left the loop over the answers"));
    }
    const failed = await feeding;
    if (failed !== undefined) throw failed.failure;
  }

  /** End the stream at once. Answers that were not taken are lost: `finish` and iterate first. */
  async close(): Promise<void> {
    if (this.#router !== undefined && this.#failure === undefined && this.#isDone()) {
      // The sidecars get Finish only now: any of them could have had to take another's events.
      await Promise.race([this.#running, sleep(ORDERLY_END_MS, undefined, { ref: false })]);
    }
    this.#abandon(new Closed("the stream was closed"));
    await this.#running;
  }

  /** Close the stream. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #feed(events: Iterable<Event> | AsyncIterable<Event>, options: SendOptions | undefined): Promise<void> {
    try {
      if (Symbol.asyncIterator in events) {
        for await (const event of events) await this.send(event, undefined, options);
      } else {
        for (const event of events) await this.send(event, undefined, options);
      }
    } finally {
      this.finish();
    }
  }

  #entry({ event, attachment, options }: BatchEntry<A>): Entry<A> {
    const { destination: ownDestination, connection, ...fields } = options;
    const encoded = encodeEvent(event);
    const destination = ownDestination === undefined ? this.destination : Destination.of(ownDestination);
    if (destination === undefined && encoded.payload.$case !== "prepared") {
      throw new TypeError("name a destination for the event or for the stream");
    }
    const hasAffinity = this.#router !== undefined;
    return {
      encoded,
      slot: hasAffinity ? slotOf(personKey(encoded, fields.orderingKey)) : 0,
      attachment: attachment === undefined ? (event as A) : attachment,
      destination,
      connection: connection === undefined ? undefined : SourceConnection.of(connection),
      fields: encodeFields(fields),
    };
  }

  /** Tell whether flow control admits another event. */
  #hasCapacity(): boolean {
    const { count, bytes } = this.#answers;
    const { maxOutstandingEvents, maxOutstandingBytes } = this.options;
    return count < maxOutstandingEvents && (bytes < maxOutstandingBytes || count === 0);
  }

  #admitSenders(): void {
    while (this.#senders.length > 0 && this.#hasCapacity()) {
      const sender = this.#senders.shift();
      if (sender === undefined) return;
      this.#add(sender.entries, sender.group);
      sender.admit();
    }
  }

  #add(entries: readonly Entry<A>[], group: BatchGroup | undefined): void {
    for (const entry of entries) {
      const event = this.#answers.add(entry, group);
      if (this.#router !== undefined) this.#router.place(event);
      else {
        this.#lanes[0]?.outstanding.enqueue(event);
        if (group === undefined) this.#lanes[0]?.linger();
      }
    }
    if (group !== undefined) this.#sendNow();
  }

  /** Send the waiting events of all lanes, or Finish where nothing is left to send. */
  #sendNow(): void {
    for (const lane of this.#lanes) lane.sendNow();
  }

  #onAnswered(lane: Lane<A>, { answered, returned }: Answered<A>): void {
    if (this.#router !== undefined) {
      this.#router.answered(answered);
      this.#router.returned(lane.index, returned);
      if (returned.length > 0 || this.#isDone()) this.#sendNow();
      if (this.#isDone()) this.#endUnopened();
    }
    this.#wakeReaders();
  }

  #onOpened(lane: Lane<A>): void {
    this.#first.made = true;
    if (this.#router === undefined) return;
    this.#router.opened(lane.index);
    const router = this.#router;
    if (!router.settled) {
      this.#settling ??= setTimeout(() => {
        router.settle();
      }, SETTLE_MS);
    }
    this.#sendNow();
  }

  #onLost(lane: Lane<A>, useful: boolean): number {
    if (this.#router === undefined) return 0;
    const wasConnected = this.#router.isConnected();
    this.#router.lost(lane.index);
    if (useful && wasConnected && !this.#router.isConnected()) this.#connectedUntilMs = performance.now();
    this.#sendNow();
    return this.#router.isConnected() ? performance.now() : this.#connectedUntilMs;
  }

  #onFault(lane: Lane<A>, fault: SidecarError): void {
    this.#fault = fault;
    if (this.#router === undefined) lane.outstanding.takeWaiting();
    else this.#router.drop();
    this.#rejectSenders(fault);
  }

  /** End the lanes that still connect: nothing is left for them to do. */
  #endUnopened(): void {
    for (const { call } of this.#lanes) {
      if (call.current?.opened !== true) call.end();
    }
  }

  #hasSentAll(lane: Lane<A>): boolean {
    if (!this.#finished && this.#fault === undefined) return false;
    if (this.#router === undefined) return !lane.outstanding.hasWaiting && this.#senders.length === 0;
    // The lane may still get events of a lane whose sidecar goes away.
    return this.#isDone();
  }

  #isDone(): boolean {
    if (!this.#finished && this.#fault === undefined) return false;
    const hasUnanswered = this.#lanes.some(({ outstanding }) => outstanding.hasUnanswered);
    return !hasUnanswered && this.#router?.holdsEvents !== true && this.#senders.length === 0;
  }

  #rejectSenders(failure: SidecarError): void {
    for (let sender = this.#senders.shift(); sender !== undefined; sender = this.#senders.shift()) {
      sender.reject(failure);
    }
  }

  #wakeReaders(): void {
    const readers = this.#readers;
    this.#readers = [];
    for (const wake of readers) wake();
  }

  #abandon(reason: SidecarError): void {
    this.#abandoned = true;
    this.#end(reason);
  }

  #end(failure: SidecarError): void {
    this.#failure ??= failure;
    for (const lane of this.#lanes) lane.end();
    clearTimeout(this.#settling);
    this.#rejectSenders(this.#failure);
    this.#wakeReaders();
  }

  /** Run until all events are answered or the stream fails. */
  async #run(): Promise<void> {
    const { signal } = this.options;
    const abort = (): void => {
      if (signal !== undefined) this.#abandon(new Aborted(signal));
    };
    const close = (): void => {
      this.#abandon(new Closed("the client was closed"));
    };
    signal?.addEventListener("abort", abort);
    this.clientClosed.addEventListener("abort", close);
    try {
      if (signal?.aborted) abort();
      await Promise.all(this.#lanes.map((lane) => this.#runLane(lane)));
      if (this.#fault !== undefined) this.#end(this.#fault);
    } finally {
      clearTimeout(this.#settling);
      signal?.removeEventListener("abort", abort);
      this.clientClosed.removeEventListener("abort", close);
    }
  }

  async #runLane(lane: Lane<A>): Promise<void> {
    try {
      await lane.call.run();
    } catch (fault) {
      this.#end(asSidecarError(fault));
    }
  }
}

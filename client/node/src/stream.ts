// A stream: events in one at a time, answers out in order.

import { setImmediate as turn } from "node:timers/promises";

import type { Call } from "./call.js";
import { Aborted, Closed, asSidecarError, contractBroken } from "./errors.js";
import type { SidecarError } from "./errors.js";
import { Connection, Destination } from "./destinations.js";
import { BatchEntry, encodeEvent, encodeFields } from "./events.js";
import type { BatchOptions, Event, SendOptions } from "./events.js";
import type { TransformStreamRequest, TransformStreamResponse } from "./gen/index.js";
import { Ledger } from "./ledger.js";
import type { Answer, BatchGroup, Entry } from "./ledger.js";
import { Queue } from "./queue.js";
import { Reconnecting } from "./reconnecting.js";
import type { Sidecars } from "./sidecars.js";
import { checkTimeout } from "./stream-options.js";
import type { FilledOptions } from "./stream-options.js";

interface Sender<I> {
  readonly entries: readonly Entry<I>[];
  readonly group: BatchGroup | undefined;
  readonly admitted: () => void;
  readonly refused: (failure: SidecarError) => void;
}

/**
 * Events in, one at a time; answers out, in order, each beside its sender's own object.
 *
 * Gathers events into messages, keeps within the credit, and, when the sidecar goes away, opens
 * another stream and sends again what has no answer. Made by `Client.stream`, and connects at once.
 * Item is the type of what is handed in beside the events; leave it alone to get the events back.
 */
export class Stream<I = Event> implements AsyncIterable<Answer<I>>, AsyncDisposable {
  readonly #ledger: Ledger<I>;
  // Those whose event has to wait for credit, in the order in which they came.
  readonly #senders = new Queue<Sender<I>>();
  readonly #wire: Reconnecting;
  readonly #running: Promise<void>;
  // Why no answer comes any more.
  #failure: SidecarError | undefined;
  // Why nothing more is sent, although what was sent is still answered.
  #fault: SidecarError | undefined;
  // Its owner wants no more answers.
  #abandoned = false;
  #finished = false;
  #due = false;
  #linger: NodeJS.Timeout | undefined;
  #readers: (() => void)[] = [];

  /** Not for callers: see `Client.stream`. */
  constructor(
    sidecars: Sidecars,
    private readonly destination: Destination | undefined,
    private readonly options: FilledOptions,
    private readonly clientClosed: AbortSignal,
  ) {
    this.#ledger = new Ledger(options);
    this.#wire = new Reconnecting(sidecars, options, {
      answered: () => this.#ledger.answered,
      isDone: () => this.#isDone(),
      hasFault: () => this.#fault !== undefined,
      take: (call, response) => {
        this.#take(call, response);
      },
    });
    this.#running = this.#run();
  }

  /** How often another stream had to be opened. */
  get reconnects(): number {
    return this.#wire.reconnects;
  }

  /**
   * Takes an event; fulfilled once the credit allows it.
   *
   * item: whatever should come back beside the result; the event itself if undefined. Rejects with
   * a SidecarError once the stream has failed, with a TypeError or RangeError for what cannot travel.
   */
  async send(event: Event, item?: I, options: SendOptions = {}): Promise<void> {
    await this.#admitted([this.#entry(new BatchEntry(event, item, options))], undefined);
  }

  /**
   * Takes events that go out at once, in messages that hold no others: only they share requests
   * with each other. All are taken or, if this rejects, none. Waits as `send` does, but for any
   * credit at all: they may exceed it. Rejects as `send` does.
   */
  async sendBatch(entries: Iterable<Event | BatchEntry<I>>, { timeoutMs }: BatchOptions = {}): Promise<void> {
    checkTimeout(timeoutMs);
    await this.#admitted(
      Array.from(entries, (one) => this.#entry(BatchEntry.of(one))),
      { timeoutMs },
    );
  }

  async #admitted(entries: readonly Entry<I>[], group: BatchGroup | undefined): Promise<void> {
    const failure = this.#failure ?? this.#fault;
    if (failure !== undefined) throw failure;
    if (this.#finished) throw new Closed("the stream is finished");
    if (!this.#hasCredit()) {
      if (!this.#ledger.inFlight) {
        // Nobody can join what waits. Otherwise room will come, and with it more to share a message.
        this.#due = true;
        this.#pump();
      }
      await new Promise<void>((admitted, refused) => {
        this.#senders.push({ entries, group, admitted, refused });
      });
      return;
    }
    this.#add(entries, group);
    // A producer that never waits would keep its own messages from being sent.
    if (this.#ledger.batchIsFull) await turn();
  }

  /** Says that nothing more will be sent: iteration ends after the last answer. */
  finish(): void {
    this.#finished = true;
    this.#due = true;
    this.#pump();
    this.#wakeReaders();
  }

  /**
   * Answers as they come, in the order of their events unless asked otherwise. Leaving the loop ends
   * nothing. Throws a SidecarError after the last answer before a failure, and at once where the owner ended it.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Answer<I>, void, undefined> {
    const { signal } = this.options;
    for (;;) {
      // Also when the wire is done, and only answers are left to take.
      if (signal?.aborted) this.#abandon(new Aborted(signal));
      if (this.#abandoned && this.#failure !== undefined) throw this.#failure;
      const answer = this.#ledger.takeAnswer();
      if (answer !== undefined) {
        this.#admit();
        yield answer;
      } else if (this.#finished && this.#ledger.owed === 0) {
        return;
      } else if (this.#failure !== undefined) {
        throw this.#failure;
      } else {
        await new Promise<void>((wake) => this.#readers.push(wake));
      }
    }
  }

  /**
   * Sends all events and yields all answers; then the stream is finished. Events are taken as the
   * credit allows. Leaving the loop closes the stream. What the events throw is thrown after the
   * answers to those before.
   */
  async *map(
    events: Iterable<Event> | AsyncIterable<Event>,
    options?: SendOptions,
  ): AsyncGenerator<Answer<I>, void, undefined> {
    const feeding = this.#feed(events, options).then(
      () => undefined,
      (failure: unknown) => ({ failure }),
    );
    let complete = false;
    try {
      yield* this;
      complete = true;
    } finally {
      if (!complete) this.#abandon(new Closed("the loop over its answers was left"));
    }
    const failed = await feeding;
    if (failed !== undefined) throw failed.failure;
  }

  /** Ends the stream at once. Answers not taken by now are lost: `finish` and iterate first. */
  async close(): Promise<void> {
    this.#abandon(new Closed("the stream was closed"));
    await this.#running;
  }

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

  #entry({ event, item, options }: BatchEntry<I>): Entry<I> {
    const { destination: named, connection, ...fields } = options;
    const encoded = encodeEvent(event);
    const destination = named === undefined ? this.destination : Destination.of(named);
    if (destination === undefined && encoded.payload.$case !== "prepared") {
      throw new TypeError("name a destination here or where the stream is made");
    }
    return {
      event: encoded,
      item: item === undefined ? (event as I) : item,
      destination,
      connection: connection === undefined ? undefined : Connection.of(connection),
      fields: encodeFields(fields),
    };
  }

  #hasCredit(): boolean {
    const { owed, owedBytes } = this.#ledger;
    return owed < this.options.maxOwedEvents && (owedBytes < this.options.maxOwedBytes || owed === 0);
  }

  #admit(): void {
    while (this.#senders.length > 0 && this.#hasCredit()) {
      const sender = this.#senders.shift();
      if (sender === undefined) return;
      this.#add(sender.entries, sender.group);
      sender.admitted();
    }
  }

  #add(entries: readonly Entry<I>[], group: BatchGroup | undefined): void {
    for (const entry of entries) this.#ledger.add(entry, group);
    if (group !== undefined) this.#due = true;
    if (group !== undefined || this.#ledger.batchIsFull) {
      this.#pump();
    } else {
      this.#linger ??= setTimeout(() => {
        this.#due = true;
        this.#pump();
      }, this.options.lingerMs);
    }
  }

  /** Sends the next message if it is time, or says that none will come. */
  #pump(): void {
    const ledger = this.#ledger;
    const call = this.#wire.call;
    if (call === undefined || !call.opened || call.finished || call.writing) return;
    if (!call.draining && (ledger.batchIsFull || (this.#due && ledger.waiting))) {
      this.#sendTo(call);
    } else if (call.draining || (this.#hasSentAll() && this.#senders.length === 0)) {
      call.finish();
    } else if (!ledger.waiting) {
      this.#rest();
    }
  }

  #sendTo(call: Call): void {
    let messages: TransformStreamRequest[] | undefined;
    try {
      messages = this.#ledger.takeMessages();
      if (!this.#ledger.waiting) this.#rest();
      call.send(messages, () => {
        this.#pump();
      });
    } catch (fault) {
      // Nobody else would hear of it. What was sent before is answered by another call.
      this.#fault = asSidecarError(fault);
      if (messages !== undefined) this.#ledger.dropLastBatch();
      this.#ledger.dropWaiting();
      this.#refuseSenders(this.#fault);
      call.cancel();
    }
  }

  #hasSentAll(): boolean {
    return (this.#finished || this.#fault !== undefined) && !this.#ledger.waiting;
  }

  #isDone(): boolean {
    return this.#hasSentAll() && !this.#ledger.unanswered && this.#senders.length === 0;
  }

  #refuseSenders(failure: SidecarError): void {
    for (let sender = this.#senders.shift(); sender !== undefined; sender = this.#senders.shift()) {
      sender.refused(failure);
    }
  }

  /** Nothing waits: the next event starts the clock. */
  #rest(): void {
    this.#due = this.#finished;
    clearTimeout(this.#linger);
    this.#linger = undefined;
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
    this.#wire.end();
    clearTimeout(this.#linger);
    this.#refuseSenders(this.#failure);
    this.#wakeReaders();
  }

  /** Until all is answered, or no hope is left. */
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
      await this.#wire.run();
      if (this.#fault !== undefined) this.#end(this.#fault);
    } catch (fault) {
      this.#end(asSidecarError(fault));
    } finally {
      signal?.removeEventListener("abort", abort);
      this.clientClosed.removeEventListener("abort", close);
    }
  }

  #take(call: Call, { message }: TransformStreamResponse): void {
    switch (message?.$case) {
      case "results":
        try {
          this.#ledger.answer(message.value);
        } catch (fault) {
          throw contractBroken(fault);
        }
        this.#wakeReaders();
        break;
      case "opened":
        this.#ledger.connect(message.value.limits);
        call.opened = true;
        this.#due = true;
        this.#pump();
        break;
      case "drain":
        call.draining = true;
        this.#pump();
        break;
    }
  }
}

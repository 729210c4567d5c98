// A stream: events in one at a time, answers out in order.

import { setImmediate as nextTurn } from "node:timers/promises";

import type { Call } from "./call.js";
import { Aborted, Closed, asSidecarError, contractBroken } from "./errors.js";
import type { SidecarError } from "./errors.js";
import { Destination, SourceConnection } from "./destinations.js";
import { BatchEntry, encodeEvent, encodeFields } from "./events.js";
import type { BatchOptions, Event, SendOptions } from "./events.js";
import type { FirstConnection } from "./first-connection.js";
import type { TransformStreamRequest, TransformStreamResponse } from "./gen/index.js";
import { OutstandingEvents } from "./outstanding-events.js";
import type { Answer, BatchGroup, Entry } from "./outstanding-events.js";
import { Queue } from "./queue.js";
import { ReconnectingCall } from "./reconnecting-call.js";
import type { Sidecars } from "./sidecars.js";
import { checkTimeout } from "./stream-options.js";
import type { FilledOptions } from "./stream-options.js";

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
  readonly #outstanding: OutstandingEvents<A>;
  // In the order of their calls.
  readonly #senders = new Queue<WaitingSender<A>>();
  readonly #call: ReconnectingCall;
  readonly #running: Promise<void>;
  readonly #first: FirstConnection;
  // The reason why no more answers come.
  #failure: SidecarError | undefined;
  // The reason why no more events are sent, although those that were sent still get their answers.
  #fault: SidecarError | undefined;
  // True: the caller takes no more answers.
  #abandoned = false;
  #finished = false;
  // True: waiting events are sent although they do not fill a message.
  #due = false;
  #linger: NodeJS.Timeout | undefined;
  #readers: (() => void)[] = [];

  /** Internal. Callers use `Client.stream`. */
  constructor(
    sidecars: Sidecars,
    private readonly destination: Destination | undefined,
    private readonly options: FilledOptions,
    private readonly clientClosed: AbortSignal,
  ) {
    this.#first = sidecars.first;
    this.#outstanding = new OutstandingEvents(options);
    this.#call = new ReconnectingCall(sidecars, options, {
      answeredCount: () => this.#outstanding.answeredCount,
      isDone: () => this.#isDone(),
      hasFault: () => this.#fault !== undefined,
      onResponse: (call, response) => {
        this.#onResponse(call, response);
      },
    });
    this.#running = this.#run();
  }

  /** The number of calls that were opened after the first one. */
  get reconnects(): number {
    return this.#call.reconnects;
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
      if (!this.#outstanding.hasInFlight) {
        // No event can join the waiting ones, so they are sent. With events in flight, capacity
        // returns later, and more events share the next message.
        this.#due = true;
        this.#pump();
      }
      await new Promise<void>((admit, reject) => {
        this.#senders.push({ entries, group, admit, reject });
      });
      return;
    }
    this.#add(entries, group);
    // A producer that never waits would keep the socket from sending its messages.
    if (this.#outstanding.batchIsFull) await nextTurn();
  }

  /** End the caller's events. Iteration ends after the last answer. */
  finish(): void {
    this.#finished = true;
    this.#due = true;
    this.#pump();
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
      const answer = this.#outstanding.takeAnswer();
      if (answer !== undefined) {
        this.#admitSenders();
        yield answer;
      } else if (this.#finished && this.#outstanding.count === 0) {
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
    return {
      encoded,
      attachment: attachment === undefined ? (event as A) : attachment,
      destination,
      connection: connection === undefined ? undefined : SourceConnection.of(connection),
      fields: encodeFields(fields),
    };
  }

  /** Tell whether flow control admits another event. */
  #hasCapacity(): boolean {
    const { count, bytes } = this.#outstanding;
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
    for (const entry of entries) this.#outstanding.add(entry, group);
    if (group !== undefined) this.#due = true;
    if (group !== undefined || this.#outstanding.batchIsFull) {
      this.#pump();
    } else {
      this.#linger ??= setTimeout(() => {
        this.#due = true;
        this.#pump();
      }, this.options.lingerMs);
    }
  }

  /** Send the next message if it is due, or Finish if there is nothing to send any more. */
  #pump(): void {
    const outstanding = this.#outstanding;
    const call = this.#call.current;
    if (call === undefined || !call.opened || call.finished || call.writing) return;
    if (!call.draining && (outstanding.batchIsFull || (this.#due && outstanding.hasWaiting))) {
      this.#sendTo(call);
    } else if (call.draining || (this.#hasSentAll() && this.#senders.length === 0)) {
      call.finish();
    } else if (!outstanding.hasWaiting) {
      this.#stopLinger();
    }
  }

  #sendTo(call: Call): void {
    let messages: TransformStreamRequest[] | undefined;
    try {
      messages = this.#outstanding.takeMessages();
      if (!this.#outstanding.hasWaiting) this.#stopLinger();
      call.send(messages, () => {
        this.#pump();
      });
    } catch (fault) {
      // Only this handler sees the error. The events sent before get their answers on another call.
      this.#fault = asSidecarError(fault);
      if (messages !== undefined) this.#outstanding.dropLastBatch();
      this.#outstanding.dropWaiting();
      this.#rejectSenders(this.#fault);
      call.cancel();
    }
  }

  #hasSentAll(): boolean {
    return (this.#finished || this.#fault !== undefined) && !this.#outstanding.hasWaiting;
  }

  #isDone(): boolean {
    return this.#hasSentAll() && !this.#outstanding.hasUnanswered && this.#senders.length === 0;
  }

  #rejectSenders(failure: SidecarError): void {
    for (let sender = this.#senders.shift(); sender !== undefined; sender = this.#senders.shift()) {
      sender.reject(failure);
    }
  }

  /** Stop the timer: no event waits, and the next one starts it again. */
  #stopLinger(): void {
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
    this.#call.end();
    clearTimeout(this.#linger);
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
      await this.#call.run();
      if (this.#fault !== undefined) this.#end(this.#fault);
    } catch (fault) {
      this.#end(asSidecarError(fault));
    } finally {
      signal?.removeEventListener("abort", abort);
      this.clientClosed.removeEventListener("abort", close);
    }
  }

  #onResponse(call: Call, { message }: TransformStreamResponse): void {
    switch (message?.$case) {
      case "results":
        try {
          this.#outstanding.answer(message.value);
        } catch (fault) {
          throw contractBroken(fault);
        }
        this.#wakeReaders();
        break;
      case "opened":
        this.#first.made = true;
        this.#outstanding.connect(message.value.limits);
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

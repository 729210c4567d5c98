// A lane: one connection of a stream, its events, and when they are sent.

import type { Call } from "./call.js";
import { asSidecarError, contractBroken } from "./errors.js";
import type { SidecarError } from "./errors.js";
import type { TransformStreamRequest, TransformStreamResponse } from "./gen/index.js";
import type { Answered, OutstandingEvents } from "./outstanding-events.js";
import { ReconnectingCall } from "./reconnecting-call.js";
import type { SidecarChoice } from "./sidecars.js";
import type { FilledOptions } from "./stream-options.js";

/** The stream that a lane works for. */
interface LaneOwner<A> {
  /** Return true if the lane will never have another event to send. */
  hasSentAll(lane: Lane<A>): boolean;
  /** Return true if the caller sends no more events. */
  isFinished(): boolean;
  /** Return true if the stream needs the lane no longer. */
  isDone(): boolean;
  /** Return true if an event could not be sent, and answers are due. */
  hasFault(): boolean;
  /** Handle results. */
  onAnswered(lane: Lane<A>, answered: Answered<A>): void;
  /** Handle that the lane is connected. */
  onOpened(lane: Lane<A>): void;
  /** Handle that the lane's sidecar drains. */
  onDraining(lane: Lane<A>): void;
  /** Handle the end of a call that another one follows. Returns when a lane last had a connection. */
  onLost(lane: Lane<A>, useful: boolean): number;
  /** Handle that events cannot be sent. */
  onFault(lane: Lane<A>, fault: SidecarError): void;
}

/** One connection of a stream. A stream with affinity has one for each address, any other one for all. */
export class Lane<A> {
  readonly call: ReconnectingCall;
  // True: waiting events are sent although they do not fill a message.
  #due = false;
  #linger: NodeJS.Timeout | undefined;

  constructor(
    readonly index: number,
    readonly outstanding: OutstandingEvents<A>,
    sidecars: SidecarChoice,
    private readonly options: FilledOptions,
    private readonly owner: LaneOwner<A>,
  ) {
    this.call = new ReconnectingCall(sidecars, options, {
      answeredCount: () => outstanding.answeredCount,
      isDone: () => owner.isDone(),
      hasFault: () => owner.hasFault(),
      onLost: (useful) => owner.onLost(this, useful),
      onResponse: (call, response) => {
        this.#onResponse(call, response);
      },
    });
  }

  /** Note that an event was added, which waits for others to share its message. */
  linger(): void {
    if (this.outstanding.batchIsFull) {
      this.pump();
      return;
    }
    this.#linger ??= setTimeout(() => {
      this.sendNow();
    }, this.options.lingerMs);
  }

  /** Send the waiting events. */
  sendNow(): void {
    this.#due = true;
    this.pump();
  }

  /** Send the next message if it is due, or Finish if there is nothing to send any more. */
  pump(): void {
    const outstanding = this.outstanding;
    const call = this.call.current;
    if (call === undefined || !call.opened || call.finished || call.writing) return;
    if (!call.draining && (outstanding.batchIsFull || (this.#due && outstanding.hasWaiting))) {
      this.#sendTo(call);
    } else if (call.draining || this.owner.hasSentAll(this)) {
      call.finish();
    } else if (!outstanding.hasWaiting) {
      this.#stopLinger();
    }
  }

  /** End the call, and open no other. */
  end(): void {
    this.call.end();
    clearTimeout(this.#linger);
  }

  #sendTo(call: Call): void {
    let messages: TransformStreamRequest[] | undefined;
    try {
      messages = this.outstanding.takeMessages();
      if (!this.outstanding.hasWaiting) this.#stopLinger();
      call.send(messages, () => {
        this.pump();
      });
    } catch (fault) {
      // Only this handler sees the error. The events sent before get their answers on another call.
      if (messages !== undefined) this.outstanding.dropLastBatch();
      this.owner.onFault(this, asSidecarError(fault));
      call.cancel();
    }
  }

  /** Stop the timer: no event waits, and the next one starts it again. */
  #stopLinger(): void {
    this.#due = this.owner.isFinished();
    clearTimeout(this.#linger);
    this.#linger = undefined;
  }

  #onResponse(call: Call, { message }: TransformStreamResponse): void {
    switch (message?.$case) {
      case "results": {
        let answered: Answered<A>;
        try {
          answered = this.outstanding.answer(message.value);
        } catch (fault) {
          throw contractBroken(fault);
        }
        this.owner.onAnswered(this, answered);
        break;
      }
      case "opened":
        this.outstanding.connect(message.value.limits);
        call.opened = true;
        this.owner.onOpened(this);
        this.sendNow();
        break;
      case "drain":
        call.draining = true;
        this.owner.onDraining(this);
        this.pump();
        break;
    }
  }
}

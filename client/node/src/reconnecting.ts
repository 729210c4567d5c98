// Keeps a stream of the wire open: one call after another, until all is answered.

import { setTimeout as pause } from "node:timers/promises";

import { status as Code } from "@grpc/grpc-js";

import { Call } from "./call.js";
import type { Ended } from "./call.js";
import { CallFailed, callFailed, worthAnotherTry } from "./errors.js";
import type { TransformStreamResponse } from "./gen/index.js";
import { Patience } from "./patience.js";
import type { Sidecars } from "./sidecars.js";
import { opening } from "./stream-options.js";
import type { FilledOptions } from "./stream-options.js";

/** Whom the calls are for. */
interface Owner {
  /** How many events have been answered so far. */
  answered(): number;
  /** Whether no call is needed any more. */
  isDone(): boolean;
  /** Whether the owner cancelled the call because of a fault of its own, and wants the answers due. */
  hasFault(): boolean;
  /** Takes what the server says on a call. */
  take(call: Call, response: TransformStreamResponse): void;
}

/** One call after another. */
export class Reconnecting {
  /** The one that is open, or being opened. */
  call: Call | undefined;
  /** How often another one had to be opened. */
  reconnects = 0;
  readonly #deadlineMs: number;
  readonly #over = new AbortController();

  constructor(
    private readonly sidecars: Sidecars,
    private readonly options: FilledOptions,
    private readonly owner: Owner,
  ) {
    this.#deadlineMs = Date.now() + options.timeoutMs;
  }

  /** Fulfilled once the owner is done, or `end` was called. Rejects once no hope is left. */
  async run(): Promise<void> {
    const patience = new Patience(this.options.reconnectForMs);
    while (!this.#isOver()) {
      const answered = this.owner.answered();
      const began = performance.now();
      const { code, details } = await this.#oneCall();
      if (this.#isOver()) return;
      if (this.owner.isDone()) return;
      const cancelled = code === Code.CANCELLED && this.owner.hasFault();
      if (code !== Code.OK && !worthAnotherTry(code) && !cancelled) throw callFailed(code, details);
      const reason = code === Code.OK ? "the sidecar ended the stream" : details;
      const progress = this.owner.answered() > answered;
      const pauseMs = patience.pauseMs(performance.now() - began, reason, progress);
      const leftMs = this.#deadlineMs - Date.now();
      await this.#pause(Math.min(pauseMs, leftMs));
      if (pauseMs >= leftMs) throw new CallFailed(Code.DEADLINE_EXCEEDED, reason);
      this.reconnects += 1;
    }
  }

  /** Ends the call, and makes no more. */
  end(): void {
    this.#over.abort();
    this.call?.cancel();
  }

  /** One stream of the wire from open to end, and how it ended. */
  async #oneCall(): Promise<Ended> {
    const sidecar = await this.sidecars.pick(this.#over.signal);
    if (this.#isOver()) return { code: Code.CANCELLED, details: "" };
    if (sidecar === undefined) return { code: Code.UNAVAILABLE, details: "no sidecar is healthy" };
    const options = this.#deadlineMs === Infinity ? {} : { deadline: this.#deadlineMs };
    const call = new Call(sidecar.transformStream(options), opening(this.options), (response) => {
      this.owner.take(call, response);
    });
    this.call = call;
    try {
      return await call.ended;
    } finally {
      this.call = undefined;
    }
  }

  async #pause(pauseMs: number): Promise<void> {
    await pause(Math.max(0, pauseMs), undefined, { signal: this.#over.signal }).catch(() => undefined);
  }

  #isOver(): boolean {
    return this.#over.signal.aborted;
  }
}

// One call of TransformStream after another, until all events are answered.

import { setTimeout as sleep } from "node:timers/promises";

import { status as Code } from "@grpc/grpc-js";
import type { Metadata } from "@grpc/grpc-js";

import { Call } from "./call.js";
import type { CallStatus } from "./call.js";
import { CallFailed, Unavailable, callFailed, isRetryable } from "./errors.js";
import { NOT_CONNECTED } from "./first-connection.js";
import type { TransformStreamResponse } from "./gen/index.js";
import { ReconnectBackoff, wasUseful } from "./reconnect-backoff.js";
import type { SidecarChoice } from "./sidecars.js";
import { openMessage } from "./stream-options.js";
import type { FilledOptions } from "./stream-options.js";

/** The stream that a ReconnectingCall works for. */
interface CallOwner {
  /** Return the number of events that are answered so far. */
  answeredCount(): number;
  /** Return true if no further call is needed. */
  isDone(): boolean;
  /** Return true if the owner cancelled the call after an error of its own, and needs the answers due. */
  hasFault(): boolean;
  /**
   * Handle the end of a call that another one follows. Returns when a lane last had a connection.
   *
   * useful: whether the call answered anything or lasted.
   */
  onLost(useful: boolean): number;
  /** Handle a response of a call. */
  onResponse(call: Call, response: TransformStreamResponse): void;
}

/** Opens another call whenever one ends early. */
export class ReconnectingCall {
  /** The call that is open, or being opened. */
  current: Call | undefined;
  /** The number of calls that were opened after the first one. */
  reconnects = 0;
  readonly #deadlineMs: number;
  readonly #end = new AbortController();

  constructor(
    private readonly sidecars: SidecarChoice,
    private readonly options: FilledOptions,
    private readonly owner: CallOwner,
  ) {
    this.#deadlineMs = Date.now() + options.timeoutMs;
  }

  /** Open calls until the owner is done or calls `end`. Rejects with the failure that ends the stream. */
  async run(): Promise<void> {
    const backoff = new ReconnectBackoff(this.options.reconnectForMs, this.sidecars.first);
    while (!this.#isEnded()) {
      const answeredBefore = this.owner.answeredCount();
      const startedMs = performance.now();
      const { code, details } = await this.#oneCall();
      if (this.#isEnded()) return;
      if (this.owner.isDone()) return;
      const isCancelledByOwner = code === Code.CANCELLED && this.owner.hasFault();
      if (code !== Code.OK && !isRetryable(code) && !isCancelledByOwner) throw callFailed(code, details);
      const reason = code === Code.OK ? "the sidecar ended the stream" : details;
      const hadResults = this.owner.answeredCount() > answeredBefore;
      const lastedMs = performance.now() - startedMs;
      const connectedAtMs = this.owner.onLost(wasUseful(lastedMs, hadResults));
      const delayMs = backoff.nextDelayMs(lastedMs, reason, hadResults, connectedAtMs);
      const leftMs = this.#deadlineMs - Date.now();
      await this.#sleep(Math.min(delayMs, leftMs));
      if (this.owner.isDone()) return;
      if (delayMs >= leftMs) throw new CallFailed(Code.DEADLINE_EXCEEDED, reason);
      this.reconnects += 1;
    }
  }

  /** Cancel the current call, and open no more. */
  end(): void {
    this.#end.abort();
    this.current?.cancel();
  }

  /** Make one call and return its status. */
  async #oneCall(): Promise<CallStatus> {
    const sidecar = await this.sidecars.pick(this.#end.signal);
    if (this.#isEnded()) return { code: Code.CANCELLED, details: "" };
    if (sidecar === undefined) return { code: Code.UNAVAILABLE, details: this.sidecars.unhealthy };
    const { first } = this.sidecars;
    let metadata: Metadata;
    try {
      metadata = await this.sidecars.token.metadata();
    } catch (failure) {
      if (!(failure instanceof Unavailable)) throw failure;
      return { code: Code.UNAVAILABLE, details: failure.message };
    }
    if (this.#isEnded()) return { code: Code.CANCELLED, details: "" };
    const options = this.#deadlineMs === Infinity ? {} : { deadline: this.#deadlineMs };
    const call = new Call(sidecar.transformStream(metadata, options), openMessage(this.options), (response) => {
      this.owner.onResponse(call, response);
    });
    this.current = call;
    const endLimit = first.limit(sidecar, () => {
      call.cancel();
    });
    try {
      const status = await call.ended;
      return endLimit() ? { code: Code.UNAVAILABLE, details: NOT_CONNECTED } : status;
    } finally {
      endLimit();
      this.current = undefined;
    }
  }

  async #sleep(delayMs: number): Promise<void> {
    await sleep(Math.max(0, delayMs), undefined, { signal: this.#end.signal }).catch(() => undefined);
  }

  #isEnded(): boolean {
    return this.#end.signal.aborted;
  }
}

// How long to wait before another attempt, and when to give up.

import type { FirstConnection } from "./first-connection.js";

const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 5_000;

/** Random delays below a limit that doubles with each of them. */
export class Backoff {
  #limitMs = FIRST_DELAY_MS;

  constructor(private readonly maxDelayMs = MAX_DELAY_MS) {}

  /** Return the next delay, and double the limit. */
  nextDelayMs(): number {
    const limitMs = this.#limitMs;
    this.#limitMs = Math.min(limitMs * 2, this.maxDelayMs);
    return Math.random() * limitMs;
  }

  /** Start with the first limit again. */
  reset(): void {
    this.#limitMs = FIRST_DELAY_MS;
  }
}

/** Tell whether a connection had results or lasted: the next one need not wait as long. */
export function wasUseful(lastedMs: number, hadResults: boolean): boolean {
  return hadResults || lastedMs > MAX_DELAY_MS;
}

/** Decides when a stream connects again, and when it gives up. */
export class ReconnectBackoff {
  readonly #backoff = new Backoff();
  #failingSinceMs: number | undefined;

  readonly #beganMs = performance.now();

  constructor(
    private readonly reconnectForMs: number,
    private readonly first: FirstConnection,
  ) {}

  /**
   * Return the delay after a connection that ended.
   *
   * lastedMs: how long the connection lasted. hadResults: whether the server answered any event on it.
   * connectedAtMs: when another lane of the stream last had a connection; only a stream without any gives up.
   * Throws Unavailable if, for `reconnectForMs`, no connection had results or lasted over 5 s; or if no
   * first connection came within its own time limit.
   */
  nextDelayMs(lastedMs: number, reason: string, hadResults: boolean, connectedAtMs = 0): number {
    const nowMs = performance.now();
    if (wasUseful(lastedMs, hadResults)) {
      this.#failingSinceMs = undefined;
      this.#backoff.reset();
    }
    this.#failingSinceMs = Math.max(this.#failingSinceMs ?? nowMs, connectedAtMs);
    if (nowMs - this.#failingSinceMs > this.reconnectForMs) {
      throw this.first.failure(reason, ` for ${this.reconnectForMs} ms`);
    }
    if (this.first.isOverdue(this.#beganMs)) throw this.first.failure(reason, ` for ${this.first.timeoutMs} ms`);
    return this.first.atMost(this.#backoff.nextDelayMs(), this.#beganMs);
  }
}

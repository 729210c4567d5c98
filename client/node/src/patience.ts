// How long to wait before trying again, and when to give up.

import { Unavailable } from "./errors.js";

const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 5_000;

/** Pauses of random length, below a limit that doubles with each of them. */
export class Backoff {
  #limitMs = FIRST_PAUSE_MS;

  constructor(private readonly maxPauseMs = MAX_PAUSE_MS) {}

  pauseMs(): number {
    const limitMs = this.#limitMs;
    this.#limitMs = Math.min(limitMs * 2, this.maxPauseMs);
    return Math.random() * limitMs;
  }

  reset(): void {
    this.#limitMs = FIRST_PAUSE_MS;
  }
}

/** When a stream connects again, and when it gives up. */
export class Patience {
  readonly #backoff = new Backoff();
  #failingSinceMs: number | undefined;

  constructor(private readonly reconnectForMs: number) {}

  /**
   * How long to wait after a connection that lasted so long. progress: whether anything was
   * answered on it. Throws Unavailable once there was none, and no connection that lasted, for as
   * long as we were told to try.
   */
  pauseMs(lastedMs: number, reason: string, progress: boolean): number {
    const nowMs = performance.now();
    if (progress || lastedMs > MAX_PAUSE_MS) {
      this.#failingSinceMs = undefined;
      this.#backoff.reset();
    }
    this.#failingSinceMs ??= nowMs;
    if (nowMs - this.#failingSinceMs > this.reconnectForMs) {
      throw new Unavailable(`no answer for ${this.reconnectForMs} ms: ${reason}`);
    }
    return this.#backoff.pauseMs();
  }
}

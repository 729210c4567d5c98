// The time limit for the first connection of a client.

import { connectivityState } from "@grpc/grpc-js";
import type { Client } from "@grpc/grpc-js";

import { Unavailable } from "./errors.js";

// The time limit of one attempt to connect, with its TLS handshake. grpc-js has none.
const MAX_ATTEMPT_MS = 5_000;

/** Whether a sidecar has ever answered a client, and how long calls wait for that. */
export class FirstConnection {
  /** True once a sidecar has answered the client. */
  made = false;

  /** Throws a RangeError if the time limit is not above 0. */
  constructor(
    readonly timeoutMs: number,
    private readonly addresses: readonly string[],
  ) {
    if (!(timeoutMs > 0)) throw new RangeError("connectTimeoutMs must be above 0");
  }

  /** Tell whether a call or stream that began at a time of `performance.now` has waited too long. */
  isOverdue(beganMs: number): boolean {
    return !this.made && performance.now() - beganMs >= this.timeoutMs;
  }

  /** Return the delay, or the rest of the time limit if that is less. */
  atMost(delayMs: number, beganMs: number): number {
    return this.made ? delayMs : Math.min(delayMs, Math.max(0, beganMs + this.timeoutMs - performance.now()));
  }

  /** Return the error of a call or stream. waited: how long it waited, or "". */
  failure(reason: string, waited = ""): Unavailable {
    return new Unavailable(`no answer${waited} from ${this.addresses.join(", ")}: ${reason}`);
  }

  /**
   * Cancel a call if its connection is not established within the time limit of an attempt.
   *
   * A connection that was established and has had its GOAWAY since leaves the channel idle; its calls go on.
   *
   * Returns a function that ends the limit, and returns true if the call was cancelled.
   */
  limit(client: Client, cancel: () => void): () => boolean {
    if (this.made) return () => false;
    const channel = client.getChannel();
    let isCancelled = false;
    let isOver = false;
    const end = (): boolean => {
      isOver = true;
      clearTimeout(timer);
      return isCancelled;
    };
    const timer = setTimeout(
      () => {
        isOver = true;
        // In TRANSIENT_FAILURE the call fails by itself, with the reason.
        if (channel.getConnectivityState(false) === connectivityState.TRANSIENT_FAILURE) return;
        isCancelled = true;
        cancel();
      },
      Math.min(this.timeoutMs, MAX_ATTEMPT_MS),
    );
    const watch = (): void => {
      const state = channel.getConnectivityState(false);
      if (isOver) return;
      if (state === connectivityState.READY || state === connectivityState.SHUTDOWN) end();
      else channel.watchConnectivityState(state, Infinity, watch);
    };
    watch();
    return end;
  }
}

/** The reason for a call that was cancelled because no connection was established. */
export const NOT_CONNECTED = "the attempt to connect got no answer";

// How a stream gathers events, how much it may owe, and how long it keeps trying.

import { DeliveryOptions, Open } from "./gen/index.js";
import type { Duration } from "./gen/google/protobuf/duration.js";

import { MAX_MESSAGE_BYTES } from "./sidecars.js";

const MIN_RECEIVE_BYTES = 65_536;

/** What a stream that delivers is asked for. */
export interface Delivery {
  /** False: only results with something to say have their `delivery`, which is faster. Default true. */
  detailForEveryItem?: boolean;
  /** True: results carry the requests too. */
  includeRequests?: boolean;
  /** Bounds the delivery of an event; the server's own bound holds without it. */
  timeoutMs?: number;
}

/** How a stream behaves. Every option may be left out. */
export interface StreamOptions {
  /** Events a message holds at most; the server's own limit holds as well. Default 200. */
  maxBatchEvents?: number;
  /** Bytes of events a message holds at most, but for one larger event. Default 1,048,576. */
  maxBatchBytes?: number;
  /** How long an event may wait for others to share its message. Default 5. */
  lingerMs?: number;
  /** Events sent whose answers have not been taken; more have to wait. Default 10,000. */
  maxOwedEvents?: number;
  /** Bytes of such events; more have to wait. Default 33,554,432. */
  maxOwedBytes?: number;
  /** The largest message the sidecar may send: 65,536 to 67,108,864. Default 16,777,216. */
  maxReceiveBytes?: number;
  /** How long to go on trying when no sidecar answers, before the stream fails. Default 60,000. */
  reconnectForMs?: number;
  /** True: answers come as they are there, and none waits for that of an earlier event. Default false. */
  unordered?: boolean;
  /** What the sidecar's log calls this client. Default "ciosidecar-node". */
  clientName?: string;
  /** Its release there. Default "". */
  clientVersion?: string;
  /** Set: the sidecar delivers the requests too. Default: it does not. */
  delivery?: Delivery;
  /** How long the whole stream may take. Default: without end. */
  timeoutMs?: number;
  /** Ends the stream; sending and iterating then throw Aborted. */
  signal?: AbortSignal;
}

/** Options with their defaults filled in. */
export type FilledOptions = Required<Omit<StreamOptions, "delivery" | "signal">> &
  Pick<StreamOptions, "delivery" | "signal">;

const DEFAULTS = {
  maxBatchEvents: 200,
  maxBatchBytes: 1 << 20,
  lingerMs: 5,
  maxOwedEvents: 10_000,
  maxOwedBytes: 32 << 20,
  maxReceiveBytes: 16 << 20,
  reconnectForMs: 60_000,
  unordered: false,
  clientName: "ciosidecar-node",
  clientVersion: "",
  timeoutMs: Infinity,
};

/** The options with the defaults of those that are absent or undefined. Throws a RangeError. */
export function filledOptions(options: StreamOptions): FilledOptions {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  const filled = { ...DEFAULTS, ...Object.fromEntries(given) } as FilledOptions;
  for (const name of ["maxBatchEvents", "maxBatchBytes", "maxOwedEvents", "maxOwedBytes"] as const) {
    if (!(filled[name] >= 1)) throw new RangeError(`${name} must be at least 1`);
  }
  for (const name of ["lingerMs", "reconnectForMs", "timeoutMs"] as const) {
    if (!(filled[name] >= 0)) throw new RangeError(`${name} must not be negative`);
  }
  if (!(filled.maxReceiveBytes >= MIN_RECEIVE_BYTES && filled.maxReceiveBytes <= MAX_MESSAGE_BYTES)) {
    throw new RangeError(`maxReceiveBytes must be ${MIN_RECEIVE_BYTES} to ${MAX_MESSAGE_BYTES}`);
  }
  checkTimeout(filled.delivery?.timeoutMs);
  return filled;
}

/** Throws a RangeError for a timeout of delivery that is not above 0. */
export function checkTimeout(timeoutMs: number | undefined): void {
  if (timeoutMs !== undefined && !(timeoutMs > 0)) throw new RangeError("timeoutMs must be above 0");
}

/** Milliseconds as they travel. */
export function wireDuration(milliseconds: number): Duration {
  const seconds = Math.floor(milliseconds / 1000);
  const nanos = Math.round((milliseconds - seconds * 1000) * 1e6);
  return { $type: "google.protobuf.Duration", seconds: BigInt(seconds), nanos };
}

/** How a stream with these options opens. */
export function opening(options: FilledOptions): Open {
  const open = Open.create();
  open.clientName = options.clientName;
  open.clientVersion = options.clientVersion;
  open.maxReceiveBytes = BigInt(options.maxReceiveBytes);
  if (options.delivery !== undefined) {
    const { detailForEveryItem = true, includeRequests, timeoutMs } = options.delivery;
    open.delivery = DeliveryOptions.fromPartial({ detailForEveryItem, includeRequests });
    if (timeoutMs !== undefined) open.delivery.defaultTimeout = wireDuration(timeoutMs);
  }
  return open;
}

// The options of streams and of delivery.

import * as v1 from "./gen/index.js";
import type { Duration } from "./gen/google/protobuf/duration.js";
import type { Affinity } from "./affinity.js";
import { MAX_MESSAGE_BYTES } from "./sidecars.js";

const MIN_RECEIVE_BYTES = 65_536;

/**
 * Which results have a DeliveryReport. "notable": those of events that were not delivered, were sent
 * more than once, or have a warning. "all": all results.
 */
export type DetailLevel = Lowercase<Exclude<keyof typeof v1.DetailLevel, "UNSPECIFIED">>;

/** How requests are delivered. */
export interface DeliveryOptions {
  /** Optional. Which results have a DeliveryReport. "notable" is faster. Defaults to "all". */
  detailLevel?: DetailLevel;
  /** Optional. If true, results contain the requests too. */
  includeRequests?: boolean;
  /**
   * Optional. The time limit for the delivery of a batch, retries included. Defaults to the server's
   * own limit. An event that is not delivered by then gets a retryable error.
   */
  timeoutMs?: number;
}

/** How a stream gathers events, limits them, and reconnects. */
export interface StreamOptions {
  /** Optional. The largest number of events in a message. The server's own limit holds too. Defaults to 200. */
  maxBatchEvents?: number;
  /** Optional. The largest size of the events in a message. One larger event is sent alone. Defaults to 1,048,576. */
  maxBatchBytes?: number;
  /** Optional. How long an event may wait for others to share its message. Defaults to 5. */
  lingerMs?: number;
  /**
   * Optional. Flow control: the largest number of outstanding events. An event is outstanding from
   * `send` until the caller takes its answer. At the limit, `send` waits. Defaults to 10,000.
   */
  maxOutstandingEvents?: number;
  /** Optional. Flow control: the largest size of the outstanding events. Defaults to 33,554,432. */
  maxOutstandingBytes?: number;
  /** Optional. The largest message that the server may send: 65,536 to 67,108,864. Defaults to 16,777,216. */
  maxReceiveBytes?: number;
  /** Optional. How long the stream tries to connect while no server answers. Defaults to 60,000. */
  reconnectForMs?: number;
  /** Optional. If true, answers come in the order of their arrival, not of the events. */
  unordered?: boolean;
  /**
   * Optional. "person": the stream connects to each address of the client, and sends all events of a person
   * to one of them. Requires a client with several addresses. Defaults to "none".
   */
  affinity?: Affinity;
  /** Optional. The name of the caller's program, sent to the server. Defaults to "ciosidecar-node". */
  clientName?: string;
  /** Optional. The release of the caller's program, sent to the server. */
  clientVersion?: string;
  /** Optional. If set, the server delivers the requests. */
  delivery?: DeliveryOptions;
  /** Optional. The time limit for the whole stream. By default there is none. */
  timeoutMs?: number;
  /** Optional. A signal that ends the stream. Sending and iterating then throw Aborted. */
  signal?: AbortSignal;
}

/** Options whose defaults are filled in. */
export type FilledOptions = Required<Omit<StreamOptions, "delivery" | "signal">> &
  Pick<StreamOptions, "delivery" | "signal">;

const DEFAULTS = {
  maxBatchEvents: 200,
  maxBatchBytes: 1 << 20,
  lingerMs: 5,
  maxOutstandingEvents: 10_000,
  maxOutstandingBytes: 32 << 20,
  maxReceiveBytes: 16 << 20,
  reconnectForMs: 60_000,
  unordered: false,
  affinity: "none",
  clientName: "ciosidecar-node",
  clientVersion: "",
  timeoutMs: Infinity,
};
const DETAIL_LEVELS: Record<DetailLevel, v1.DetailLevel> = {
  notable: v1.DetailLevel.NOTABLE,
  all: v1.DetailLevel.ALL,
};
const AT_LEAST_ONE = ["maxBatchEvents", "maxBatchBytes", "maxOutstandingEvents", "maxOutstandingBytes"] as const;
const NOT_NEGATIVE = ["lingerMs", "reconnectForMs", "timeoutMs"] as const;

/** Fill in the defaults of options that are absent or undefined. Throws a RangeError. */
export function filledOptions(options: StreamOptions): FilledOptions {
  const defined = Object.entries(options).filter(([, value]) => value !== undefined);
  const filled = { ...DEFAULTS, ...Object.fromEntries(defined) } as FilledOptions;
  for (const name of AT_LEAST_ONE) {
    if (!(filled[name] >= 1)) throw new RangeError(`${name} must be at least 1`);
  }
  for (const name of NOT_NEGATIVE) {
    if (!(filled[name] >= 0)) throw new RangeError(`${name} must not be negative`);
  }
  if (!(filled.maxReceiveBytes >= MIN_RECEIVE_BYTES && filled.maxReceiveBytes <= MAX_MESSAGE_BYTES)) {
    throw new RangeError(`maxReceiveBytes must be ${MIN_RECEIVE_BYTES} to ${MAX_MESSAGE_BYTES}`);
  }
  if (!["none", "person"].includes(filled.affinity)) throw new RangeError('affinity must be "none" or "person"');
  if (filled.delivery !== undefined) deliveryMessage(filled.delivery);
  return filled;
}

/** Throw a RangeError for a time limit of a delivery that is not above 0, or not finite. */
export function checkTimeout(timeoutMs: number | undefined): void {
  if (timeoutMs !== undefined && !(timeoutMs > 0 && timeoutMs < Infinity)) {
    throw new RangeError("timeoutMs must be above 0, and finite");
  }
}

/** Convert milliseconds to a Duration. */
export function duration(milliseconds: number): Duration {
  const seconds = Math.floor(milliseconds / 1000);
  const nanos = Math.round((milliseconds - seconds * 1000) * 1e6);
  return { $type: "google.protobuf.Duration", seconds: BigInt(seconds), nanos };
}

/** Return the message for options of a delivery. Throws a RangeError. */
export function deliveryMessage(options: DeliveryOptions): v1.DeliveryOptions {
  const { detailLevel = "all", includeRequests = false, timeoutMs } = options;
  if (!Object.hasOwn(DETAIL_LEVELS, detailLevel)) throw new RangeError('detailLevel must be "notable" or "all"');
  checkTimeout(timeoutMs);
  const message = v1.DeliveryOptions.create();
  message.detailLevel = DETAIL_LEVELS[detailLevel];
  message.includeRequests = includeRequests;
  if (timeoutMs !== undefined) message.defaultTimeout = duration(timeoutMs);
  return message;
}

/** Return the message that opens a stream with these options. */
export function openMessage(options: FilledOptions): v1.OpenStream {
  const message = v1.OpenStream.create();
  message.clientName = options.clientName;
  message.clientVersion = options.clientVersion;
  message.maxReceiveBytes = BigInt(options.maxReceiveBytes);
  if (options.delivery !== undefined) message.delivery = deliveryMessage(options.delivery);
  return message;
}

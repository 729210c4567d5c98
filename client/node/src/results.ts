// Results as plain objects, assembled from the columns and templates of the messages.

import { inspect } from "node:util";

import * as v1 from "./gen/index.js";
import type { Duration } from "./gen/google/protobuf/duration.js";

/** A name of an enum of the contract. A number that this release does not know is given in digits. */
export type EnumName<Enum> = Exclude<keyof Enum, `${string}UNSPECIFIED`> | (string & {});

/** An HTTP request to Customer.io, complete in itself. */
export class ApiRequest {
  /** Create a request. `readResults` does so for requests of the server. */
  constructor(
    /** PUT, POST or DELETE. */
    readonly method: string,
    /** The whole URL. */
    readonly url: string,
    /** The endpoint without identifiers: v1/customers, … Routers throttle by this value. */
    readonly endpointPath: string,
    /** All headers. Authorization is among them, so the caller MUST treat them as a secret. */
    readonly headers: Readonly<Record<string, string>>,
    /** The bytes to send. Empty: the request has no body. */
    readonly body: Uint8Array<ArrayBuffer>,
    /** The positions of the events that the request covers, as in `Result.position`, ascending. */
    readonly positions: readonly number[],
  ) {}

  /** Return what `console.log` shows: neither headers nor body. */
  [inspect.custom](): object {
    const { method, url, endpointPath, body, positions } = this;
    return { method, url, endpointPath, body: `${body.length} bytes`, positions };
  }
}

/** Something that was repaired or left out. The requests are valid all the same. */
export interface EventWarning {
  /** A code of docs/rules.md: TEXT_CUT, UNUSABLE_TIME, … */
  readonly code: EnumName<typeof v1.WarningCode>;
  /** A text for people. Contains no personal data and no secrets. */
  readonly message: string;
}

/** Why an event became no request, or was not delivered. */
export interface EventError {
  /** A code of docs/rules.md: INVALID_JSON, MISSING_IDENTITY, … */
  readonly code: EnumName<typeof v1.ErrorCode>;
  /** The party that can correct the error: instrumentation, configuration, delivery or internal. */
  readonly type: Lowercase<Exclude<keyof typeof v1.ErrorType, `${string}UNSPECIFIED`>> | (string & {});
  /** A text for people. Contains no personal data and no secrets. */
  readonly message: string;
  /** True: the same event may succeed later. */
  readonly retryable: boolean;
  /** The time to wait before the event is sent again; undefined if it is not known. */
  readonly retryAfterMs: number | undefined;
  /**
   * With code BLOCKED: the position of the earlier event that failed, as in `Result.position`.
   * undefined if that event was sent on another stream or is no longer remembered.
   */
  readonly blockedBy: number | undefined;
}

/** An item of a prepared request's body that Customer.io refused. */
export interface FailedItem {
  /** The index of the item in the body, from 0. */
  readonly index: number;
  /** Customer.io's own reason. */
  readonly reason: string;
  /** The field that Customer.io named, or "". */
  readonly field: string;
}

/** What became of an event's delivery. */
export interface DeliveryReport {
  /** How many times a request that covers the event was sent. */
  readonly attempts: number;
  /** The last HTTP status that Customer.io answered. 0: Customer.io did not answer. */
  readonly httpStatus: number;
  /** Customer.io's own reason, or "". */
  readonly reason: string;
  /** The field that Customer.io named, or "". */
  readonly field: string;
  /** The time from the first attempt to the last answer. */
  readonly latencyMs: number;
  /** With status 207: the items of the prepared request's body that Customer.io refused. */
  readonly failedItems: readonly FailedItem[];
}

/** What one event became. */
export class Result {
  /** Create a result. `readResults` does so for results of the server. */
  constructor(
    /** The position of the event in its batch; on a stream, its position among all events of the stream. */
    readonly position: number,
    /**
     * 200: transformed, or delivered. 207: a prepared request of which Customer.io refused some items.
     * 298: filtered. 408, 429 and 5xx: a retryable failure. Other 4xx: a permanent failure.
     */
    readonly status: number,
    /**
     * The requests that the event became. A request that covers several events is with the last of
     * them. The requests of one person MUST be sent in the order of the results.
     */
    readonly requests: readonly ApiRequest[],
    /** Set if the status is an error. */
    readonly error?: EventError,
    /** What was repaired or left out. */
    readonly warnings: readonly EventWarning[] = NONE,
    /** Set if the status is 298: DEVICE_MODE, CONSENT or ANONYMOUS. */
    readonly filterReason?: EnumName<typeof v1.FilterReason>,
    /** Set with delivery, for the events that `DeliveryOptions.detailLevel` selects. */
    readonly delivery?: DeliveryReport,
    /** The event's own tag, if the result has more to say than its status. */
    readonly tag: Uint8Array = NO_BYTES,
  ) {}

  /** True if the status is 200: all of the event was transformed or delivered. */
  get ok(): boolean {
    return this.status === 200;
  }
}

const NONE: readonly never[] = [];
const NO_BYTES = new Uint8Array();

/** Maps a batch id and a position in that batch to a `Result.position`; undefined if it is unknown. */
export type PositionOf = (batchId: bigint, position: number) => number | undefined;

/**
 * Return the results of one message, one for each status, in the order of the message.
 *
 * positionOf: the positions for the results. By default they are those in the batch, and events of
 * other batches are unknown. Throws a RangeError if the message refers to what is not there.
 */
export function readResults(results: v1.Results, positionOf: PositionOf = inBatch(results.batchId)): Result[] {
  const resultPosition = (position: number): number => {
    const known = positionOf(results.batchId, position);
    if (known === undefined) throw new RangeError(`no event at position ${position} of the batch`);
    return known;
  };
  const requests = requestsByPosition(results, resultPosition);
  const details = new Map(results.details.map((detail) => [detail.position, detail]));
  const positions = answeredPositions(results);
  return results.statuses.map((status, index) => {
    const position = positions[index] ?? NaN;
    const eventRequests = requests.get(position) ?? NONE;
    const detail = details.get(position);
    return detail === undefined
      ? new Result(resultPosition(position), status, eventRequests)
      : detailedResult(resultPosition(position), status, eventRequests, detail, positionOf);
  });
}

function inBatch(batchId: bigint): PositionOf {
  return (otherId, position) => (otherId === batchId ? position : undefined);
}

/** Return the positions of the batch that a message answers, one for each status. */
export function answeredPositions(results: v1.Results): readonly number[] {
  if (results.positions.length > 0) return results.positions;
  return results.statuses.map((_, index) => results.firstPosition + index);
}

/** Return the requests by the position, in the batch, of the last event that each request covers. */
function requestsByPosition(
  results: v1.Results,
  resultPosition: (position: number) => number,
): Map<number, ApiRequest[]> {
  const byPosition = new Map<number, ApiRequest[]>();
  for (const { template: index, path, body, positions } of results.requests) {
    const template = results.templates[index];
    if (template === undefined) throw new RangeError(`no request template ${index}`);
    const last = positions[positions.length - 1];
    if (last === undefined) throw new RangeError("a request covers no event");
    const { method, baseUrl, endpointPath, headers } = template;
    const request = new ApiRequest(
      method,
      baseUrl + path,
      endpointPath,
      headers,
      // gRPC's messages are never in shared memory, and only such bytes are a body of `fetch`.
      body as Uint8Array<ArrayBuffer>,
      positions.map(resultPosition),
    );
    const earlier = byPosition.get(last);
    if (earlier === undefined) byPosition.set(last, [request]);
    else earlier.push(request);
  }
  return byPosition;
}

function detailedResult(
  position: number,
  status: number,
  requests: readonly ApiRequest[],
  detail: v1.EventDetail,
  positionOf: PositionOf,
): Result {
  const { error, warnings, filterReason, delivery, tag } = detail;
  return new Result(
    position,
    status,
    requests,
    error && readError(error, positionOf),
    warnings.map(({ code, message }) => ({ code: enumName(v1.WarningCode, code), message })),
    filterReason === v1.FilterReason.UNSPECIFIED ? undefined : enumName(v1.FilterReason, filterReason),
    delivery && readDelivery(delivery),
    tag,
  );
}

function readError(error: v1.EventError, positionOf: PositionOf): EventError {
  const { code, type, message, retryable, retryAfter, blockedBy } = error;
  return {
    code: enumName(v1.ErrorCode, code),
    type: enumName(v1.ErrorType, type).toLowerCase(),
    message,
    retryable,
    retryAfterMs: retryAfter && milliseconds(retryAfter),
    blockedBy: blockedBy && positionOf(blockedBy.batchId, blockedBy.position),
  };
}

function readDelivery(delivery: v1.DeliveryReport): DeliveryReport {
  const { attempts, httpStatus, reason, field, latency } = delivery;
  return {
    attempts,
    httpStatus,
    reason,
    field,
    latencyMs: latency === undefined ? 0 : milliseconds(latency),
    failedItems: delivery.failedItems.map(({ index, reason, field }) => ({ index, reason, field })),
  };
}

function milliseconds(duration: Duration): number {
  return Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}

function enumName(names: Record<number, string>, number: number): string {
  return names[number] ?? String(number);
}

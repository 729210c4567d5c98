// Results as plain objects: what the lean wire says, put back together.

import { inspect } from "node:util";

import { ErrorCode, ErrorType, FilterReason, WarningCode } from "./gen/index.js";
import type { Delivery, Detail, Error as WireError, Results } from "./gen/index.js";
import type { Duration } from "./gen/google/protobuf/duration.js";

/** A word of the contract; a number of a newer contract comes as that number in digits. */
export type Word<Enum> = Exclude<keyof Enum, `${string}UNSPECIFIED`> | (string & {});

/** One HTTP call to Customer.io, complete in itself. */
export class Request {
  constructor(
    /** PUT, POST or DELETE. */
    readonly method: string,
    readonly url: string,
    /** The call without identifiers, by which routers key their throttles: v1/customers, … */
    readonly endpointPath: string,
    /** Authorization included: a secret. Not shown when the request is printed. */
    readonly headers: Readonly<Record<string, string>>,
    /** The bytes to send; none where it is empty. */
    readonly body: Uint8Array,
    /** The positions of the events it covers, as in `Result.position`, ascending. */
    readonly positions: readonly number[],
  ) {}

  [inspect.custom](): object {
    const { method, url, endpointPath, body, positions } = this;
    return { method, url, endpointPath, body: `${body.length} bytes`, positions };
  }
}

/** Something that was repaired or left out. The requests are good all the same. */
export interface ResultWarning {
  /** As in docs/rules.md: TEXT_CUT, UNUSABLE_TIME, … */
  readonly code: Word<typeof WarningCode>;
  /** For people. Holds no personal data and no secrets. */
  readonly message: string;
}

/** Why an event became no request, or was not delivered. */
export interface ResultError {
  /** As in docs/rules.md: INVALID_JSON, MISSING_IDENTITY, … */
  readonly code: Word<typeof ErrorCode>;
  /** Whose matter it is: instrumentation, configuration, delivery or internal. */
  readonly type: Lowercase<Exclude<keyof typeof ErrorType, `${string}UNSPECIFIED`>> | (string & {});
  /** For people. Holds no personal data and no secrets. */
  readonly message: string;
  /** True: the same event may succeed later. */
  readonly retryable: boolean;
  /** When it is worth another try, where that is known. */
  readonly retryAfterMs: number | undefined;
  /**
   * With code BLOCKED: the position of the earlier event that failed and that this one waits for,
   * as in `Result.position`. undefined where that was another stream's, or is no longer remembered.
   */
  readonly blockedBy: number | undefined;
}

/** An item of a prepared request's body that Customer.io refused. */
export interface FailedItem {
  /** Which one, from 0. */
  readonly index: number;
  /** Customer.io's own reason. */
  readonly reason: string;
  /** The field Customer.io named; "" if it named none. */
  readonly field: string;
}

/** What Customer.io answered, on a stream that delivers. */
export interface ResultDelivery {
  /** How many times a request that covers the event was sent. */
  readonly attempts: number;
  /** The last HTTP status Customer.io answered; 0 if it answered none. */
  readonly httpStatus: number;
  /** Customer.io's own reason; "" if it gave none. */
  readonly reason: string;
  /** The field Customer.io named; "" if it named none. */
  readonly field: string;
  /** From the first attempt to the last answer. */
  readonly latencyMs: number;
  /** With status 207, for a prepared request to v2/batch: what was refused of it. */
  readonly failedItems: readonly FailedItem[];
}

/** What one event came to. */
export class Result {
  constructor(
    /** The event's position: in its batch, or, on a stream, among all events sent on it. */
    readonly position: number,
    /**
     * 200 transformed or delivered, 298 filtered, 408, 429 and 5xx worth another try later, other
     * 4xx refused for good; 207 a prepared request that was taken in part.
     */
    readonly status: number,
    /**
     * What it became. A request that covers several events is with the last of them: requests in
     * the order of their results are in the order in which they must be sent for any one person.
     */
    readonly requests: readonly Request[],
    readonly error?: ResultError,
    readonly warnings: readonly ResultWarning[] = NONE,
    /** DEVICE_MODE or CONSENT, with status 298. */
    readonly filterReason?: Word<typeof FilterReason>,
    /** Where the stream delivers: for every event, or for those with something to say. */
    readonly delivery?: ResultDelivery,
    /** The event's own tag, where the result is more than a status. */
    readonly tag: Uint8Array = NO_BYTES,
  ) {}

  /** Whether the status is 200: all of the event was transformed or delivered. */
  get ok(): boolean {
    return this.status === 200;
  }
}

const NONE: readonly never[] = [];
const NO_BYTES = new Uint8Array();

/** What stands for an event in the results, by its batch and position there; undefined if unknown. */
export type NumberOf = (batchId: bigint, position: number) => number | undefined;

/**
 * The results of one message, one a status, in the order of the positions it answers. numberOf:
 * the position itself if not given, and events of other batches are not known then.
 */
export function readResults(results: Results, numberOf: NumberOf = within(results.batchId)): Result[] {
  const number = (position: number): number => {
    const found = numberOf(results.batchId, position);
    if (found === undefined) throw new RangeError(`no event at position ${position} of the batch`);
    return found;
  };
  const requests = requestsByPosition(results, number);
  const details = new Map(results.details.map((detail) => [detail.position, detail]));
  const positions = answeredPositions(results);
  return results.statuses.map((status, index) => {
    const position = positions[index] ?? NaN;
    const found = requests.get(position) ?? NONE;
    const detail = details.get(position);
    return detail === undefined
      ? new Result(number(position), status, found)
      : withDetail(number(position), status, found, detail, numberOf);
  });
}

function within(batchId: bigint): NumberOf {
  return (other, position) => (other === batchId ? position : undefined);
}

/** The positions of the batch that a message answers, one a status. */
export function answeredPositions(results: Results): readonly number[] {
  if (results.positions.length > 0) return results.positions;
  return results.statuses.map((_, index) => results.firstPosition + index);
}

function requestsByPosition(results: Results, number: (position: number) => number): Map<number, Request[]> {
  const found = new Map<number, Request[]>();
  for (const one of results.requests) {
    const template = results.templates[one.template];
    if (template === undefined) throw new RangeError(`no request template ${one.template}`);
    const covered = one.positions.length > 0 ? one.positions : [one.position];
    const last = covered[covered.length - 1] ?? NaN;
    const request = new Request(
      template.method,
      template.baseUrl + one.path,
      template.endpointPath,
      template.headers,
      one.body,
      covered.map(number),
    );
    const others = found.get(last);
    if (others === undefined) found.set(last, [request]);
    else others.push(request);
  }
  return found;
}

function withDetail(
  position: number,
  status: number,
  requests: readonly Request[],
  detail: Detail,
  numberOf: NumberOf,
): Result {
  return new Result(
    position,
    status,
    requests,
    detail.error && readError(detail.error, numberOf),
    detail.warnings.map(({ code, text }) => ({ code: word(WarningCode, code), message: text })),
    detail.filterReason === FilterReason.UNSPECIFIED ? undefined : word(FilterReason, detail.filterReason),
    detail.delivery && readDelivery(detail.delivery),
    detail.tag,
  );
}

function readError(error: WireError, numberOf: NumberOf): ResultError {
  return {
    code: word(ErrorCode, error.code),
    type: word(ErrorType, error.type).toLowerCase(),
    message: error.text,
    retryable: error.retryable,
    retryAfterMs: error.retryAfter && milliseconds(error.retryAfter),
    blockedBy: error.blockedBy && numberOf(error.blockedBy.batchId, error.blockedBy.position),
  };
}

function readDelivery(delivery: Delivery): ResultDelivery {
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

function word(words: Record<number, string>, number: number): string {
  return words[number] ?? String(number);
}

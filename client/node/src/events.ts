// Events in the forms that callers hold, and the options of an event.

import { isObject } from "./destinations.js";
import type { AnyConnection, AnyDestination } from "./destinations.js";
import { BatchItem, PreparedRequest, RudderEvent } from "./gen/index.js";
import { ApiRequest } from "./results.js";

/**
 * A RudderStack event in one of four forms, or an ApiRequest.
 *
 * Bytes: the event's JSON in UTF-8. This form is the fastest and loses nothing. A string: the event's
 * JSON. An object: JSON.stringify turns it into the event's JSON. A v1.RudderEvent: the event as fields.
 * An ApiRequest of an earlier result is delivered as it is; `transform` does not accept it.
 */
export type Event = string | Uint8Array | RudderEvent | ApiRequest | object;

/** An event as it is sent. */
export interface EncodedEvent {
  readonly payload: NonNullable<BatchItem["payload"]>;
  /** The size of the payload. Unit: bytes. */
  readonly bytes: number;
}

const utf8 = new TextEncoder();
/** A message has at most 64 MiB; 64 KiB of them are kept for its other fields. */
const MAX_EVENT_BYTES = (64 << 20) - (64 << 10);
/** The levels of messages that the server's protobuf reads below the message of the call. */
const MAX_DEPTH = 100;
/** The level of a Struct in an event: request, Batch, BatchItem, RudderEvent, JsonObject, Struct. */
const STRUCT_DEPTH = 5;
const UNPAIRED_SURROGATE = /\p{Surrogate}/gu;

/** Encode an event. Throws a TypeError if it is no event, and a RangeError if it is too large or too deep. */
export function encodeEvent(event: Event): EncodedEvent {
  const encoded = encode(event);
  if (encoded.bytes > MAX_EVENT_BYTES) {
    throw new RangeError(`an event has ${encoded.bytes} bytes; the limit is ${MAX_EVENT_BYTES}`);
  }
  return encoded;
}

function encode(event: Event): EncodedEvent {
  if (event instanceof Uint8Array) return encodeJson(event);
  if (typeof event === "string") return encodeJson(utf8.encode(wellFormed(event)));
  if (!isObject(event)) {
    const forms = "an object, a string, bytes, a v1.RudderEvent or an ApiRequest";
    throw new TypeError(`an event is ${forms}, not ${kindOf(event)}`);
  }
  if (isRudderEvent(event)) return encodeRudderEvent(event);
  if (event instanceof ApiRequest) return encodeRequest(event);
  // JSON.stringify escapes an unpaired surrogate. The server repairs it with a warning.
  const text = JSON.stringify(event) as string | undefined;
  if (text === undefined) throw new TypeError("an event must have a JSON form");
  return encodeJson(utf8.encode(text));
}

function encodeJson(json: Uint8Array): EncodedEvent {
  return { payload: { $case: "json", value: json }, bytes: json.length };
}

function encodeRequest({ method, url, endpointPath, headers, body }: ApiRequest): EncodedEvent {
  const value = PreparedRequest.fromPartial({ method, url, endpointPath, headers, body });
  return { payload: { $case: "prepared", value }, bytes: PreparedRequest.encode(value).finish().length };
}

/** Encode a copy of the event, so that later changes of the original have no effect. */
function encodeRudderEvent(event: RudderEvent): EncodedEvent {
  // The server cannot read a message that is nested too deeply, and refuses all other events in it.
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- a caller may still use userProperties
  const { traits, properties, context, userProperties, identifiers } = event;
  for (const object of [traits, properties, context, userProperties, identifiers]) {
    if (object?.form?.$case === "fields" && isTooDeep(object.form.value, STRUCT_DEPTH)) {
      throw new RangeError("the event's fields are nested too deeply for protobuf: send the event as JSON");
    }
  }
  const bytes = RudderEvent.encode(event).finish();
  return { payload: { $case: "event", value: RudderEvent.decode(bytes) }, bytes: bytes.length };
}

/** Tell whether the server's protobuf cannot read a value of a Struct. depth: the level of its message. */
function isTooDeep(value: unknown, depth: number): boolean {
  // A primitive is no message of its own: the level above counts.
  if (typeof value !== "object" || value === null) return depth - 1 > MAX_DEPTH;
  if (depth > MAX_DEPTH) return true;
  // A list holds Values, each of which may hold a message. A Struct has a map entry around each Value.
  const step = Array.isArray(value) ? 2 : 3;
  return Object.values(value).some((member) => isTooDeep(member, depth + step));
}

/** Escape unpaired surrogates as JSON does, because UTF-8 has no bytes for them. */
function wellFormed(text: string): string {
  if (text.isWellFormed()) return text;
  return text.replace(UNPAIRED_SURROGATE, (surrogate) => `\\u${surrogate.charCodeAt(0).toString(16)}`);
}

function isRudderEvent(event: object): event is RudderEvent {
  return (event as { $type?: unknown }).$type === RudderEvent.$type;
}

function kindOf(value: unknown): string {
  return value === null ? "null" : Array.isArray(value) ? "an array" : typeof value;
}

/** Further fields of an event's v1.BatchItem. */
export interface ItemFields {
  /** Optional. The type of the event's source: web, android, warehouse, … By default the channel decides. */
  sourceType?: string;
  /**
   * Optional. Events with the same key are delivered one after another. By default the events of each
   * person are. Used only with delivery.
   */
  orderingKey?: string;
  /**
   * Optional. How many times the caller has already sent this event. MUST NOT be negative. Defaults
   * to 0. With delivery, an event with an attempt above 0 is not blocked by failures that the caller
   * already knows of.
   */
  attempt?: number;
  /** Optional. If true, the event shares its request with no other event. */
  dontBatch?: boolean;
  /** Optional. The W3C trace context of the event. */
  traceparent?: string;
  /** Optional. At most 4,096 bytes. `Result.tag` repeats them if the result has more to say than its status. */
  tag?: Uint8Array;
}

/** The options of one event. */
export interface SendOptions extends ItemFields {
  /** Optional. The destination of the event. Defaults to that of the stream or call. */
  destination?: AnyDestination;
  /** Optional. The source connection of a record. */
  connection?: AnyConnection;
}

/** An event with its attachment and options, for calls that take many events. */
export class BatchEntry<A = Event> {
  /** Create an entry from the arguments that `Stream.send` takes. */
  constructor(
    readonly event: Event,
    /** Optional. The caller's own object. It comes back with the result. Defaults to the event. */
    readonly attachment?: A,
    readonly options: SendOptions = {},
  ) {}

  /** Return an entry as it is, or create one from a bare event. */
  static of<A>(entry: Event | BatchEntry<A>): BatchEntry<A> {
    return entry instanceof BatchEntry ? entry : new BatchEntry<A>(entry);
  }
}

/** The options of a batch that the caller put together. */
export interface BatchOptions {
  /** Optional. The time limit for the delivery of the batch. Defaults to `DeliveryOptions.timeoutMs`. */
  timeoutMs?: number;
}

/**
 * Return a BatchItem that has the fields and no payload, or undefined if there are no fields. Throws a
 * TypeError or RangeError: the caller sees the error where the event is sent.
 */
export function encodeFields(fields: ItemFields): BatchItem | undefined {
  if (Object.keys(fields).length === 0) return undefined;
  if (fields.tag !== undefined && !(fields.tag instanceof Uint8Array)) throw new TypeError("a tag is bytes");
  if (fields.attempt !== undefined && !(fields.attempt >= 0)) {
    throw new RangeError("attempt must not be negative");
  }
  const item = BatchItem.fromPartial(fields);
  BatchItem.encode(item);
  return item;
}

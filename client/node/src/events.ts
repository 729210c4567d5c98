// What callers hand in: events in one of several forms, and what they want said about them.

import { isObject } from "./destinations.js";
import type { AnyConnection, AnyDestination } from "./destinations.js";
import { Item, Message, PreparedRequest } from "./gen/index.js";
import { Request } from "./results.js";

/**
 * A RudderStack event: its JSON in UTF-8 as bytes (the fast form, and the lossless one), its JSON
 * as a string, an object that JSON.stringify turns into it, or a typed v1.Message. Or a Request
 * that an earlier transform gave out, which a stream that delivers sends as it is.
 */
export type Event = string | Uint8Array | Message | Request | object;

/** An event as it travels, and its size there in bytes. */
export interface EncodedEvent {
  readonly payload: NonNullable<Item["payload"]>;
  readonly bytes: number;
}

const utf8 = new TextEncoder();
/** A message holds 64 MiB, and its other fields need room too. */
const MAX_EVENT_BYTES = (64 << 20) - (64 << 10);
/** How many levels of messages the sidecar reads, below a call's own message. */
const MAX_DEPTH = 100;
/** The level of a Struct that is a field of an event: request, batch, item, message, Json, Struct. */
const STRUCT_DEPTH = 5;
const LONE_SURROGATE = /\p{Surrogate}/gu;

/** The event as it travels. Throws a TypeError for what is no event, a RangeError for what is too large. */
export function encodeEvent(event: Event): EncodedEvent {
  const encoded = encode(event);
  if (encoded.bytes > MAX_EVENT_BYTES) {
    throw new RangeError(`an event has ${encoded.bytes} bytes, ${MAX_EVENT_BYTES} at most travel`);
  }
  return encoded;
}

function encode(event: Event): EncodedEvent {
  if (event instanceof Uint8Array) return encodedJson(event);
  if (typeof event === "string") return encodedJson(utf8.encode(wellFormed(event)));
  if (!isObject(event)) {
    throw new TypeError(`an event is an object, a string, bytes, a v1.Message or a Request, not ${kind(event)}`);
  }
  if (isMessage(event)) return encodedMessage(event);
  if (event instanceof Request) {
    const { method, url, endpointPath, headers, body } = event;
    const value = PreparedRequest.fromPartial({ method, url, endpointPath, headers, body });
    return { payload: { $case: "prepared", value }, bytes: PreparedRequest.encode(value).finish().length };
  }
  // Half an emoji becomes an escape here; the sidecar repairs it with a warning.
  const text = JSON.stringify(event) as string | undefined;
  if (text === undefined) throw new TypeError("an event must have a JSON form");
  return encodedJson(utf8.encode(text));
}

/** The event as it is now: what becomes of the original changes nothing. */
function encodedMessage(event: Message): EncodedEvent {
  // A message that is nested too deeply fails the whole call, with every other event in it.
  const { traits, properties, context, userProperties, identifiers } = event;
  for (const json of [traits, properties, context, userProperties, identifiers]) {
    if (json?.form?.$case === "fields" && isTooDeep(json.form.value, STRUCT_DEPTH)) {
      throw new RangeError("the event's fields are nested too deeply for protobuf: send the event as JSON");
    }
  }
  const bytes = Message.encode(event).finish();
  return { payload: { $case: "message", value: Message.decode(bytes) }, bytes: bytes.length };
}

/** Whether the sidecar could not read it, as a message at this level or, if it is none, in one. */
function isTooDeep(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return depth - 1 > MAX_DEPTH;
  if (depth > MAX_DEPTH) return true;
  // A list holds Values, each of which may hold a message; a Struct has an entry of a map around each.
  const step = Array.isArray(value) ? 2 : 3;
  return Object.values(value).some((one) => isTooDeep(one, depth + step));
}

function encodedJson(json: Uint8Array): EncodedEvent {
  return { payload: { $case: "json", value: json }, bytes: json.length };
}

/** JSON text that UTF-8 can carry: half an emoji as the escape it would be in JSON. */
function wellFormed(text: string): string {
  if (text.isWellFormed()) return text;
  return text.replace(LONE_SURROGATE, (half) => `\\u${half.charCodeAt(0).toString(16)}`);
}

function isMessage(event: object): event is Message {
  return (event as { $type?: unknown }).$type === Message.$type;
}

function kind(found: unknown): string {
  return found === null ? "null" : Array.isArray(found) ? "an array" : typeof found;
}

/** Further fields of an event's v1.Item. */
export interface ItemFields {
  /** The type of the source that sent the event: web, android, warehouse, … */
  sourceType?: string;
  /** Events with the same key are delivered one after another; by person without it. */
  orderingKey?: string;
  /**
   * How often the caller has tried this event before; 0 the first time. It changes the order: on a
   * stream that delivers, an event that was tried before is never held back for an earlier failure
   * of the same person, because the caller knows of it.
   */
  attempt?: number;
  /** True: the event shares its request with no other. */
  dontBatch?: boolean;
  /** The W3C trace context of the event. */
  traceparent?: string;
  /** Bytes, 4,096 at most, that come back as `Result.tag` where a result is more than a status. */
  tag?: Uint8Array;
}

/** What may be said about one event. */
export interface SendOptions extends ItemFields {
  /** Where it goes, if not where the stream goes by default. */
  destination?: AnyDestination;
  /** What the row becomes, where the event is a record. */
  connection?: AnyConnection;
}

/** An event and what is said about it, for calls that take many at once; `send` takes the same. */
export class BatchEntry<I = Event> {
  constructor(
    readonly event: Event,
    /** Whatever should come back beside the result; the event itself if undefined. */
    readonly item?: I,
    readonly options: SendOptions = {},
  ) {}

  /** An entry as it is, or a bare event in one. */
  static of<I>(found: Event | BatchEntry<I>): BatchEntry<I> {
    return found instanceof BatchEntry ? (found) : new BatchEntry<I>(found);
  }
}

/** What may be said about many events that are sent at once. */
export interface BatchOptions {
  /** How long their delivery may take, on a stream that delivers; the stream's own bound without it. */
  timeoutMs?: number;
}

/**
 * The fields as they travel, in an item of their own; undefined for none. Throws here, at the
 * caller's own line, rather than when the message is sent.
 */
export function encodeFields(fields: ItemFields): Item | undefined {
  if (Object.keys(fields).length === 0) return undefined;
  if (fields.tag !== undefined && !(fields.tag instanceof Uint8Array)) throw new TypeError("a tag is bytes");
  const item = Item.fromPartial(fields);
  Item.encode(item);
  return item;
}

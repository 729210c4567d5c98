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
const LONE_SURROGATE = /\p{Surrogate}/gu;

/** The event as it travels. Throws a TypeError for what is no event. */
export function encodeEvent(event: Event): EncodedEvent {
  if (event instanceof Uint8Array) return encodedJson(event);
  if (typeof event === "string") return encodedJson(utf8.encode(wellFormed(event)));
  if (!isObject(event)) {
    throw new TypeError(`an event is an object, a string, bytes, a v1.Message or a Request, not ${kind(event)}`);
  }
  if (isMessage(event)) {
    return { payload: { $case: "message", value: event }, bytes: Message.encode(event).finish().length };
  }
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
  /** How often the caller has tried this event before. For logs only. */
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

// The affinity of persons: which sidecar of several an event goes to.
//
// An event has a key, a key has one of 16,384 slots, and a slot has an order of addresses. All clients share
// the definition: docs/scaling/affinity.md has it, tests/vectors/affinity.json checks it.

import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";

import type { EncodedEvent } from "./events.js";
import { IdScanner } from "./id-scanner.js";

/** The number of slots. Persons of one slot always share their address. */
export const SLOTS = 16_384;

/**
 * What decides which sidecar of several an event goes to. "none": the stream; all its events go to one
 * sidecar, until that one goes away. "person": the event's person; all events of a person go to one
 * sidecar, from all streams.
 */
export type Affinity = "none" | "person";

/**
 * Return the key of an event: its ordering key, or the user id or else the anonymous id, or bytes of its
 * own if it has none of these.
 */
export function personKey({ payload }: EncodedEvent, orderingKey = ""): Uint8Array {
  if (orderingKey !== "") return Buffer.from(orderingKey);
  switch (payload.$case) {
    case "event": {
      const { userId, anonymousId, messageId } = payload.value;
      return Buffer.from(userId || anonymousId || messageId);
    }
    case "prepared":
      return payload.value.body;
    case "json": {
      const json = payload.value;
      if (!isUtf8(json)) return json;
      const scanner = new IdScanner(json);
      if (!scanner.scan()) return json;
      const id = scanner.userId || scanner.anonymousId;
      return id === "" ? json : Buffer.from(id);
    }
  }
}

/** Return the slot of a key: its CRC-32, modulo the number of slots. */
export function slotOf(key: Uint8Array): number {
  return crc32(key) % SLOTS;
}

/**
 * Return the indexes of the addresses, that of the slot's own address first. The order is that of
 * rendezvous hashing: by the SHA-256 of the address, a line feed and the slot in decimal digits; the
 * greatest comes first.
 */
export function addressOrder(slot: number, addresses: readonly string[]): number[] {
  const digests = addresses.map((address) => createHash("sha256").update(`${address}\n${slot}`).digest());
  return addresses
    .map((_, index) => index)
    .toSorted((left, right) => Buffer.compare(digests[right] ?? EMPTY, digests[left] ?? EMPTY));
}

const EMPTY = Buffer.alloc(0);

// Node has a CRC-32 of its own only from 20.15 on.
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit += 1) remainder = remainder & 1 ? (remainder >>> 1) ^ 0xedb88320 : remainder >>> 1;
  return remainder;
});

function crc32(bytes: Uint8Array): number {
  let remainder = 0xffffffff;
  for (const byte of bytes) remainder = (remainder >>> 8) ^ (CRC_TABLE[(remainder ^ byte) & 0xff] ?? 0);
  return (remainder ^ 0xffffffff) >>> 0;
}

// What a stream does when the sidecar goes away, and how its owner ends it.

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { status } from "@grpc/grpc-js";
import { Aborted, CallFailed, Client, Closed, Unavailable } from "ciosidecar";
import type { StreamOptions } from "ciosidecar";

import { ScriptedSidecar } from "./scripted.mjs";
import type { Connection, Script } from "./scripted.mjs";
import { CONFIG, Sidecar, skip } from "./sidecar.mjs";

const TRACK = '{"type":"track","userId":"u1","event":"Order"}';

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `{"type":"track","userId":"u${index}","event":"E"}`);
}

/** Sends the events, and gives the answers' events and the number of reconnects. */
async function mapped(addresses: string | string[], events: Iterable<string>, options?: StreamOptions) {
  using client = new Client(addresses);
  await using stream = client.stream(CONFIG, options);
  const items = [];
  for await (const { item } of stream.map(events)) items.push(item);
  return { items, reconnects: stream.reconnects };
}

const answering: Script = async (connection) => {
  await connection.open();
  await connection.answerEverything();
};

test("what has no answer is sent again, in order, and nothing else", async () => {
  const resent: string[] = [];
  const dies = async (connection: Connection): Promise<void> => {
    await connection.open();
    const batch = await connection.batch();
    assert.equal(batch?.items.length, 10);
    connection.answer(batch, { positions: [0, 1, 2, 7], complete: false });
    connection.fail(status.UNAVAILABLE);
  };
  const lives = async (connection: Connection): Promise<void> => {
    await connection.open();
    for (let batch = await connection.batch(); batch !== undefined; batch = await connection.batch()) {
      for (const { payload } of batch.items) {
        if (payload?.$case === "json") resent.push(Buffer.from(payload.value).toString());
      }
      connection.answer(batch);
    }
  };
  await using sidecar = await ScriptedSidecar.start(dies, lives);
  const events = numbered(10);
  const { items, reconnects } = await mapped(sidecar.address, events, { lingerMs: 500 });
  assert.deepEqual(items, events);
  assert.deepEqual(resent, [3, 4, 5, 6, 8, 9].map((index) => events[index]));
  assert.equal(reconnects, 1);
  assert.deepEqual([...(sidecar.connections[1]?.declared ?? [])], [[1, JSON.stringify(CONFIG)]]);
});

test("a sidecar that drains is sent nothing more, its answers count, the rest goes on elsewhere", async () => {
  let second = 0;
  const drains = async (connection: Connection): Promise<void> => {
    await connection.open();
    const batch = await connection.batch();
    connection.drain();
    assert.equal(await connection.batch(), undefined, "the client finishes");
    if (batch !== undefined) connection.answer(batch);
  };
  const takesOver = async (connection: Connection): Promise<void> => {
    await connection.open();
    for (let batch = await connection.batch(); batch !== undefined; batch = await connection.batch()) {
      second += batch.items.length;
      connection.answer(batch);
    }
  };
  await using sidecar = await ScriptedSidecar.start(drains, takesOver);
  const events = numbered(50);
  const { items, reconnects } = await mapped(sidecar.address, events, { maxBatchEvents: 5, maxOwedEvents: 5 });
  assert.deepEqual(items, events);
  assert.equal(second, 45);
  assert.equal(reconnects, 1);
});

test("a stream that the sidecar ends early without a word is opened again", async () => {
  const ends: Script = async (connection) => {
    await connection.open();
    await connection.batch();
  };
  await using sidecar = await ScriptedSidecar.start(ends, answering);
  const { items, reconnects } = await mapped(sidecar.address, numbered(10));
  assert.deepEqual(items, numbered(10));
  assert.equal(reconnects, 1);
});

test("a sidecar killed in the middle and started again: every event is answered once, in order", { skip }, async () => {
  const first = await Sidecar.start();
  const events = numbered(3000);
  let restarted: Promise<Sidecar> | undefined;
  using client = new Client(first.address);
  await using stream = client.stream(CONFIG, { maxOwedEvents: 500 });
  const positions = [];
  for await (const { result } of stream.map(events)) {
    positions.push(result.position);
    if (result.position === 1000) {
      await first.kill();
      restarted = Sidecar.start("--listen", first.address);
    }
  }
  await using second = await restarted;
  assert.notEqual(second, undefined);
  assert.deepEqual(positions, events.map((_, index) => index));
  assert(stream.reconnects >= 1);
});

test("of two sidecars one drains: the other answers the rest, every event once, in order", { skip }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "ciosidecar-"));
  const addresses = ["first", "second"].map((name) => `unix:${join(folder, name)}`);
  try {
    await using first = await Sidecar.start("--listen", addresses[0] ?? "");
    using client = new Client(addresses);
    await using stream = client.stream(CONFIG, { maxOwedEvents: 500 });
    const events = numbered(3000);
    const positions = [];
    let second: Sidecar | undefined;
    for await (const { result } of stream.map(events)) {
      positions.push(result.position);
      if (result.position === 1000) {
        second = await Sidecar.start("--listen", addresses[1] ?? "");
        first.drain();
      }
    }
    await second?.kill();
    assert.deepEqual(positions, events.map((_, index) => index));
    assert(stream.reconnects >= 1);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a batch that fails every time does not reconnect for ever", async () => {
  await using sidecar = await ScriptedSidecar.start(async (connection) => {
    await connection.open();
    await connection.batch();
    connection.fail(status.INTERNAL);
  });
  await assert.rejects(mapped(sidecar.address, [TRACK], { reconnectForMs: 500 }), Unavailable);
  assert(sidecar.connections.length > 1);
});

test("an AbortSignal ends the stream for senders and readers, with its reason", async () => {
  await using sidecar = await silentSidecar();
  using client = new Client(sidecar.address);
  const abort = new AbortController();
  const stream = client.stream(CONFIG, { signal: abort.signal, maxOwedEvents: 1 });
  await stream.send(TRACK);
  const waiting = [stream.send(TRACK), stream[Symbol.asyncIterator]().next()];
  await sidecar.hasBatch;
  abort.abort("enough");
  for (const one of waiting) {
    await assert.rejects(one, (failure) => failure instanceof Aborted && failure.cause === "enough");
  }
  await assert.rejects(stream.send(TRACK), Aborted);
});

test("an AbortSignal ends the stream when everything is answered and only not taken yet", async () => {
  await using sidecar = await ScriptedSidecar.start(answering);
  using client = new Client(sidecar.address);
  const abort = new AbortController();
  const stream = client.stream(CONFIG, { signal: abort.signal });
  const answers = stream[Symbol.asyncIterator]();
  for (const event of numbered(10)) await stream.send(event);
  stream.finish();
  await answers.next();
  // As long as a whole other call takes, by which time the stream's own has ended.
  await mapped(sidecar.address, [TRACK]);
  abort.abort();
  await assert.rejects(answers.next(), Aborted);
});

test("closing the stream ends it for senders and readers", async () => {
  await using sidecar = await silentSidecar();
  using client = new Client(sidecar.address);
  const stream = client.stream(CONFIG, { maxOwedEvents: 1 });
  await stream.send(TRACK);
  const waiting = [stream.send(TRACK), stream[Symbol.asyncIterator]().next()].map((one) => assert.rejects(one, Closed));
  await sidecar.hasBatch;
  await stream.close();
  await Promise.all(waiting);
});

test("a stream that takes longer than it may fails with DEADLINE_EXCEEDED, connected or not", async () => {
  await using sidecar = await silentSidecar();
  for (const addresses of [sidecar.address, "127.0.0.1:1", ["127.0.0.1:1", "127.0.0.1:2"]]) {
    await assert.rejects(mapped(addresses, [TRACK], { timeoutMs: 300 }), (failure) => {
      assert(failure instanceof CallFailed);
      assert.equal(failure.code, "DEADLINE_EXCEEDED");
      return true;
    });
  }
});

/** A sidecar that takes a batch and never answers it; `hasBatch` is fulfilled once it has. */
async function silentSidecar(): Promise<ScriptedSidecar & { hasBatch: Promise<unknown> }> {
  const heard = new EventTarget();
  const sidecar = await ScriptedSidecar.start(async (connection) => {
    await connection.open();
    await connection.batch();
    heard.dispatchEvent(new Event("batch"));
    await connection.batch();
  });
  return Object.assign(sidecar, { hasBatch: once(heard, "batch") });
}

// Streams whose sidecar goes away, and streams that the caller ends.

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
import type { Script, ServerStream } from "./scripted.mjs";
import { CONFIG, Sidecar, skip } from "./sidecar.mjs";

const TRACK = '{"type":"track","userId":"u1","event":"Order"}';

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `{"type":"track","userId":"u${index}","event":"E"}`);
}

/** Send the events; return the events of the answers and the number of reconnects. */
async function mapped(addresses: string | string[], events: Iterable<string>, options?: StreamOptions) {
  using client = new Client(addresses);
  await using stream = client.stream(CONFIG, options);
  const answered = [];
  for await (const { attachment } of stream.map(events)) answered.push(attachment);
  return { answered, reconnects: stream.reconnects };
}

const answering: Script = async (server) => {
  await server.accept();
  await server.answerEverything();
};

test("events without an answer are sent again, in order, and no others", async () => {
  const resent: string[] = [];
  const dies = async (server: ServerStream): Promise<void> => {
    await server.accept();
    const batch = await server.batch();
    assert.equal(batch?.items.length, 10);
    server.answer(batch, { positions: [0, 1, 2, 7], complete: false });
    server.fail(status.UNAVAILABLE);
  };
  const lives = async (server: ServerStream): Promise<void> => {
    await server.accept();
    for (let batch = await server.batch(); batch !== undefined; batch = await server.batch()) {
      for (const { payload } of batch.items) {
        if (payload?.$case === "json") resent.push(Buffer.from(payload.value).toString());
      }
      server.answer(batch);
    }
  };
  await using sidecar = await ScriptedSidecar.start(dies, lives);
  const events = numbered(10);
  const { answered, reconnects } = await mapped(sidecar.address, events, { lingerMs: 500 });
  assert.deepEqual(answered, events);
  assert.deepEqual(resent, [3, 4, 5, 6, 8, 9].map((index) => events[index]));
  assert.equal(reconnects, 1);
  assert.deepEqual([...(sidecar.streams[1]?.declaredDestinations ?? [])], [[1, JSON.stringify(CONFIG)]]);
});

test("a draining sidecar gets no more events, its answers count, and another one gets the rest", async () => {
  let second = 0;
  const drains = async (server: ServerStream): Promise<void> => {
    await server.accept();
    const batch = await server.batch();
    server.drain();
    assert.equal(await server.batch(), undefined, "the client finishes");
    if (batch !== undefined) server.answer(batch);
  };
  const takesOver = async (server: ServerStream): Promise<void> => {
    await server.accept();
    for (let batch = await server.batch(); batch !== undefined; batch = await server.batch()) {
      second += batch.items.length;
      server.answer(batch);
    }
  };
  await using sidecar = await ScriptedSidecar.start(drains, takesOver);
  const events = numbered(50);
  const options = { maxBatchEvents: 5, maxOutstandingEvents: 5 };
  const { answered, reconnects } = await mapped(sidecar.address, events, options);
  assert.deepEqual(answered, events);
  assert.equal(second, 45);
  assert.equal(reconnects, 1);
});

test("a stream that the sidecar ends early is opened again", async () => {
  const ends: Script = async (server) => {
    await server.accept();
    await server.batch();
  };
  await using sidecar = await ScriptedSidecar.start(ends, answering);
  const { answered, reconnects } = await mapped(sidecar.address, numbered(10));
  assert.deepEqual(answered, numbered(10));
  assert.equal(reconnects, 1);
});

test("a sidecar killed in the middle and started again: every event is answered once, in order", { skip }, async () => {
  const first = await Sidecar.start();
  const events = numbered(3000);
  let restarted: Promise<Sidecar> | undefined;
  using client = new Client(first.address);
  await using stream = client.stream(CONFIG, { maxOutstandingEvents: 500 });
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
    await using stream = client.stream(CONFIG, { maxOutstandingEvents: 500 });
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
  await using sidecar = await ScriptedSidecar.start(async (server) => {
    await server.accept();
    await server.batch();
    server.fail(status.INTERNAL);
  });
  await assert.rejects(mapped(sidecar.address, [TRACK], { reconnectForMs: 500 }), Unavailable);
  assert(sidecar.streams.length > 1);
});

test("an AbortSignal ends the stream for senders and readers, with its reason", async () => {
  await using sidecar = await silentSidecar();
  using client = new Client(sidecar.address);
  const abort = new AbortController();
  const stream = client.stream(CONFIG, { signal: abort.signal, maxOutstandingEvents: 1 });
  await stream.send(TRACK);
  const waiting = [stream.send(TRACK), stream[Symbol.asyncIterator]().next()];
  await sidecar.hasBatch;
  abort.abort("enough");
  for (const call of waiting) {
    await assert.rejects(call, (failure) => failure instanceof Aborted && failure.cause === "enough");
  }
  await assert.rejects(stream.send(TRACK), Aborted);
});

test("an AbortSignal ends the stream when only answers are left to take", async () => {
  await using sidecar = await ScriptedSidecar.start(answering);
  using client = new Client(sidecar.address);
  const abort = new AbortController();
  const stream = client.stream(CONFIG, { signal: abort.signal });
  const answers = stream[Symbol.asyncIterator]();
  for (const event of numbered(10)) await stream.send(event);
  stream.finish();
  await answers.next();
  // The stream's own call ends while another call runs from beginning to end.
  await mapped(sidecar.address, [TRACK]);
  abort.abort();
  await assert.rejects(answers.next(), Aborted);
});

test("closing the client ends the stream when only answers are left to take", async () => {
  await using sidecar = await ScriptedSidecar.start(answering);
  using client = new Client(sidecar.address);
  const stream = client.stream(CONFIG);
  const answers = stream[Symbol.asyncIterator]();
  for (const event of numbered(10)) await stream.send(event);
  stream.finish();
  await answers.next();
  // The stream's own call ends while another call runs from beginning to end.
  await mapped(sidecar.address, [TRACK]);
  client.close();
  await assert.rejects(answers.next(), Closed);
});

test("closing the stream ends it for senders and readers", async () => {
  await using sidecar = await silentSidecar();
  using client = new Client(sidecar.address);
  const stream = client.stream(CONFIG, { maxOutstandingEvents: 1 });
  await stream.send(TRACK);
  const calls = [stream.send(TRACK), stream[Symbol.asyncIterator]().next()];
  const waiting = calls.map((call) => assert.rejects(call, Closed));
  await sidecar.hasBatch;
  await stream.close();
  await Promise.all(waiting);
});

test("a stream beyond its time limit fails with DEADLINE_EXCEEDED, connected or not", async () => {
  await using sidecar = await silentSidecar();
  for (const addresses of [sidecar.address, "127.0.0.1:1", ["127.0.0.1:1", "127.0.0.1:2"]]) {
    await assert.rejects(mapped(addresses, [TRACK], { timeoutMs: 300 }), (failure) => {
      assert(failure instanceof CallFailed);
      assert.equal(failure.code, "DEADLINE_EXCEEDED");
      return true;
    });
  }
});

/** Start a sidecar that reads a batch and never answers it. `hasBatch` resolves once the batch is read. */
async function silentSidecar(): Promise<ScriptedSidecar & { hasBatch: Promise<unknown> }> {
  const read = new EventTarget();
  const sidecar = await ScriptedSidecar.start(async (server) => {
    await server.accept();
    await server.batch();
    read.dispatchEvent(new Event("batch"));
    await server.batch();
  });
  return Object.assign(sidecar, { hasBatch: once(read, "batch") });
}

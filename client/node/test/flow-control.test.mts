// Flow control: producers wait while too many events are outstanding.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";

import { Client, Closed } from "ciosidecar";
import type { v1 } from "ciosidecar";

import { ScriptedSidecar } from "./scripted.mjs";
import type { ServerStream } from "./scripted.mjs";
import { CONFIG } from "./sidecar.mjs";
import { TRACK, all, answering, numbered, streamed } from "./streams.mjs";

test("no more events are outstanding than allowed", async () => {
  let unanswered: v1.Batch[] = [];
  let most = 0;
  const script = async (server: ServerStream): Promise<void> => {
    await server.accept();
    for (let batch = await server.batch(); batch !== undefined; batch = await server.batch()) {
      unanswered.push(batch);
      const outstanding = unanswered.reduce((sum, { items }) => sum + items.length, 0);
      most = Math.max(most, outstanding);
      if (outstanding < 10) continue;
      for (const earlier of unanswered) server.answer(earlier);
      unanswered = [];
    }
    for (const earlier of unanswered) server.answer(earlier);
  };
  await using sidecar = await ScriptedSidecar.start(script);
  const options = { maxOutstandingEvents: 10, maxBatchEvents: 4, lingerMs: 1 };
  assert.equal((await streamed(sidecar.address, Array(200).fill(TRACK) as string[], options)).length, 200);
  assert.equal(most, 10);
});

test("outstanding bytes are limited too, until the answers are taken", async () => {
  await using sidecar = await ScriptedSidecar.start(answering(() => undefined));
  using client = new Client(sidecar.address);
  await using stream = client.stream(CONFIG, { maxOutstandingBytes: 100 });
  const event = "x".repeat(60);
  await stream.send(event);
  await stream.send(event);
  let admitted = false;
  const third = stream.send(event).then(() => {
    admitted = true;
  });
  await nextTurn();
  assert.equal(admitted, false, "120 bytes are outstanding");
  await stream[Symbol.asyncIterator]().next();
  await third;
});

test("a consumer that stops holds up the producer", async () => {
  await using sidecar = await ScriptedSidecar.start(answering(() => undefined));
  using client = new Client(sidecar.address);
  await using stream = client.stream(CONFIG, { maxOutstandingEvents: 10 });
  let taken = 0;
  function* events(): Generator<string> {
    for (const event of numbered(100)) {
      taken += 1;
      yield event;
    }
  }
  for await (const { result } of stream.map(events())) {
    assert(taken <= result.position + 12, `${taken} events taken for ${result.position + 1} answers`);
  }
  assert.equal(taken, 100);
});

test("events still share messages at the limit of outstanding events", async () => {
  const sizes: number[] = [];
  await using sidecar = await ScriptedSidecar.start(answering(({ items }) => sizes.push(items.length)));
  using client = new Client(sidecar.address);
  await using stream = client.stream(CONFIG, { maxOutstandingEvents: 50, lingerMs: 20 });
  // Each answer taken makes room for one event.
  for await (const { result } of stream.map(numbered(500))) if (result.position % 5 === 0) await nextTurn();
  assert.equal(sizes.reduce((sum, size) => sum + size), 500);
  assert(sizes.length <= 50, String(sizes));
});

test("sends that are not awaited keep their order, and finish waits for them", async () => {
  await using sidecar = await ScriptedSidecar.start(answering(() => undefined));
  using client = new Client(sidecar.address);
  await using stream = client.stream(CONFIG, { maxOutstandingEvents: 7 });
  const sends = Promise.all(numbered(100).map((event) => stream.send(event)));
  stream.finish();
  assert.deepEqual((await all(stream)).map(({ attachment }) => attachment), numbered(100));
  await sends;
});

test("a finished stream accepts no events", async () => {
  await using sidecar = await ScriptedSidecar.start(answering(() => undefined));
  using client = new Client(sidecar.address);
  await using stream = client.stream(CONFIG);
  stream.finish();
  assert.deepEqual(await all(stream), []);
  await assert.rejects(stream.send(TRACK), Closed);
});

test("a caller that leaves the loop and iterates again gets the other answers", async () => {
  await using sidecar = await ScriptedSidecar.start(answering(() => undefined));
  using client = new Client(sidecar.address);
  await using stream = client.stream(CONFIG);
  for (const event of numbered(10)) await stream.send(event);
  stream.finish();
  for await (const { result } of stream) if (result.position === 3) break;
  assert.deepEqual((await all(stream)).map(({ result }) => result.position), [4, 5, 6, 7, 8, 9]);
});

test("map takes an async iterable, and closes it and the stream when its loop is left", async () => {
  await using sidecar = await ScriptedSidecar.start(answering(() => undefined));
  using client = new Client(sidecar.address);
  const stream = client.stream(CONFIG, { maxOutstandingEvents: 2 });
  const closed = new Promise<void>((resolve) => {
    async function* events(): AsyncGenerator<string> {
      try {
        for (;;) yield await Promise.resolve(TRACK);
      } finally {
        resolve();
      }
    }
    void (async () => {
      for await (const { result } of stream.map(events())) if (result.position === 5) break;
    })();
  });
  await closed;
  await assert.rejects(all(stream), Closed);
});

test("an error of the events of map is thrown after the answers to the events before", async () => {
  await using sidecar = await ScriptedSidecar.start(answering(() => undefined));
  using client = new Client(sidecar.address);
  function* events(): Generator<string> {
    yield* numbered(5);
    throw new RangeError("no more");
  }
  let answered = 0;
  await assert.rejects(async () => {
    for await (const { result } of client.stream(CONFIG).map(events())) answered = result.position + 1;
  }, RangeError);
  assert.equal(answered, 5);
});

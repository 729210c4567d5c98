// What all four clients offer, in TypeScript: docs/clients.md has the table.

import assert from "node:assert/strict";
import { test } from "node:test";

import { InterceptingCall } from "@grpc/grpc-js";
import { BatchEntry, Client, Result } from "ciosidecar";
import type { StreamOptions, v1 } from "ciosidecar";

import { ScriptedSidecar } from "./scripted.mjs";
import { CONFIG, Sidecar, skip } from "./sidecar.mjs";
import { TRACK, all, answering, numbered, streamed } from "./streams.mjs";

test("answers come as they are there where that is asked for", async () => {
  for (const [unordered, wanted] of [[true, [2, 1, 0]], [false, [0, 1, 2]]] as const) {
    await using sidecar = await ScriptedSidecar.start(async (connection) => {
      await connection.open();
      const batches: v1.Batch[] = [];
      while (batches.length < 3) {
        const batch = await connection.batch();
        if (batch !== undefined) batches.push(batch);
      }
      for (const batch of batches.toReversed()) connection.answer(batch);
      await connection.answerEverything();
    });
    const answers = await streamed(sidecar.address, numbered(3), { maxBatchEvents: 1, unordered });
    assert.deepEqual(answers.map(({ result }) => result.position), wanted);
    assert.deepEqual(answers.map(({ item }) => item), wanted.map((n) => `{"n":${n}}`));
  }
});

test("a batch of the caller's travels alone under its own timeout", async () => {
  const batches: v1.Batch[] = [];
  await using sidecar = await ScriptedSidecar.start(answering((batch) => batches.push(batch)));
  using client = new Client(sidecar.address);
  await using stream = client.stream<string>(CONFIG, { lingerMs: 5000 });
  await stream.send("before", "before");
  await stream.sendBatch([new BatchEntry("1", "one"), new BatchEntry("2", "two", { attempt: 3 })], { timeoutMs: 1500 });
  await stream.send("after", "after");
  stream.finish();
  assert.deepEqual((await all(stream)).map(({ item }) => item), ["before", "one", "two", "after"]);
  assert.deepEqual(batches.map(({ items }) => items.length), [1, 2, 1]);
  assert.deepEqual(
    batches.map(({ timeout }) => timeout && Number(timeout.seconds) + timeout.nanos / 1e9),
    [undefined, 1.5, undefined],
  );
  assert.equal(batches[1]?.items[1]?.attempt, 3);
  await assert.rejects(stream.sendBatch([TRACK], { timeoutMs: 0 }), RangeError);
});

test("a batch larger than the credit is taken as soon as there is any", async () => {
  const batches: number[] = [];
  await using sidecar = await ScriptedSidecar.start(answering(({ items }) => batches.push(items.length)));
  using client = new Client(sidecar.address);
  await using stream = client.stream(CONFIG, { maxOwedEvents: 2, maxBatchEvents: 3, lingerMs: 5000 });
  const sending = (async () => {
    await stream.sendBatch(numbered(2));
    await stream.sendBatch(numbered(4));
    stream.finish();
  })();
  assert.equal((await all(stream)).length, 6);
  await sending;
  assert.deepEqual(batches, [2, 3, 1]);
});

test("one batch may name destinations and fields event by event", { skip }, async () => {
  await using sidecar = await Sidecar.start();
  using client = new Client(sidecar.address);
  const web = new BatchEntry(TRACK, undefined, {
    destination: { siteID: "other", apiKey: "key", connectionMode: { web: "device" } },
    ...{ sourceType: "web", tag: Uint8Array.of(255) },
  });
  const row = { type: "record", action: "insert", identifiers: { id: "u1" } };
  const rows = new BatchEntry(row, undefined, { connection: { object: "person" } });
  const [first, second, third, fourth] = await client.transform([TRACK, web, rows, TRACK], CONFIG);
  assert.deepEqual([second?.status, second?.filterReason, second?.tag], [298, "DEVICE_MODE", Buffer.of(255)]);
  assert.match(String(third?.requests[0]?.url), /\/customers\/u1$/);
  assert.deepEqual(first?.requests[0]?.headers, fourth?.requests[0]?.headers);
  assert.equal(second?.ok, false);
});

test("ok is 200 and nothing else", () => {
  const found = [200, 207, 298, 400, 503].map((status) => new Result(0, status, []).ok);
  assert.deepEqual(found, [true, false, false, false, false]);
});

test("every call may take thirty seconds", { skip }, async () => {
  const left: number[] = [];
  await using sidecar = await Sidecar.start();
  using client = new Client(sidecar.address, {
    grpc: {
      interceptors: [
        (options, next) => {
          left.push(Number(options.deadline) - Date.now());
          return new InterceptingCall(next(options));
        },
      ],
    },
  });
  await client.capabilities();
  await client.check(CONFIG);
  await client.transform([TRACK], CONFIG);
  assert(left.length === 3 && left.every((one) => one > 20_000 && one <= 30_000), String(left));
});

test("options that cannot be are refused", () => {
  using client = new Client();
  const wrong: StreamOptions[] = [
    ...[{ maxReceiveBytes: 65_535 }, { maxReceiveBytes: (64 << 20) + 1 }, { delivery: { timeoutMs: 0 } }],
    ...[{ maxBatchEvents: 0 }, { maxBatchBytes: 0 }, { maxOwedEvents: -1 }, { maxOwedBytes: 0 }],
    ...[{ lingerMs: -1 }, { reconnectForMs: -1 }, { timeoutMs: -1 }],
  ];
  for (const options of wrong) assert.throws(() => client.stream(CONFIG, options), RangeError, JSON.stringify(options));
});

test("a malformed address is refused when it is given", () => {
  const malformed = [
    ...["", "localhost", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "http://127.0.0.1:1", "host name:1"],
    ...["unix:", "dns:///name", "::1:50550", "127.0.0.1:port", "127.0.0.1:1\n"],
  ];
  for (const address of malformed) {
    assert.throws(() => new Client(address), /no address/, address);
    assert.throws(() => new Client(["127.0.0.1:1", address]), /no address/, address);
  }
});

test("the same config under another name is another destination", async () => {
  const batches: v1.Batch[] = [];
  await using sidecar = await ScriptedSidecar.start(answering((batch) => batches.push(batch)));
  const { Destination } = await import("ciosidecar");
  const options = [new Destination(CONFIG, "a"), new Destination(CONFIG, "b"), new Destination(CONFIG, "a")];
  await streamed(sidecar.address, options.map((destination) => ({ event: TRACK, options: { destination } })), { lingerMs: 200 });
  assert.deepEqual(batches[0]?.items.map(({ destination }) => destination), [1, 2, 1]);
});

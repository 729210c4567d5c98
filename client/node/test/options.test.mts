// The options that all four clients have; docs/clients.md has the table.

import assert from "node:assert/strict";
import { test } from "node:test";

import { InterceptingCall } from "@grpc/grpc-js";
import type { Interceptor } from "@grpc/grpc-js";
import { BatchEntry, Client, Destination, Result, v1 } from "ciosidecar";
import type { DetailLevel, StreamOptions } from "ciosidecar";

import { ScriptedSidecar } from "./scripted.mjs";
import { CONFIG, Sidecar, skip } from "./sidecar.mjs";
import { TRACK, all, answering, numbered, streamed } from "./streams.mjs";

test("unordered answers come in the order of their arrival", async () => {
  for (const [unordered, expected] of [[true, [2, 1, 0]], [false, [0, 1, 2]]] as const) {
    await using sidecar = await ScriptedSidecar.start(async (server) => {
      await server.accept();
      const batches: v1.Batch[] = [];
      while (batches.length < 3) {
        const batch = await server.batch();
        if (batch !== undefined) batches.push(batch);
      }
      for (const batch of batches.toReversed()) server.answer(batch);
      await server.answerEverything();
    });
    const answers = await streamed(sidecar.address, numbered(3), { maxBatchEvents: 1, unordered });
    assert.deepEqual(answers.map(({ result }) => result.position), expected);
    assert.deepEqual(answers.map(({ attachment }) => attachment), expected.map((n) => `{"n":${n}}`));
  }
});

test("a batch of the caller is sent alone, with its own timeout", async () => {
  const batches: v1.Batch[] = [];
  await using sidecar = await ScriptedSidecar.start(answering((batch) => batches.push(batch)));
  using client = new Client(sidecar.address);
  await using stream = client.stream<string>(CONFIG, { lingerMs: 5000 });
  await stream.send("before", "before");
  await stream.sendBatch([new BatchEntry("1", "one"), new BatchEntry("2", "two", { attempt: 3 })], { timeoutMs: 1500 });
  await stream.send("after", "after");
  stream.finish();
  assert.deepEqual((await all(stream)).map(({ attachment }) => attachment), ["before", "one", "two", "after"]);
  assert.deepEqual(batches.map(({ items }) => items.length), [1, 2, 1]);
  assert.deepEqual(
    batches.map(({ timeout }) => timeout && Number(timeout.seconds) + timeout.nanos / 1e9),
    [undefined, 1.5, undefined],
  );
  assert.equal(batches[1]?.items[1]?.attempt, 3);
  await assert.rejects(stream.sendBatch([TRACK], { timeoutMs: 0 }), RangeError);
});

test("a batch larger than the flow control limit is admitted when any event is", async () => {
  const batches: number[] = [];
  await using sidecar = await ScriptedSidecar.start(answering(({ items }) => batches.push(items.length)));
  using client = new Client(sidecar.address);
  await using stream = client.stream(CONFIG, { maxOutstandingEvents: 2, maxBatchEvents: 3, lingerMs: 5000 });
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
  const oks = [200, 207, 298, 400, 503].map((status) => new Result(0, status, []).ok);
  assert.deepEqual(oks, [true, false, false, false, false]);
});

/** Create a client that appends the time left before the deadline of each call. */
function timedClient(address: string, leftMs: number[]): Client {
  const interceptor: Interceptor = (options, nextCall) => {
    leftMs.push(Number(options.deadline) - Date.now());
    return new InterceptingCall(nextCall(options));
  };
  return new Client(address, { grpc: { interceptors: [interceptor] } });
}

test("every call but deliver has a deadline of thirty seconds", { skip }, async () => {
  const leftMs: number[] = [];
  await using sidecar = await Sidecar.start();
  using client = timedClient(sidecar.address, leftMs);
  await client.capabilities();
  await client.check(CONFIG);
  await client.transform([TRACK], CONFIG);
  assert(leftMs.length === 3 && leftMs.every((left) => left > 20_000 && left <= 30_000), String(leftMs));
});

test("deliver has a deadline of thirty seconds more than the delivery", async () => {
  const leftMs: number[] = [];
  await using sidecar = await ScriptedSidecar.start();
  sidecar.onDeliver = () => v1.DeliverResponse.create();
  using client = timedClient(sidecar.address, leftMs);
  await client.deliver([TRACK], CONFIG);
  await client.deliver([TRACK], CONFIG, { delivery: { timeoutMs: 5_000 } });
  const [byDefault = 0, withTimeout = 0] = leftMs;
  assert(byDefault > 80_000 && byDefault <= 90_000, String(leftMs));
  assert(withTimeout > 25_000 && withTimeout <= 35_000, String(leftMs));
});

test("each option has its range", () => {
  using client = new Client();
  const invalid: StreamOptions[] = [
    ...[{ maxReceiveBytes: 65_535 }, { maxReceiveBytes: (64 << 20) + 1 }, { delivery: { timeoutMs: 0 } }],
    ...[{ delivery: { timeoutMs: Infinity } }, { delivery: { detailLevel: "everything" as DetailLevel } }],
    ...[{ maxBatchEvents: 0 }, { maxBatchBytes: 0 }, { maxOutstandingEvents: -1 }, { maxOutstandingBytes: 0 }],
    ...[{ lingerMs: -1 }, { reconnectForMs: -1 }, { timeoutMs: -1 }],
  ];
  for (const options of invalid) {
    assert.throws(() => client.stream(CONFIG, options), RangeError, JSON.stringify(options));
  }
});

test("a malformed address is refused by the constructor", () => {
  const malformed = [
    ...["", "localhost", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "http://127.0.0.1:1", "host name:1"],
    ...["unix:", "dns:///name", "::1:50550", "127.0.0.1:port", "127.0.0.1:1\n"],
  ];
  for (const address of malformed) {
    assert.throws(() => new Client(address), /no address/, address);
    assert.throws(() => new Client(["127.0.0.1:1", address]), /no address/, address);
  }
});

test("the same config under another ref is another destination", async () => {
  const batches: v1.Batch[] = [];
  await using sidecar = await ScriptedSidecar.start(answering((batch) => batches.push(batch)));
  const sends = ["a", "b", "a"].map((ref) => ({
    event: TRACK,
    options: { destination: new Destination(CONFIG, ref) },
  }));
  await streamed(sidecar.address, sends, { lingerMs: 200 });
  assert.deepEqual(batches[0]?.items.map(({ destination }) => destination), [1, 2, 1]);
});

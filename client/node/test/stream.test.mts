// Streams: batches, order, the fields of an event, and failures.

import assert from "node:assert/strict";
import { test } from "node:test";

import { status } from "@grpc/grpc-js";
import { CallFailed, Client, Unavailable } from "ciosidecar";
import type { Event, SendOptions, Stream, StreamOptions, v1 } from "ciosidecar";

import { ScriptedSidecar } from "./scripted.mjs";
import type { ServerStream } from "./scripted.mjs";
import { CONFIG, Sidecar, skip } from "./sidecar.mjs";
import { TRACK, all, answering, numbered, streamed } from "./streams.mjs";

function json(item: v1.BatchItem): string {
  return item.payload?.$case === "json" ? Buffer.from(item.payload.value).toString() : "";
}

test("every event comes back in order, with its attachment", { skip }, async () => {
  await using sidecar = await Sidecar.start();
  using client = new Client(sidecar.address);
  await using stream = client.stream<{ job: number }>(CONFIG);
  const answers = all(stream);
  for (let job = 0; job < 1000; job += 1) {
    await stream.send({ type: "track", userId: `u${job}`, event: "E" }, { job });
  }
  stream.finish();
  (await answers).forEach(({ attachment, result }, index) => {
    assert.deepEqual(attachment, { job: index });
    assert.equal(result.position, index);
    assert.match(result.requests[0]?.url ?? "", new RegExp(`/customers/u${index}/events$`));
  });
  assert.equal((await answers).length, 1000);
  assert.equal(stream.reconnects, 0);
});

test("events are gathered into messages, none above the limit", async () => {
  const sizes: number[] = [];
  await using sidecar = await ScriptedSidecar.start(answering(({ items }) => sizes.push(items.length)));
  await streamed(sidecar.address, Array(1000).fill(TRACK) as string[], { maxBatchEvents: 100, lingerMs: 200 });
  assert.equal(sizes.reduce((sum, size) => sum + size), 1000);
  assert(Math.max(...sizes) <= 100 && sizes.length < 50, String(sizes));
});

test("the size of a message is limited too, and a larger event is sent alone", async () => {
  const sizes: number[] = [];
  const bytes = (items: v1.BatchItem[]): number => items.reduce((sum, item) => sum + json(item).length, 0);
  await using sidecar = await ScriptedSidecar.start(answering(({ items }) => sizes.push(bytes(items))));
  const events = [...(Array(10).fill("x".repeat(400)) as string[]), "y".repeat(5000)];
  await streamed(sidecar.address, events, { maxBatchBytes: 1000 });
  assert(sizes.slice(0, -1).every((size) => size <= 1000), String(sizes));
  assert.deepEqual([sizes.at(-1), bytes([])], [5000, 0]);
});

test("the server's own limit on a batch is kept", async () => {
  const sizes: number[] = [];
  const script = answering(({ items }) => sizes.push(items.length), { maxBatchEvents: 3 });
  await using sidecar = await ScriptedSidecar.start(script);
  await streamed(sidecar.address, Array(20).fill(TRACK) as string[]);
  assert.equal(sizes.reduce((sum, size) => sum + size), 20);
  assert.equal(Math.max(...sizes), 3);
});

test("an event is sent alone if no other joins it", async () => {
  await using sidecar = await ScriptedSidecar.start(answering(() => undefined));
  using client = new Client(sidecar.address);
  await using stream = client.stream(CONFIG);
  const answers = stream[Symbol.asyncIterator]();
  for (const event of numbered(2)) {
    // The second event proves that an idle stream starts its timer again.
    await stream.send(event);
    assert.equal((await answers.next()).value?.attachment, event);
  }
});

test("an answer that comes twice counts once", async () => {
  const script = async (server: ServerStream): Promise<void> => {
    await server.accept();
    for (let batch = await server.batch(); batch !== undefined; batch = await server.batch()) {
      server.answer(batch, { positions: [0], complete: false });
      server.answer(batch);
      server.answer(batch);
    }
  };
  await using sidecar = await ScriptedSidecar.start(script);
  const answers = await streamed(sidecar.address, numbered(3));
  assert.deepEqual(answers.map(({ attachment }) => attachment), numbered(3));
});

test("more destinations than the server keeps", { skip }, async () => {
  await using sidecar = await Sidecar.start("--max-destinations", "3");
  const sends = Array.from({ length: 70 }, (_, index) => ({
    event: TRACK,
    options: { destination: { siteID: `site-${index % 7}`, apiKey: "key" } },
  }));
  const answers = await streamed(sidecar.address, sends);
  const authorizations = answers.map(({ result }) => result.requests[0]?.headers.Authorization);
  assert.equal(new Set(authorizations).size, 7);
  authorizations.forEach((authorization, index) => {
    assert.equal(authorization, authorizations[index % 7]);
  });
});

test("an event is sent with its fields; the last of the events that share a request has it", { skip }, async () => {
  const group = (number: number): string => `{"type":"group","userId":"u${number}","groupId":"g${number}"}`;
  const config = { ...CONFIG, connectionMode: { web: "device" } };
  await using sidecar = await Sidecar.start();
  const answers = await streamed(
    sidecar.address,
    [
      group(0),
      { event: group(1), options: { dontBatch: true } },
      group(2),
      { event: TRACK, options: { sourceType: "web", tag: Buffer.from([255]), destination: config } },
    ],
    { lingerMs: 200 },
  );
  const covered = answers.map(({ result }) => result.requests.map(({ positions }) => positions));
  assert.deepEqual(covered, [[], [[1]], [[0, 2]], []]);
  assert.equal(answers[3]?.result.filterReason, "DEVICE_MODE");
  assert.deepEqual([...(answers[3].result.tag)], [255]);
});

test("an event that cannot be sent is refused by send, and the stream continues", async () => {
  await using sidecar = await ScriptedSidecar.start(answering(() => undefined));
  using client = new Client(sidecar.address);
  await using stream = client.stream();
  const send = (event: unknown, options: unknown): Promise<void> =>
    stream.send(event as Event, undefined, options as SendOptions);
  await assert.rejects(send(5, { destination: CONFIG }), TypeError);
  await assert.rejects(send(TRACK, {}), TypeError, "no destination");
  await assert.rejects(send(TRACK, { destination: CONFIG, tag: "text" }), TypeError);
  await assert.rejects(send(TRACK, { destination: CONFIG, attempt: -1 }), /attempt must not be negative/);
  await send(TRACK, { destination: CONFIG });
  stream.finish();
  assert.equal((await all(stream)).length, 1);
});

test("options that cannot be used are a RangeError", () => {
  using client = new Client("127.0.0.1:1");
  const invalid: StreamOptions[] = [{ maxBatchEvents: 0 }, { maxOutstandingEvents: NaN }, { lingerMs: -1 }];
  for (const options of invalid) {
    assert.throws(() => client.stream(CONFIG, options), RangeError);
  }
});

test("a refused stream is not opened again, and fails for senders and readers", async () => {
  await using sidecar = await ScriptedSidecar.start(async (server) => {
    await server.readOpen();
    server.fail(status.INVALID_ARGUMENT, "no");
  });
  using client = new Client(sidecar.address);
  const stream: Stream = client.stream(CONFIG);
  await stream.send(TRACK);
  const refused = (failure: unknown): boolean =>
    failure instanceof CallFailed && failure.code === "INVALID_ARGUMENT" && failure.details === "no";
  await assert.rejects(all(stream), refused);
  await assert.rejects(stream.send(TRACK), refused);
  assert.equal(sidecar.streams.length, 1);
});

test("results that break the contract fail the stream instead of blocking it", async () => {
  await using sidecar = await ScriptedSidecar.start(async (server) => {
    await server.accept();
    const batch = await server.batch();
    if (batch !== undefined) server.answer(batch, { positions: [77] });
    await server.answerEverything();
  });
  await assert.rejects(streamed(sidecar.address, [TRACK]), /position 77/);
});

test("without a sidecar a stream is Unavailable after reconnectForMs", async () => {
  await assert.rejects(streamed("127.0.0.1:1", numbered(10), { reconnectForMs: 300 }), (failure) => {
    assert(failure instanceof Unavailable);
    assert.match(failure.message, /no answer for 300 ms/);
    return true;
  });
});

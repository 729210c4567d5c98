// Streams that deliver: what they ask for, and what their results say.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Client, v1 } from "ciosidecar";
import type { StreamOptions } from "ciosidecar";

import { ScriptedSidecar } from "./scripted.mjs";
import type { Connection } from "./scripted.mjs";
import { CONFIG, Sidecar, skip } from "./sidecar.mjs";
import { TRACK, all, numbered, streamed } from "./streams.mjs";

/** A script that answers the first batch with these details, and tells of it. */
function detailing(details: v1.Detail[], onBatch: (batch: v1.Batch) => void = () => undefined) {
  return async (connection: Connection): Promise<void> => {
    await connection.open();
    const batch = await connection.batch();
    if (batch === undefined) return;
    onBatch(batch);
    connection.answer(batch, { details });
    await connection.answerEverything();
  };
}

test("a stream opens with the delivery it was asked for, and without one it delivers nothing", async () => {
  const cases: [StreamOptions, unknown][] = [
    [{}, undefined],
    [{ delivery: {} }, [true, false, undefined]],
    [{ delivery: { detailForEveryItem: false, includeRequests: true, timeoutMs: 1500 } }, [false, true, 1.5]],
  ];
  for (const [options, wanted] of cases) {
    await using sidecar = await ScriptedSidecar.start(detailing([]));
    await streamed(sidecar.address, [TRACK], options);
    const found = sidecar.connections[0]?.opening?.delivery;
    const timeout = found?.defaultTimeout;
    assert.deepEqual(
      found && [
        found.detailForEveryItem,
        found.includeRequests,
        timeout && Number(timeout.seconds) + timeout.nanos / 1e9,
      ],
      wanted,
    );
  }
});

test("a result says what Customer.io answered", async () => {
  const delivery = {
    ...{ attempts: 2, httpStatus: 207, reason: "in part", field: "" },
    latency: { seconds: 1n, nanos: 500_000_000 },
    failedItems: [{ index: 3, reason: "no", field: "name" }],
  };
  await using sidecar = await ScriptedSidecar.start(detailing([v1.Detail.fromPartial({ position: 0, delivery })]));
  const [answer] = await streamed(sidecar.address, [TRACK], { delivery: {} });
  const { latency, ...rest } = delivery;
  assert.deepEqual(answer?.result.delivery, { ...rest, latencyMs: Number(latency.seconds) * 1000 + 500 });
});

test("a request of an earlier transform travels as it is, and needs no destination", { skip }, async () => {
  let item: v1.Item | undefined;
  await using real = await Sidecar.start();
  await using sidecar = await ScriptedSidecar.start(detailing([], ({ items: [first] }) => (item = first)));
  using transforming = new Client(real.address);
  const [result] = await transforming.transform([TRACK], CONFIG);
  const [request] = result?.requests ?? [];
  assert(request !== undefined);
  using client = new Client(sidecar.address);
  const stream = client.stream(undefined, { delivery: {} });
  await stream.send(request);
  stream.finish();
  assert.equal((await all(stream))[0]?.item, request);
  assert.equal(item?.destination, 0);
  assert(item.payload?.$case === "prepared");
  const parts = ({ method, url, endpointPath, headers, body }: typeof request | v1.PreparedRequest): unknown[] => [
    ...[method, url, endpointPath, { ...headers }],
    Buffer.from(body).toString(),
  ];
  assert.deepEqual(parts(item.payload.value), parts(request));
});

test("an event that waits for one of an earlier batch names its position on the stream", async () => {
  const blocked = (batchId: bigint): v1.Detail =>
    v1.Detail.fromPartial({
      position: 0,
      error: { code: v1.ErrorCode.BLOCKED, blockedBy: { batchId, position: 1 } },
    });
  await using sidecar = await ScriptedSidecar.start(async (connection) => {
    await connection.open();
    const first = await connection.batch();
    const second = await connection.batch();
    assert(first !== undefined && second !== undefined);
    connection.answer(first, { details: [blocked(999n)] });
    connection.answer(second, { details: [blocked(first.batchId)] });
    await connection.answerEverything();
  });
  const answers = await streamed(sidecar.address, numbered(4), { maxBatchEvents: 2, delivery: {} });
  assert.deepEqual(answers.map(({ result }) => result.error?.code), ["BLOCKED", undefined, "BLOCKED", undefined]);
  assert.deepEqual(answers.map(({ result }) => result.error?.blockedBy), [undefined, undefined, 1, undefined]);
});

test("a connection travels once, for the records that name it", async () => {
  const named: number[] = [];
  await using sidecar = await ScriptedSidecar.start(
    detailing([], ({ items }) => named.push(...items.map(({ connection }) => connection))),
  );
  const rows = { object: "person" };
  const record = { event: '{"type":"record"}', options: { connection: rows } };
  await streamed(sidecar.address, [TRACK, record, record], { lingerMs: 200 });
  assert.deepEqual(named, [0, 1, 1]);
  assert.deepEqual([...(sidecar.connections[0]?.declaredConnections ?? [])], [[1, JSON.stringify(rows)]]);
});

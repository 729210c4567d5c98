// Streams with delivery: their options and their results.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Client, v1 } from "ciosidecar";
import type { StreamOptions } from "ciosidecar";

import { ScriptedSidecar } from "./scripted.mjs";
import type { ServerStream } from "./scripted.mjs";
import { CONFIG, Sidecar, skip } from "./sidecar.mjs";
import { TRACK, all, numbered, streamed } from "./streams.mjs";

/** Return a script that answers the first batch with details. onBatch: gets that batch. */
function detailing(details: v1.EventDetail[], onBatch: (batch: v1.Batch) => void = () => undefined) {
  return async (server: ServerStream): Promise<void> => {
    await server.accept();
    const batch = await server.batch();
    if (batch === undefined) return;
    onBatch(batch);
    server.answer(batch, { details });
    await server.answerEverything();
  };
}

test("a stream opens with its delivery options, and without them it delivers nothing", async () => {
  const cases: [StreamOptions, unknown][] = [
    [{}, undefined],
    [{ delivery: {} }, [v1.DetailLevel.ALL, false, undefined]],
    [
      { delivery: { detailLevel: "notable", includeRequests: true, timeoutMs: 1500 } },
      [v1.DetailLevel.NOTABLE, true, 1.5],
    ],
  ];
  for (const [options, expected] of cases) {
    await using sidecar = await ScriptedSidecar.start(detailing([]));
    await streamed(sidecar.address, [TRACK], options);
    const delivery = sidecar.streams[0]?.open?.delivery;
    const timeout = delivery?.defaultTimeout;
    assert.deepEqual(
      delivery && [
        delivery.detailLevel,
        delivery.includeRequests,
        timeout && Number(timeout.seconds) + timeout.nanos / 1e9,
      ],
      expected,
    );
  }
});

test("a result has the delivery report", async () => {
  const delivery = {
    ...{ attempts: 2, httpStatus: 207, reason: "in part", field: "" },
    latency: { seconds: 1n, nanos: 500_000_000 },
    failedItems: [{ index: 3, reason: "no", field: "name" }],
  };
  await using sidecar = await ScriptedSidecar.start(detailing([v1.EventDetail.fromPartial({ position: 0, delivery })]));
  const [answer] = await streamed(sidecar.address, [TRACK], { delivery: {} });
  const { latency, ...rest } = delivery;
  assert.deepEqual(answer?.result.delivery, { ...rest, latencyMs: Number(latency.seconds) * 1000 + 500 });
});

test("a request of an earlier transform is sent as it is, and needs no destination", { skip }, async () => {
  let item: v1.BatchItem | undefined;
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
  assert.equal((await all(stream))[0]?.attachment, request);
  assert.equal(item?.destination, 0);
  assert(item.payload?.$case === "prepared");
  const parts = ({ method, url, endpointPath, headers, body }: typeof request | v1.PreparedRequest): unknown[] => [
    ...[method, url, endpointPath, { ...headers }],
    Buffer.from(body).toString(),
  ];
  assert.deepEqual(parts(item.payload.value), parts(request));
});

test("a blocked event names the position on the stream of an event of an earlier batch", async () => {
  const blocked = (batchId: bigint): v1.EventDetail =>
    v1.EventDetail.fromPartial({
      position: 0,
      error: { code: v1.ErrorCode.BLOCKED, blockedBy: { batchId, position: 1 } },
    });
  await using sidecar = await ScriptedSidecar.start(async (server) => {
    await server.accept();
    const first = await server.batch();
    const second = await server.batch();
    assert(first !== undefined && second !== undefined);
    server.answer(first, { details: [blocked(999n)] });
    server.answer(second, { details: [blocked(first.batchId)] });
    await server.answerEverything();
  });
  const answers = await streamed(sidecar.address, numbered(4), { maxBatchEvents: 2, delivery: {} });
  assert.deepEqual(answers.map(({ result }) => result.error?.code), ["BLOCKED", undefined, "BLOCKED", undefined]);
  assert.deepEqual(answers.map(({ result }) => result.error?.blockedBy), [undefined, undefined, 1, undefined]);
});

test("a connection is declared once, for the records that name it", async () => {
  const connectionIds: number[] = [];
  await using sidecar = await ScriptedSidecar.start(
    detailing([], ({ items }) => connectionIds.push(...items.map(({ connection }) => connection))),
  );
  const rows = { object: "person" };
  const record = { event: '{"type":"record"}', options: { connection: rows } };
  await streamed(sidecar.address, [TRACK, record, record], { lingerMs: 200 });
  assert.deepEqual(connectionIds, [0, 1, 1]);
  assert.deepEqual([...(sidecar.streams[0]?.declaredConnections ?? [])], [[1, JSON.stringify(rows)]]);
});

// The unary calls: one batch and its results, and failures of a call.

import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { inspect } from "node:util";

import { Aborted, CallFailed, Client, Closed, Destination, SidecarError, Unavailable, v1 } from "ciosidecar";
import type { Event, Result } from "ciosidecar";

import { ScriptedSidecar } from "./scripted.mjs";
import { CONFIG, Sidecar, skip } from "./sidecar.mjs";

const TRACK = { type: "track", userId: "u1", event: "Order" };

async function transformed(events: Event[], config: object = CONFIG): Promise<Result[]> {
  await using sidecar = await Sidecar.start();
  using client = new Client(sidecar.address);
  return await client.transform(events, config);
}

test("each event has one result, in order, with all its details", { skip }, async () => {
  const config = { ...CONFIG, connectionMode: { web: "device" } };
  const [good, refused, repaired, filtered] = await transformed(
    [
      TRACK,
      { type: "track", event: "Nobody's" },
      { type: "identify", userId: "u1", traits: { unsubscribed: "perhaps" } },
      { ...TRACK, channel: "web" },
    ],
    config,
  );
  assert.equal(good?.status, 200);
  assert.equal(good.ok, true);
  assert.deepEqual(
    good.requests.map(({ method, url, endpointPath, positions }) => ({ method, url, endpointPath, positions })),
    [
      {
        method: "POST",
        url: "https://track.customer.io/api/v1/customers/u1/events",
        endpointPath: "v1/customers/events",
        positions: [0],
      },
    ],
  );
  assert.match(good.requests[0]?.headers.Authorization ?? "", /^Basic /);
  assert.match(Buffer.from(good.requests[0]?.body ?? []).toString(), /"name":"Order"/);
  assert.deepEqual([refused?.status, refused?.ok, refused?.requests], [400, false, []]);
  const { message, ...error } = refused?.error ?? {};
  assert.match(message ?? "", /userId/);
  assert.deepEqual(error, {
    code: "MISSING_IDENTITY",
    type: "instrumentation",
    retryable: false,
    retryAfterMs: undefined,
    blockedBy: undefined,
  });
  assert.deepEqual(repaired?.warnings.map(({ code }) => code), ["UNSUBSCRIBED_LEFT_OUT"]);
  assert.equal(filtered?.status, 298);
  assert.equal(filtered.filterReason, "DEVICE_MODE");
});

test("objects, strings, bytes and events as fields are the same event", { skip }, async () => {
  const text = JSON.stringify(TRACK);
  const typed = v1.RudderEvent.fromPartial({ type: "track", userId: "u1", event: "Order" });
  const results = await transformed([TRACK, text, Buffer.from(text), new TextEncoder().encode(text), typed]);
  const requests = results.map(({ requests: [request] }) => [request?.url, Buffer.from(request?.body ?? []).toString()]);
  assert.deepEqual(requests, Array(5).fill(requests[0]));
});

test("bytes and strings keep every digit", { skip }, async () => {
  const text = '{"type":"track","userId":"u1","event":"Paid","properties":{"total":59.70,"n":12345678901234567890}}';
  for (const { requests } of await transformed([text, Buffer.from(text)])) {
    assert.match(Buffer.from(requests[0]?.body ?? []).toString(), /"total":59.70,"n":12345678901234567890/);
  }
});

test("an unpaired surrogate is sent, and the sidecar repairs it with a warning", { skip }, async () => {
  const event = { ...TRACK, event: "Order \ud83d" };
  const text = '{"type":"track","userId":"u1","event":"Order \ud83d"}';
  for (const result of await transformed([event, text])) {
    assert.deepEqual(result.warnings.map(({ code }) => code), ["LONE_SURROGATE"]);
  }
});

test("a value that is no event is a TypeError of the call", async () => {
  using client = new Client("127.0.0.1:1");
  for (const event of [5, null, undefined, [TRACK], () => TRACK, { n: 5n }]) {
    await assert.rejects(client.transform([event as Event], CONFIG), TypeError, inspect(event));
  }
});

test("a destination is the same in every form, and shows no credentials when printed", { skip }, async () => {
  const text = JSON.stringify(CONFIG);
  await using sidecar = await Sidecar.start();
  using client = new Client(sidecar.address);
  const authorizations = new Set<string | undefined>();
  for (const form of [CONFIG, text, Buffer.from(text), new Destination(CONFIG, "shop:1")]) {
    const [result] = await client.transform([TRACK], form);
    authorizations.add(result?.requests[0]?.headers.Authorization);
    const printed = inspect(result, { depth: 9 }) + inspect(new Destination(CONFIG));
    assert.doesNotMatch(printed, /Basic|apiKey/);
  }
  assert.equal(authorizations.size, 1);
  await assert.rejects(client.transform([TRACK], 5 as unknown as string), TypeError);
});

test("a destination by ref alone needs a ref, and a forgotten config is not taken for one", () => {
  assert.equal(Destination.byRef("shop").config, undefined);
  assert.equal(Destination.byRef("shop").key, Destination.byRef("shop").key);
  assert.notEqual(Destination.byRef("shop").key, new Destination("by ref", "shop").key);
  for (const ref of ["", undefined, 5]) assert.throws(() => Destination.byRef(ref as string), TypeError);
  assert.throws(() => new Destination(undefined as unknown as string, "shop"), TypeError);
});

test("a check names the problems of a destination", { skip }, async () => {
  await using sidecar = await Sidecar.start();
  using client = new Client(sidecar.address);
  const answer = await client.check({ siteID: "site", connectionMode: { web: "sometimes" } });
  assert.equal(answer.usable, false);
  assert.deepEqual(
    answer.problems.map(({ key, fatal }) => [key, fatal]),
    [["apiKey", true], ["connectionMode", false]],
  );
});

test("capabilities have the name of the contract and the limits", { skip }, async () => {
  await using sidecar = await Sidecar.start();
  using client = new Client(sidecar.address);
  const { protocolVersion, limits } = await client.capabilities();
  assert.equal(protocolVersion, "ciosidecar.v1");
  assert.equal(limits?.maxMessageBytes, 67108864n);
});

test("a refused call has the status and the sidecar's message", { skip }, async () => {
  await using sidecar = await Sidecar.start("--max-batch-events", "3");
  using client = new Client(sidecar.address);
  await assert.rejects(client.transform([TRACK, TRACK, TRACK, TRACK], CONFIG), (failure) => {
    assert(failure instanceof CallFailed && failure instanceof SidecarError);
    assert.equal(failure.code, "INVALID_ARGUMENT");
    assert.match(failure.message, /3/);
    return true;
  });
});

test("without a sidecar a call is Unavailable", async () => {
  using client = new Client("127.0.0.1:1");
  await assert.rejects(client.capabilities(), Unavailable);
});

test("a call beyond its time limit fails with DEADLINE_EXCEEDED", async () => {
  await using silent = await ScriptedSidecar.start();
  using client = new Client(silent.address);
  const deadlineExceeded = { name: "CallFailed", code: "DEADLINE_EXCEEDED" };
  await assert.rejects(client.transform([TRACK], CONFIG, { timeoutMs: 100 }), deadlineExceeded);
});

test("an AbortSignal ends a call, before it and in the middle of it", async () => {
  await using silent = await ScriptedSidecar.start();
  using client = new Client(silent.address);
  const abort = new AbortController();
  const called = client.transform([TRACK], CONFIG, { signal: abort.signal });
  abort.abort("enough");
  await assert.rejects(called, (failure) => failure instanceof Aborted && failure.cause === "enough");
  await assert.rejects(client.transform([TRACK], CONFIG, { signal: AbortSignal.abort() }), Aborted);
});

test("closing the client ends its calls and streams, and later ones at once", async () => {
  const read = new EventTarget();
  await using silent = await ScriptedSidecar.start(async (server) => {
    await server.readOpen();
    read.dispatchEvent(new globalThis.Event("open"));
  });
  const client = new Client(silent.address);
  const opened = once(read, "open");
  const stream = client.stream(CONFIG);
  await stream.send(TRACK);
  await opened;
  const calls = [client.transform([TRACK], CONFIG), stream[Symbol.asyncIterator]().next()];
  client.close();
  for (const call of calls) await assert.rejects(call, Closed);
  await assert.rejects(client.transform([TRACK], CONFIG), Closed);
  assert.throws(() => client.stream(CONFIG), Closed);
});

test("all 64 bits of a batch id survive the stubs", () => {
  for (const batchId of [2n ** 63n - 1n, -(2n ** 63n)]) {
    const batch = v1.Batch.fromPartial({ batchId });
    assert.equal(v1.Batch.decode(v1.Batch.encode(batch).finish()).batchId, batchId);
  }
});

// Streams whose persons stay on one sidecar.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

import { status } from "@grpc/grpc-js";
import { CallFailed, Client, Unavailable } from "ciosidecar";
import * as v1 from "ciosidecar/v1";

import { ScriptedSidecar } from "./scripted.mjs";
import type { Script } from "./scripted.mjs";
import { CONFIG, Sidecar, skip } from "./sidecar.mjs";
import { all, answering } from "./streams.mjs";

interface Vectors {
  unreadable_base64: { event: string; slot: number }[];
  events: { about: string; event: string; ordering_key?: string; key?: string; slot: number }[];
  slots: { key: string; slot: number }[];
  orders: { addresses: string[]; slot: number; order: string[] }[];
}

/** The module of the package that is not exported. */
interface AffinityModule {
  personKey: (
    event: { payload: { $case: "json"; value: Uint8Array }; bytes: number },
    orderingKey?: string,
  ) => Uint8Array;
  slotOf: (key: Uint8Array) => number;
  addressOrder: (slot: number, addresses: readonly string[]) => number[];
}

const PACKAGE = process.env.CIOSIDECAR_NODE ?? "";

function tracks(count: number): string[] {
  return Array.from({ length: count }, (_, n) => `{"type":"track","userId":"user-${n % 40}","event":"E${n}"}`);
}

test("the vectors that all clients share", async () => {
  const { personKey, slotOf, addressOrder } = (await import(
    pathToFileURL(join(PACKAGE, "dist/affinity.js")).href
  )) as AffinityModule;
  const file = join(PACKAGE, "../../tests/vectors/affinity.json");
  const vectors = JSON.parse(readFileSync(file, "utf8")) as Vectors;
  const keyOf = (json: Buffer, orderingKey?: string) =>
    personKey({ payload: { $case: "json", value: json }, bytes: json.length }, orderingKey);
  for (const { about, event, ordering_key, key, slot } of vectors.events) {
    const found = keyOf(Buffer.from(event), ordering_key);
    assert.equal(Buffer.from(found).toString(), key ?? event, about);
    assert.equal(slotOf(found), slot, about);
  }
  for (const { event, slot } of vectors.unreadable_base64) {
    assert.equal(slotOf(keyOf(Buffer.from(event, "base64"))), slot);
  }
  for (const { key, slot } of vectors.slots) assert.equal(slotOf(Buffer.from(key)), slot, key);
  for (const { addresses, slot, order } of vectors.orders) {
    for (const listed of [addresses, addresses.toReversed()]) {
      assert.deepEqual(
        addressOrder(slot, listed).map((index) => listed[index]),
        order,
      );
    }
  }
});

test("each person is on one sidecar, whichever client sends", async () => {
  const heard = [new Set<string>(), new Set<string>(), new Set<string>()];
  const script = (persons: Set<string>): Script =>
    answering(({ items }) => {
      for (const { payload } of items) {
        if (payload?.$case !== "json") continue;
        persons.add((JSON.parse(Buffer.from(payload.value).toString()) as { userId: string }).userId);
      }
    });
  const sidecars = await Promise.all(heard.map((persons) => ScriptedSidecar.start(script(persons))));
  const addresses = sidecars.map(({ address }) => address);
  for (const listed of [addresses, addresses.toReversed()]) {
    using client = new Client(listed);
    await using stream = client.stream(CONFIG, { affinity: "person" });
    const answers = await all(stream.map(tracks(400)));
    assert.deepEqual(
      answers.map(({ attachment, result }) => [attachment, result.position]),
      tracks(400).map((event, position) => [event, position]),
    );
    assert.equal(stream.reconnects, 0);
  }
  for (const persons of heard) assert.ok(persons.size > 0);
  assert.equal(heard.reduce((sum, persons) => sum + persons.size, 0), 40);
  for (const sidecar of sidecars) await sidecar[Symbol.asyncDispose]();
});

test("a killed and a drained sidecar lose nothing", { skip }, async () => {
  await using first = await Sidecar.start();
  await using second = await Sidecar.start();
  await using third = await Sidecar.start();
  using client = new Client([first.address, second.address, third.address]);
  await using stream = client.stream(CONFIG, { affinity: "person", maxOutstandingEvents: 500 });
  const events = tracks(6000);
  let count = 0;
  for await (const { attachment, result } of stream.map(events)) {
    assert.equal(attachment, events[count]);
    assert.equal(result.status, 200);
    count += 1;
    if (count === 1500) await first.kill();
    if (count === 3000) second.drain();
  }
  assert.equal(count, events.length);
});

/** Return an event of a person whose events go to one of the addresses. */
async function trackAt(address: string, addresses: string[], name: string): Promise<string> {
  const { slotOf, addressOrder } = (await import(
    pathToFileURL(join(PACKAGE, "dist/affinity.js")).href
  )) as AffinityModule;
  for (let number = 0; ; number += 1) {
    const [first] = addressOrder(slotOf(Buffer.from(`user-${number}`)), addresses);
    if (addresses[first ?? 0] === address) return `{"type":"track","userId":"user-${number}","event":"${name}"}`;
  }
}

test("a returned sidecar gets a single event without another signal", async () => {
  let drain: () => void = () => undefined;
  const drained = new Promise<void>((resolve) => (drain = resolve));
  const heard: v1.Batch[] = [];
  await using first = await ScriptedSidecar.start(
    async (server) => {
      await server.accept();
      await drained;
      server.drain();
      assert.equal(await server.batch(), undefined);
    },
    answering((batch) => heard.push(batch)),
  );
  await using second = await ScriptedSidecar.start(answering(() => undefined));
  const addresses = [first.address, second.address];
  using client = new Client(addresses);
  await using stream = client.stream(CONFIG, { affinity: "person", lingerMs: 400 });
  const answers = stream[Symbol.asyncIterator]();
  await stream.send(await trackAt(second.address, addresses, "E"));
  await answers.next();
  const own = await trackAt(first.address, addresses, "E");
  await stream.send(own);
  drain();
  await answers.next();
  // The client connects again; the test's time limit bounds how long that takes.
  while (heard.length === 0) {
    await stream.send(own);
    await answers.next();
  }
  assert.equal(first.streams.length, 2);
});

test("an event that a draining sidecar returned stays before those that it still had", async () => {
  const heard: string[] = [];
  await using first = await ScriptedSidecar.start(
    async (server) => {
      await server.accept();
      const batch = await server.batch();
      server.drain();
      const error = { code: v1.ErrorCode.DRAINING, retryable: true };
      const results = v1.Results.fromPartial({
        batchId: batch?.batchId ?? 0n,
        statuses: [503],
        details: [{ position: 0, error }],
      });
      server.write({ $case: "results", value: results });
      server.fail(status.UNAVAILABLE);
    },
    async (server) => {
      await server.readOpen();
      server.fail(status.UNAVAILABLE);
    },
  );
  await using second = await ScriptedSidecar.start(
    answering(({ items }) => {
      for (const { payload } of items) {
        if (payload?.$case !== "json") continue;
        heard.push((JSON.parse(Buffer.from(payload.value).toString()) as { event: string }).event);
      }
    }),
  );
  const addresses = [first.address, second.address];
  using client = new Client(addresses);
  await using stream = client.stream(CONFIG, { affinity: "person" });
  const names = ["E0", "E1", "E2"];
  await stream.sendBatch(await Promise.all(names.map((name) => trackAt(first.address, addresses, name))));
  stream.finish();
  assert.deepEqual(
    (await all(stream)).map(({ result }) => result.status),
    [200, 200, 200],
  );
  assert.deepEqual(heard, names);
});

test("a refusal by one sidecar fails the stream", async () => {
  await using good = await ScriptedSidecar.start(answering(() => undefined));
  await using bad = await ScriptedSidecar.start(async (server) => {
    await server.readOpen();
    server.fail(status.PERMISSION_DENIED, "not you");
  });
  using client = new Client([good.address, bad.address]);
  await using stream = client.stream(CONFIG, { affinity: "person" });
  await assert.rejects(all(stream.map(tracks(100))), CallFailed);
});

test("a stream gives up only without any sidecar", async () => {
  let isOver = false;
  await using good = await ScriptedSidecar.start(async (server) => {
    await server.accept();
    for (let batch = await server.batch(); batch !== undefined; batch = await server.batch()) {
      if (isOver) server.fail(status.UNAVAILABLE);
      server.answer(batch);
    }
  });
  const gone = await ScriptedSidecar.start(answering(() => undefined));
  await gone[Symbol.asyncDispose]();
  using client = new Client([good.address, gone.address]);
  await using stream = client.stream(CONFIG, { affinity: "person", reconnectForMs: 200 });
  const answers = stream[Symbol.asyncIterator]();
  for (const endsMs = performance.now() + 1000; performance.now() < endsMs; ) {
    await stream.send(tracks(1)[0] ?? "");
    assert.equal((await answers.next()).done, false);
  }
  isOver = true;
  await stream.send(tracks(1)[0] ?? "");
  await assert.rejects(answers.next(), Unavailable);
});

test("affinity needs several addresses, and is none or person", () => {
  using client = new Client(["127.0.0.1:1", "127.0.0.1:1"]);
  assert.throws(() => client.stream(CONFIG, { affinity: "person" }), TypeError);
  assert.throws(() => client.stream(CONFIG, { affinity: "persons" as "person" }), RangeError);
});

test("streams that a new client opens at once are spread over all sidecars", async () => {
  const sidecars = await Promise.all([1, 2].map(() => ScriptedSidecar.start(answering(() => undefined))));
  using client = new Client(sidecars.map(({ address }) => address));
  const streams = Array.from({ length: 8 }, () => client.stream(CONFIG));
  await Promise.all(streams.map((stream) => all(stream.map(tracks(1)))));
  assert.deepEqual(
    sidecars.map((sidecar) => sidecar.streams.length),
    [4, 4],
  );
  for (const sidecar of sidecars) await sidecar[Symbol.asyncDispose]();
});

// Faults inside a stream: no caller waits forever, and the good events keep their answers.

import assert from "node:assert/strict";
import { test } from "node:test";

import { InterceptingCall } from "@grpc/grpc-js";
import { CallFailed, Client, SidecarError, v1 } from "ciosidecar";
import type { Answer, Event } from "ciosidecar";

import { ScriptedSidecar } from "./scripted.mjs";
import { CONFIG, Sidecar, skip } from "./sidecar.mjs";
import { TRACK, all, answering, streamed } from "./streams.mjs";

/** Return a track event as fields whose properties have so many levels. */
function nested(levels: number, kind: "struct" | "list"): v1.RudderEvent {
  let value: unknown = 1;
  for (let level = 1; level < levels; level += 1) value = kind === "struct" ? { a: value } : [value];
  const properties = { form: { $case: "fields" as const, value: { a: value } } };
  const event = v1.RudderEvent.fromPartial({ type: "track", userId: "u1", event: "Deep" });
  return { ...event, properties: { ...v1.JsonObject.create(), ...properties } };
}

test("an event nested more deeply than the sidecar reads is refused by send", { skip }, async () => {
  await using sidecar = await Sidecar.start();
  using client = new Client(sidecar.address);
  for (const [kind, deepest] of [["struct", 32], ["list", 47]] as const) {
    await using stream = client.stream(CONFIG);
    await stream.send(nested(deepest, kind));
    for (const levels of [deepest + 1, 60, 3000]) {
      const deep = nested(levels, kind);
      await assert.rejects(stream.send(deep), /nested too deeply/);
      await assert.rejects(stream.sendBatch([TRACK, deep]), /nested too deeply/);
      await assert.rejects(client.transform([TRACK, deep], CONFIG), /nested too deeply/);
    }
    await stream.send(TRACK);
    stream.finish();
    assert.deepEqual((await all(stream)).map(({ result }) => result.status), [200, 200]);
  }
});

test("changes of an event after send have no effect", { skip }, async () => {
  await using sidecar = await Sidecar.start();
  using client = new Client(sidecar.address);
  await using stream = client.stream(CONFIG, { lingerMs: 300 });
  const event = v1.RudderEvent.fromPartial({ type: "track", userId: "u1", event: "Before" });
  await stream.send(event);
  event.event = 5 as unknown as string;
  stream.finish();
  const [answer] = await all(stream);
  assert.match(Buffer.from(answer?.result.requests[0]?.body ?? []).toString(), /"Before"/);
});

test("an event larger than any message is refused by send", async () => {
  const sending = streamed("127.0.0.1:1", [" ".repeat(64 << 20)]);
  await assert.rejects(sending, /an event has 67108864 bytes; the limit is 67043328/);
});

test("an error while sending ends the stream, after the answers to the events before", async () => {
  let failed = (): void => undefined;
  const failing = new Promise<void>((resolve) => (failed = resolve));
  const batches: string[] = [];
  await using sidecar = await ScriptedSidecar.start(
    async (server) => {
      await server.accept();
      const batch = await server.batch();
      assert(batch !== undefined);
      await failing;
      await server.batch();
    },
    answering(({ items }) => batches.push(...items.map(({ payload }) => String(payload?.$case)))),
  );
  // The caller's interceptors may throw.
  using client = new Client(sidecar.address, {
    grpc: {
      interceptors: [
        (options, next) =>
          new InterceptingCall(next(options), {
            sendMessage: (message: v1.TransformStreamRequest, send) => {
              const items = message.message?.$case === "batch" ? message.message.value.items : [];
              if (items.some(({ payload }) => payload?.$case === "json" && String.fromCharCode(...payload.value) === "bad")) {
                failed();
                throw new Error("scripted");
              }
              send(message);
            },
          }),
      ],
    },
  });
  await using stream = client.stream<string>(CONFIG, { maxBatchEvents: 1 });
  await stream.send("good", "good");
  await stream.send("bad", "bad");
  const answers: string[] = [];
  await assert.rejects(async () => {
    for await (const { attachment } of stream) answers.push(attachment);
  }, /internal error in the client: scripted/);
  assert.deepEqual(answers, ["good"]);
  await assert.rejects(stream.send("more"), SidecarError);
  assert.equal(sidecar.streams.length, 2);
  assert.deepEqual(batches, ["json"]);
});

test("an answer that breaks the contract ends the stream", async () => {
  await using sidecar = await ScriptedSidecar.start(async (server) => {
    await server.accept();
    const batch = await server.batch();
    assert(batch !== undefined);
    server.answer(batch, { positions: [0] });
    await server.answerEverything();
  });
  const answers: Promise<Answer<Event>[]> = streamed(sidecar.address, [TRACK, TRACK], { lingerMs: 200 });
  await assert.rejects(answers, (failure) => {
    assert(failure instanceof CallFailed);
    assert.deepEqual([failure.code, failure.details.includes("broke the contract")], ["UNKNOWN", true]);
    return true;
  });
  assert.equal(sidecar.streams.length, 1);
});

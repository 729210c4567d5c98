// What goes wrong inside a stream: nobody waits for ever, and nothing good is lost with the bad.

import assert from "node:assert/strict";
import { test } from "node:test";

import { InterceptingCall } from "@grpc/grpc-js";
import { CallFailed, Client, SidecarError, v1 } from "ciosidecar";
import type { Answer, Event } from "ciosidecar";

import { ScriptedSidecar } from "./scripted.mjs";
import { CONFIG, Sidecar, skip } from "./sidecar.mjs";
import { TRACK, all, answering, streamed } from "./streams.mjs";

/** A track whose properties are nested so deeply, field by field. */
function nested(levels: number, kind: "struct" | "list"): v1.Message {
  let value: unknown = 1;
  for (let level = 1; level < levels; level += 1) value = kind === "struct" ? { a: value } : [value];
  const properties = { form: { $case: "fields" as const, value: { a: value } } };
  return { ...v1.Message.fromPartial({ type: "track", userId: "u1", event: "Deep" }), properties: { ...v1.Json.create(), ...properties } };
}

test("an event nested more deeply than the sidecar reads is refused where it is sent", { skip }, async () => {
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

test("an event is what it was when it was sent", { skip }, async () => {
  await using sidecar = await Sidecar.start();
  using client = new Client(sidecar.address);
  await using stream = client.stream(CONFIG, { lingerMs: 300 });
  const event = v1.Message.fromPartial({ type: "track", userId: "u1", event: "Before" });
  await stream.send(event);
  event.event = 5 as unknown as string;
  stream.finish();
  const [answer] = await all(stream);
  assert.match(Buffer.from(answer?.result.requests[0]?.body ?? []).toString(), /"Before"/);
});

test("an event larger than any message is refused where it is sent", async () => {
  await assert.rejects(streamed("127.0.0.1:1", [" ".repeat(64 << 20)]), /at most travel/);
});

test("a sender that fails ends the stream with its error, once what was sent before is answered", async () => {
  let failed = (): void => undefined;
  const failing = new Promise<void>((resolve) => (failed = resolve));
  const batches: string[] = [];
  await using sidecar = await ScriptedSidecar.start(
    async (connection) => {
      await connection.open();
      const batch = await connection.batch();
      assert(batch !== undefined);
      await failing;
      await connection.batch();
    },
    answering(({ items }) => batches.push(...items.map(({ payload }) => String(payload?.$case)))),
  );
  // An interceptor of the caller's may throw.
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
    for await (const { item } of stream) answers.push(item);
  }, /internal error in the client: scripted/);
  assert.deepEqual(answers, ["good"]);
  await assert.rejects(stream.send("more"), SidecarError);
  assert.equal(sidecar.connections.length, 2);
  assert.deepEqual(batches, ["json"]);
});

test("an answer that makes no sense ends the stream", async () => {
  await using sidecar = await ScriptedSidecar.start(async (connection) => {
    await connection.open();
    const batch = await connection.batch();
    assert(batch !== undefined);
    connection.answer(batch, { positions: [0] });
    await connection.answerEverything();
  });
  const answers: Promise<Answer<Event>[]> = streamed(sidecar.address, [TRACK, TRACK], { lingerMs: 200 });
  await assert.rejects(answers, (failure) => {
    assert(failure instanceof CallFailed);
    assert.deepEqual([failure.code, failure.details.includes('broke the contract')], ["UNKNOWN", true]);
    return true;
  });
  assert.equal(sidecar.connections.length, 1);
});

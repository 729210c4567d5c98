// The driver of the contract suite: its output for scenarios.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";

import { v1 } from "ciosidecar";

import { ScriptedSidecar } from "./scripted.mjs";
import { CONFIG, Sidecar, skip } from "./sidecar.mjs";

const DRIVER = join(process.env.CIOSIDECAR_NODE ?? "", "polyglot", "driver.mjs");
const GOOD = '{"type":"track","userId":"u1","event":"E"}';

interface Line {
  position?: number;
  status?: number;
  requests?: { url: string; positions: number[] }[];
  error?: { code: string; type: string };
  response?: string;
  end?: string;
  reconnects?: number;
  events_read?: number;
  refused?: number[];
}

/** Run the driver with a scenario and further lines of input; return the lines it prints, and the last one. */
async function play(scenario: object, lines: string[]): Promise<{ printed: Line[]; outcome: Line | undefined }> {
  const driver = spawn(process.execPath, [DRIVER], { stdio: ["pipe", "pipe", "inherit"] });
  const exited = new Promise((resolve) => driver.once("exit", resolve));
  // The driver may end before it has read all input.
  driver.stdin.on("error", () => undefined);
  driver.stdin.end([JSON.stringify({ configs: [JSON.stringify(CONFIG)], ...scenario }), ...lines].join("\n") + "\n");
  const printed = (await text(driver.stdout)).trimEnd().split("\n").map((line) => JSON.parse(line) as Line);
  assert.equal(await exited, 0);
  return { outcome: printed.pop(), printed };
}

for (const call of ["transform", "stream"]) {
  test(`${call}: one line for each event, in order, then the outcome`, { skip }, async () => {
    await using sidecar = await Sidecar.start();
    const group = '0\t{"type":"group","userId":"u1","groupId":"g"}';
    const lines = [`0\t${GOOD}`, "0\tno json", group, group];
    const { printed, outcome } = await play({ call, addresses: [sidecar.address] }, lines);
    assert.deepEqual(printed.map(({ position, status, error }) => [position, status, error?.code, error?.type]), [
      [0, 200, undefined, undefined],
      [1, 400, "INVALID_JSON", "instrumentation"],
      [2, 200, undefined, undefined],
      [3, 200, undefined, undefined],
    ]);
    const covered = printed.map(({ requests }) => requests?.map(({ positions }) => positions));
    assert.deepEqual(covered, [[[0]], [], [], [[2, 3]]]);
    assert.deepEqual(outcome, { end: "OK", message: "", reconnects: 0, events_read: 4, refused: [] });
  });
}

test("raw: messages unchanged in both directions, then the status", { skip }, async () => {
  await using sidecar = await Sidecar.start();
  const line = (message: NonNullable<v1.TransformStreamRequest["message"]>): string => {
    const request = { ...v1.TransformStreamRequest.create(), message };
    return Buffer.from(v1.TransformStreamRequest.encode(request).finish()).toString("base64");
  };
  const open = line({ $case: "open", value: v1.OpenStream.create() });
  const batch = line({ $case: "batch", value: v1.Batch.fromPartial({ batchId: 2n ** 63n - 1n }) });
  const addresses = [sidecar.address];
  const good = await play({ call: "raw", addresses }, [open, batch]);
  const answers = good.printed.map(
    ({ response }) => v1.TransformStreamResponse.decode(Buffer.from(response ?? "", "base64")).message,
  );
  assert.equal(answers[0]?.$case, "opened");
  assert.equal(answers[1]?.$case === "results" && answers[1].value.batchId, 9223372036854775807n);
  assert.equal(good.outcome?.end, "OK");
  const bad = await play({ call: "raw", addresses }, [batch]);
  assert.equal(bad.outcome?.end, "INVALID_ARGUMENT");
});

test("cancel_after cancels the call after so many answers", { skip }, async () => {
  await using sidecar = await Sidecar.start();
  const scenario = { call: "stream", addresses: [sidecar.address], cancel_after: 3 };
  const { printed, outcome } = await play(scenario, Array(20_000).fill(`0\t${GOOD}`) as string[]);
  assert.equal(outcome?.end, "CANCELLED");
  assert.equal(printed.length, 3);
});

test("deadline_ms is the time limit of the call", async () => {
  await using silent = await ScriptedSidecar.start(async (server) => {
    await server.accept();
    while ((await server.batch()) !== undefined);
  });
  for (const call of ["transform", "stream"]) {
    const { outcome } = await play({ call, addresses: [silent.address], deadline_ms: 200 }, [`0\t${GOOD}`]);
    assert.equal(outcome?.end, "DEADLINE_EXCEEDED");
  }
});

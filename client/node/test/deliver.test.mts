// The unary Deliver: one batch in, its results out.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";

import { status } from "@grpc/grpc-js";
import type { ServiceError } from "@grpc/grpc-js";
import { Aborted, BatchEntry, CallFailed, Client, Unavailable, v1 } from "ciosidecar";

import { ScriptedSidecar } from "./scripted.mjs";
import { CONFIG, Sidecar, skip } from "./sidecar.mjs";

const TRACK = { type: "track", userId: "u1", event: "Order" };

/** A Customer.io that accepts every request, except those about the person "refused". */
class CustomerIo implements AsyncDisposable {
  readonly paths: string[] = [];
  readonly #server = createServer((request, response) => {
    this.paths.push(request.url ?? "");
    request.resume();
    response.statusCode = request.url?.includes("/refused") === true ? 400 : 200;
    response.end("{}");
  });

  static async start(): Promise<CustomerIo> {
    const customerIo = new CustomerIo();
    await new Promise<void>((resolve) => customerIo.#server.listen(0, "127.0.0.1", resolve));
    return customerIo;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Return the error of a gRPC status, as a server gives it to grpc-js. */
function serviceError(code: status): ServiceError {
  return Object.assign(new Error("scripted"), { code, details: "scripted" }) as ServiceError;
}

test("deliver sends the requests, and each event has one result", { skip }, async () => {
  await using customerIo = await CustomerIo.start();
  await using sidecar = await Sidecar.start("--customerio-url", customerIo.url);
  using client = new Client(sidecar.address);
  const events = [TRACK, "no JSON", { ...TRACK, userId: "refused" }];
  const results = await client.deliver(events, CONFIG);
  assert.deepEqual(
    results.map(({ position, status, ok, delivery }) => [position, status, ok, delivery?.httpStatus]),
    [
      [0, 200, true, 200],
      [1, 400, false, undefined],
      [2, 400, false, 400],
    ],
  );
  assert.deepEqual(results.map(({ error }) => error?.code), [undefined, "INVALID_JSON", "REFUSED"]);
  assert.deepEqual(results.map(({ requests }) => requests.length), [0, 0, 0]);
  assert.deepEqual(customerIo.paths.toSorted(), [
    "/api/v1/customers/refused/events",
    "/api/v1/customers/u1/events",
  ]);
});

test("deliver sends the requests of an earlier transform without a destination", { skip }, async () => {
  await using customerIo = await CustomerIo.start();
  await using sidecar = await Sidecar.start("--customerio-url", customerIo.url);
  using client = new Client(sidecar.address);
  const [transformed] = await client.transform([TRACK], CONFIG);
  const [delivered] = await client.deliver(transformed?.requests ?? []);
  assert.deepEqual([delivered?.status, customerIo.paths], [200, ["/api/v1/customers/u1/events"]]);
});

test("deliver sends the batch with the options of the delivery", async () => {
  await using sidecar = await ScriptedSidecar.start();
  const requests: v1.DeliverRequest[] = [];
  sidecar.onDeliver = (request) => {
    requests.push(request);
    const statuses = request.batch?.items.map(() => 200);
    const report = { attempts: 2, httpStatus: 200, latency: { nanos: 5_000_000 } };
    const details = [{ position: 1, delivery: report, tag: Uint8Array.of(7) }];
    return v1.DeliverResponse.fromPartial({ results: { statuses, details, batchComplete: true } });
  };
  using client = new Client(sidecar.address);
  const other = { siteID: "other", apiKey: "key" };
  const rows = { object: "person" };
  const entries = [
    TRACK,
    new BatchEntry(TRACK, undefined, { destination: other, attempt: 2, orderingKey: "a" }),
    new BatchEntry({ type: "record" }, undefined, { connection: rows }),
  ];
  await client.deliver(entries, CONFIG);
  const results = await client.deliver(entries, CONFIG, {
    delivery: { detailLevel: "notable", includeRequests: true, timeoutMs: 1500 },
  });
  assert.deepEqual(results.map(({ status }) => status), [200, 200, 200]);
  assert.deepEqual(results[1]?.delivery, {
    ...{ attempts: 2, httpStatus: 200, reason: "", field: "" },
    ...{ latencyMs: 5, failedItems: [] },
  });
  const [byDefault, withOptions] = requests;
  assert.deepEqual(
    [byDefault?.delivery?.detailLevel, byDefault?.delivery?.includeRequests, byDefault?.delivery?.defaultTimeout],
    [v1.DetailLevel.ALL, false, undefined],
  );
  assert.deepEqual([withOptions?.delivery?.detailLevel, withOptions?.delivery?.includeRequests], [
    v1.DetailLevel.NOTABLE,
    true,
  ]);
  const timeout = withOptions?.delivery?.defaultTimeout;
  assert.deepEqual([timeout?.seconds, timeout?.nanos], [1n, 500_000_000]);
  const { destinations = [], connections = [], batch } = withOptions ?? {};
  const configs = [...destinations, ...connections].map(({ referenceId, settings }) => [
    referenceId,
    settings?.$case === "configJson" && Buffer.from(settings.value).toString(),
  ]);
  assert.deepEqual(configs, [
    [1, JSON.stringify(CONFIG)],
    [2, JSON.stringify(other)],
    [1, JSON.stringify(rows)],
  ]);
  assert.equal(batch?.destination, 1);
  assert.deepEqual(
    batch.items.map(({ destination, connection, attempt, orderingKey }) => [
      ...[destination, connection],
      ...[attempt, orderingKey],
    ]),
    [
      [0, 0, 0, ""],
      [2, 0, 2, "a"],
      [0, 1, 0, ""],
    ],
  );
});

test("deliver is attempted once, because another attempt could deliver twice", async () => {
  await using sidecar = await ScriptedSidecar.start();
  using client = new Client(sidecar.address);
  sidecar.onDeliver = () => serviceError(status.UNAVAILABLE);
  await assert.rejects(client.deliver([TRACK], CONFIG), Unavailable);
  assert.equal(sidecar.calls, 1);
});

test("deliver rejects with the status of a refused call, its time limit, or the caller's abort", async () => {
  await using sidecar = await ScriptedSidecar.start();
  using client = new Client(sidecar.address);
  const rejection = { name: "CallFailed", code: "DEADLINE_EXCEEDED" };
  await assert.rejects(client.deliver([TRACK], CONFIG, { timeoutMs: 100 }), rejection);
  await assert.rejects(client.deliver([TRACK], CONFIG, { signal: AbortSignal.abort() }), Aborted);
  sidecar.onDeliver = () => serviceError(status.UNIMPLEMENTED);
  await assert.rejects(client.deliver([TRACK], CONFIG), (failure) => {
    return failure instanceof CallFailed && failure.code === "UNIMPLEMENTED";
  });
});

test("deliver refuses events and options that cannot be sent", async () => {
  using client = new Client("127.0.0.1:1");
  await assert.rejects(client.deliver([TRACK]), /name a destination/);
  await assert.rejects(client.deliver([5 as unknown as string], CONFIG), TypeError);
  await assert.rejects(client.deliver([TRACK], CONFIG, { delivery: { timeoutMs: 0 } }), RangeError);
});

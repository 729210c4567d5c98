// A sidecar that does what a test tells it to, over a real socket.

import { Server, ServerCredentials } from "@grpc/grpc-js";
import type { ServerDuplexStream, ServerWritableStream, ServiceDefinition, status } from "@grpc/grpc-js";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import * as v1 from "ciosidecar/v1";

export type Script = (connection: Connection) => Promise<void>;

class Ended extends Error {}

/** One stream, from the server's side. */
export class Connection {
  opening: v1.Open | undefined;
  /** Configs of destinations and connections, by number. */
  readonly declared = new Map<number, string>();
  readonly declaredConnections = new Map<number, string>();
  readonly #call: ServerDuplexStream<v1.TransformStreamRequest, v1.TransformStreamResponse>;
  readonly #requests: AsyncIterator<v1.TransformStreamRequest>;

  constructor(call: ServerDuplexStream<v1.TransformStreamRequest, v1.TransformStreamResponse>) {
    this.#call = call;
    this.#requests = call[Symbol.asyncIterator]() as AsyncIterator<v1.TransformStreamRequest>;
  }

  /** Takes Open and answers it. */
  async open(limits: Partial<v1.Limits> = {}): Promise<void> {
    await this.hear();
    const found = v1.Limits.fromPartial({ maxBatchEvents: 10_000, maxDestinations: 1000, ...limits });
    this.write({ $case: "opened", value: v1.Opened.fromPartial({ limits: found }) });
  }

  /** Takes Open and says nothing. */
  async hear(): Promise<void> {
    const message = await this.#next();
    if (message?.$case === "open") this.opening = message.value;
  }

  /** The next batch, or undefined once the caller has finished. */
  async batch(): Promise<v1.Batch | undefined> {
    for (;;) {
      const message = await this.#next();
      if (message?.$case === "batch") return message.value;
      if (message?.$case !== "upsertDestinations") return undefined;
      const { destinations, connections } = message.value;
      for (const { number, settings } of destinations) this.declared.set(number, configOf(settings));
      for (const { number, settings } of connections) this.declaredConnections.set(number, configOf(settings));
    }
  }

  /** Answers some positions of a batch, or all, with 200. */
  answer(batch: v1.Batch, found: { positions?: number[]; complete?: boolean; details?: v1.Detail[] } = {}): void {
    const positions = found.positions ?? batch.items.map((_, position) => position);
    const results = v1.Results.fromPartial({
      batchId: batch.batchId,
      positions,
      statuses: positions.map(() => 200),
      details: found.details ?? [],
      batchComplete: found.complete ?? true,
    });
    this.write({ $case: "results", value: results });
  }

  /** Answers every batch until the caller has finished. */
  async answerEverything(): Promise<void> {
    for (let batch = await this.batch(); batch !== undefined; batch = await this.batch()) this.answer(batch);
  }

  /** Says that the server is going away. */
  drain(): void {
    this.write({ $case: "drain", value: v1.Drain.create() });
  }

  /** Ends the stream with a status, after what was answered. */
  fail(code: status, details = "scripted"): never {
    this.#call.emit("error", { code, details });
    throw new Ended();
  }

  write(message: NonNullable<v1.TransformStreamResponse["message"]>): void {
    this.#call.write({ ...v1.TransformStreamResponse.create(), message });
  }

  async #next(): Promise<v1.TransformStreamRequest["message"]> {
    const next = await this.#requests.next();
    return next.done === true ? undefined : next.value.message;
  }
}

function configOf(settings: v1.Destination["settings"] | v1.Connection["settings"]): string {
  return settings?.$case === "configJson" ? Buffer.from(settings.value).toString() : "";
}

/** What a watcher of the health is told. */
type Health = "SERVING" | "NOT_SERVING";

/** Plays one script for each stream, in turn; the last one again for all that follow. */
export class ScriptedSidecar implements AsyncDisposable {
  readonly connections: Connection[] = [];
  calls = 0;
  address = "";
  /** Called for each unary Transform; never answers without it. */
  onTransform: (() => v1.TransformResponse) | undefined;
  readonly #server = new Server();
  readonly #watchers = new Set<ServerWritableStream<Buffer, Buffer>>();
  #health: Health = "SERVING";

  static async start(...scripts: Script[]): Promise<ScriptedSidecar> {
    const sidecar = new ScriptedSidecar();
    sidecar.#addServices(scripts);
    const port = await new Promise<number>((resolve, reject) => {
      sidecar.#server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (failure, bound) => {
        if (failure === null) resolve(bound);
        else reject(failure);
      });
    });
    sidecar.address = `127.0.0.1:${port}`;
    return sidecar;
  }

  set health(health: Health) {
    this.#health = health;
    for (const watcher of this.#watchers) watcher.write(healthMessage(health));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown();
    await Promise.resolve();
  }

  #addServices(scripts: Script[]): void {
    this.#server.addService(v1.SidecarServiceService, {
      transform: (_call: unknown, done: (failure: null, reply: v1.TransformResponse) => void) => {
        this.calls += 1;
        if (this.onTransform !== undefined) done(null, this.onTransform());
      },
      transformStream: (call: ServerDuplexStream<v1.TransformStreamRequest, v1.TransformStreamResponse>) => {
        const script = scripts[Math.min(this.connections.length, scripts.length - 1)];
        const connection = new Connection(call);
        this.connections.push(connection);
        // A call that the client cancelled fails where the script reads: that is its end.
        script?.(connection).then(
          () => { call.end(); },
          () => undefined,
        );
      },
    });
    this.#server.addService(HEALTH, {
      watch: (call: ServerWritableStream<Buffer, Buffer>) => {
        this.#watchers.add(call);
        call.on("cancelled", () => this.#watchers.delete(call));
        call.write(healthMessage(this.#health));
      },
    });
  }
}

const HEALTH: ServiceDefinition = {
  watch: {
    path: "/grpc.health.v1.Health/Watch",
    requestStream: false,
    responseStream: true,
    requestSerialize: (message: Buffer) => message,
    requestDeserialize: (message: Buffer) => message,
    responseSerialize: (message: Buffer) => message,
    responseDeserialize: (message: Buffer) => message,
  },
};

function healthMessage(health: Health): Buffer {
  const status = health === "SERVING" ? 1 : 2;
  return Buffer.from(new BinaryWriter().uint32(8).int32(status).finish());
}

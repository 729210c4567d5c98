// A sidecar that plays the script of a test, over a real socket.

import { Server, ServerCredentials, status } from "@grpc/grpc-js";
import type {
  Metadata,
  sendUnaryData,
  ServerDuplexStream,
  ServerWritableStream,
  ServiceDefinition,
  ServiceError,
} from "@grpc/grpc-js";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import * as v1 from "ciosidecar/v1";

/** What the sidecar does on one stream. */
export type Script = (stream: ServerStream) => Promise<void>;

class Ended extends Error {}

/** One stream, from the server's side. */
export class ServerStream {
  open: v1.OpenStream | undefined;
  /** The configs of the declared destinations and connections, by reference id. */
  readonly declaredDestinations = new Map<number, string>();
  readonly declaredConnections = new Map<number, string>();
  readonly #call: ServerDuplexStream<v1.TransformStreamRequest, v1.TransformStreamResponse>;
  readonly #requests: AsyncIterator<v1.TransformStreamRequest>;

  constructor(call: ServerDuplexStream<v1.TransformStreamRequest, v1.TransformStreamResponse>) {
    this.#call = call;
    this.#requests = call[Symbol.asyncIterator]() as AsyncIterator<v1.TransformStreamRequest>;
  }

  /** Read OpenStream and answer it. */
  async accept(limits: Partial<v1.Limits> = {}): Promise<void> {
    await this.readOpen();
    const opened = v1.StreamOpened.fromPartial({
      limits: { maxBatchEvents: 10_000, maxDestinations: 1000, ...limits },
    });
    this.write({ $case: "opened", value: opened });
  }

  /** Read OpenStream without an answer. */
  async readOpen(): Promise<void> {
    const message = await this.#next();
    if (message?.$case === "open") this.open = message.value;
  }

  /** Return the next batch, or undefined once the caller has finished. */
  async batch(): Promise<v1.Batch | undefined> {
    for (;;) {
      const message = await this.#next();
      if (message?.$case === "batch") return message.value;
      if (message?.$case !== "upsertDestinations") return undefined;
      const { destinations, connections } = message.value;
      for (const { referenceId, settings } of destinations) {
        this.declaredDestinations.set(referenceId, configOf(settings));
      }
      for (const { referenceId, settings } of connections) {
        this.declaredConnections.set(referenceId, configOf(settings));
      }
    }
  }

  /** Answer some positions of a batch, or all, with status 200. */
  answer(batch: v1.Batch, answer: { positions?: number[]; complete?: boolean; details?: v1.EventDetail[] } = {}): void {
    const positions = answer.positions ?? batch.items.map((_, position) => position);
    const results = v1.Results.fromPartial({
      batchId: batch.batchId,
      positions,
      statuses: positions.map(() => 200),
      details: answer.details ?? [],
      batchComplete: answer.complete ?? true,
    });
    this.write({ $case: "results", value: results });
  }

  /** Answer every batch until the caller has finished. */
  async answerEverything(): Promise<void> {
    for (let batch = await this.batch(); batch !== undefined; batch = await this.batch()) this.answer(batch);
  }

  /** Announce that the server is shutting down. */
  drain(): void {
    this.write({ $case: "drain", value: v1.Drain.create() });
  }

  /** End the stream with a status, after the answers so far. */
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

function configOf(settings: v1.Destination["settings"] | v1.SourceConnection["settings"]): string {
  return settings?.$case === "configJson" ? Buffer.from(settings.value).toString() : "";
}

/** The health that watchers get. */
type Health = "SERVING" | "NOT_SERVING";

/** Plays one script for each stream, in turn, and the last script for all further streams. */
export class ScriptedSidecar implements AsyncDisposable {
  readonly streams: ServerStream[] = [];
  /** The number of unary calls. */
  calls = 0;
  address = "";
  /** Answers Transform. Without it, the call gets no answer. */
  onTransform: (() => v1.TransformResponse | Promise<v1.TransformResponse>) | undefined;
  /** Answers Deliver. Without it, the call gets no answer. */
  onDeliver: ((request: v1.DeliverRequest) => v1.DeliverResponse | ServiceError) | undefined;
  /** The bearer tokens that calls must have. Undefined: none is required. */
  acceptedTokens: string[] | undefined;
  /** The authorization of each call, in order. */
  readonly authorizations: string[] = [];
  readonly #server = new Server();
  readonly #watchers = new Set<ServerWritableStream<Buffer, Buffer>>();
  #health: Health = "SERVING";

  static start(...scripts: Script[]): Promise<ScriptedSidecar> {
    return ScriptedSidecar.startAt("127.0.0.1:0", ...scripts);
  }

  static async startAt(listen: string, ...scripts: Script[]): Promise<ScriptedSidecar> {
    const sidecar = new ScriptedSidecar();
    sidecar.#addServices(scripts);
    const port = await new Promise<number>((resolve, reject) => {
      sidecar.#server.bindAsync(listen, ServerCredentials.createInsecure(), (failure, bound) => {
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

  /** Send a GOAWAY on each connection. Calls under way go on. */
  goAway(): void {
    this.#server.drain(this.address, 60_000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown();
    await Promise.resolve();
  }

  #accepts(metadata: Metadata): boolean {
    const authorization = metadata.get("authorization").join();
    this.authorizations.push(authorization);
    return this.acceptedTokens?.includes(authorization.replace(/^Bearer /u, "")) ?? true;
  }

  #addServices(scripts: Script[]): void {
    this.#server.addService(v1.SidecarServiceService, {
      transform: ({ metadata }: { metadata: Metadata }, done: sendUnaryData<v1.TransformResponse>) => {
        this.calls += 1;
        if (!this.#accepts(metadata)) done(UNAUTHENTICATED);
        else if (this.onTransform !== undefined) {
          void Promise.resolve(this.onTransform()).then((response) => {
            done(null, response);
          });
        }
      },
      deliver: ({ request }: { request: v1.DeliverRequest }, done: sendUnaryData<v1.DeliverResponse>) => {
        this.calls += 1;
        const response = this.onDeliver?.(request);
        if (response === undefined) return;
        if (response instanceof Error) done(response);
        else done(null, response);
      },
      transformStream: (call: ServerDuplexStream<v1.TransformStreamRequest, v1.TransformStreamResponse>) => {
        const script = scripts[Math.min(this.streams.length, scripts.length - 1)];
        const stream = new ServerStream(call);
        this.streams.push(stream);
        if (!this.#accepts(call.metadata)) {
          call.emit("error", UNAUTHENTICATED);
          return;
        }
        // If the client cancelled the call, the script ends with an error where it reads.
        script?.(stream).then(
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

const UNAUTHENTICATED = { code: status.UNAUTHENTICATED, details: "no valid token" };

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

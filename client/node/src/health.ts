// Whether a sidecar wants calls: gRPC's own health protocol, grpc.health.v1.Health/Watch.
//
// grpc-js balances, but does not follow health: a client of several sidecars does that itself.

import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import { Metadata, status as Code } from "@grpc/grpc-js";
import type { Client, ClientReadableStream } from "@grpc/grpc-js";

import { Backoff } from "./patience.js";

const SERVICE = "ciosidecar.v1.SidecarService";
const SERVING = 1;
// A host that says nothing at all is not waited for longer than this.
const FIRST_ANSWER_MS = 5_000;

/** What is known of a sidecar: nothing yet, that it takes calls, or that it does not. */
export type Health = "unknown" | "serving" | "down";

/** Follows the health of one sidecar until it is stopped. */
export class HealthWatch {
  health: Health = "unknown";
  readonly #backoff = new Backoff();
  #call: ClientReadableStream<number> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(
    private readonly client: Client,
    private readonly onChange: () => void,
  ) {
    this.#watch();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#call?.cancel();
  }

  #watch(): void {
    const call = this.client.makeServerStreamRequest(
      "/grpc.health.v1.Health/Watch",
      (service: string) => Buffer.from(new BinaryWriter().uint32(10).string(service).finish()),
      readStatus,
      SERVICE,
      new Metadata(),
      {},
    );
    this.#call = call;
    const impatience = setTimeout(() => {
      call.cancel();
    }, FIRST_ANSWER_MS);
    call.on("data", (status: number) => {
      clearTimeout(impatience);
      this.#backoff.reset();
      this.#set(status === SERVING ? "serving" : "down");
    });
    // What it says is in the status, which always comes.
    call.on("error", () => undefined);
    call.on("status", ({ code }) => {
      clearTimeout(impatience);
      if (this.#stopped) return;
      // A server without a health service is as healthy as its connection.
      this.#set(code === Code.UNIMPLEMENTED ? "serving" : "down");
      if (code !== Code.UNIMPLEMENTED) {
        this.#timer = setTimeout(() => {
          this.#watch();
        }, this.#backoff.pauseMs());
      }
    });
  }

  #set(health: Health): void {
    if (health === this.health) return;
    this.health = health;
    this.onChange();
  }
}

function readStatus(message: Buffer): number {
  const reader = new BinaryReader(message);
  let status = 0;
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1) status = reader.int32();
    else reader.skip(wireType);
  }
  return status;
}

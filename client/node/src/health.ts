// The health of a sidecar, by gRPC's own health protocol: grpc.health.v1.Health/Watch.
//
// grpc-js 1.14 balances calls but ignores health. A client of several sidecars therefore watches it.

import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import { Metadata, status as Code } from "@grpc/grpc-js";
import type { Client, ClientReadableStream } from "@grpc/grpc-js";

import { Backoff } from "./reconnect-backoff.js";

const SERVICE = "ciosidecar.v1.SidecarService";
const SERVING = 1;
// The time limit for the first answer of a host.
const FIRST_ANSWER_MS = 5_000;

/** Whether a sidecar accepts calls; "unknown" before its first answer. */
export type Health = "unknown" | "serving" | "down";

/** Watches the health of one sidecar until `stop` is called. */
export class HealthWatch {
  health: Health = "unknown";
  /** Why the sidecar is down. */
  reason = "it does not accept calls";
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

  /** End the watch. */
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
    const firstAnswerTimer = setTimeout(() => {
      call.cancel();
    }, FIRST_ANSWER_MS);
    call.on("data", (status: number) => {
      clearTimeout(firstAnswerTimer);
      this.#backoff.reset();
      this.reason = "it does not accept calls";
      this.#set(status === SERVING ? "serving" : "down");
    });
    // The status follows every error, and contains it.
    call.on("error", () => undefined);
    call.on("status", ({ code, details }) => {
      clearTimeout(firstAnswerTimer);
      this.reason = code === Code.CANCELLED ? "no answer" : details;
      if (this.#stopped) return;
      // A server without a health service counts as healthy.
      this.#set(code === Code.UNIMPLEMENTED ? "serving" : "down");
      if (code !== Code.UNIMPLEMENTED) {
        this.#timer = setTimeout(() => {
          this.#watch();
        }, this.#backoff.nextDelayMs());
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

// How a client reaches its sidecars: addresses, credentials, turns.

import { readFileSync } from "node:fs";

import { credentials } from "@grpc/grpc-js";
import type { ChannelCredentials, ClientOptions } from "@grpc/grpc-js";

import { SidecarServiceClient } from "./gen/index.js";
import { HealthWatch } from "./health.js";

/** Where `ciosidecar serve` listens unless told otherwise. */
export const DEFAULT_ADDRESS = "127.0.0.1:50550";
/** What a message may have, either way. */
export const MAX_MESSAGE_BYTES = 64 << 20;

const CHANNEL: ClientOptions = {
  "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
  "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
  // What a batch becomes is larger than HTTP/2's own 64 KiB, and should not wait for the other side.
  "grpc-node.flow_control_window": 4 << 20,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 5_000,
  // A sidecar is near: the proxies of the environment are for what is far.
  "grpc.enable_http_proxy": 0,
};

/** How a peer that vanished without a word is noticed. */
export interface KeepAlive {
  /** After how much silence during a call it is asked; the sidecar takes no less than 10,000. Default 30,000. */
  timeMs?: number;
  /** How long it has to answer. Default 10,000. */
  timeoutMs?: number;
}

const ADDRESS = /^(?:unix:\S+|(?:dns:\/\/\/)?(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?<port>[0-9]{1,5}))$/u;

function checkAddress(address: string): void {
  const { port } = ADDRESS.exec(address)?.groups ?? { port: "0" };
  if (port !== undefined && !(Number(port) > 0 && Number(port) < 65_536)) {
    throw new TypeError(
      `${JSON.stringify(address)} is no address: give host:port, [IPv6]:port, unix:PATH or dns:///name:port`,
    );
  }
}

/** TLS to the sidecar. Every field is a PEM text, and may be left out. */
export interface Tls {
  /** Whom to believe; the trust that Node comes with if absent. */
  rootCertificates?: string | Uint8Array;
  /** The client's own key, where the sidecar asks for a certificate. */
  privateKey?: string | Uint8Array;
  /** The client's own certificate, where the sidecar asks for one. */
  certificateChain?: string | Uint8Array;
  /** The name in the sidecar's certificate, where it is not the address. */
  serverName?: string;
}

/** The same from files of PEM. Throws what reading a file throws. */
export function tlsFromFiles(paths: {
  rootCertificates?: string;
  privateKey?: string;
  certificateChain?: string;
  serverName?: string;
}): Tls {
  const { serverName, ...files } = paths;
  const texts = Object.entries(files).map(([name, path]) => [name, readFileSync(path)]);
  return { ...(Object.fromEntries(texts) as Tls), ...(serverName === undefined ? {} : { serverName }) };
}

/** The sidecars of a client: those that are healthy take turns. */
export class Sidecars {
  readonly #clients: readonly SidecarServiceClient[];
  readonly #watches: readonly HealthWatch[];
  #next = 0;
  #waiting: (() => void)[] = [];

  /** addresses: host:port, unix:PATH or dns:///NAME:PORT each. Throws a TypeError. */
  constructor(addresses: readonly string[], tls: Tls | undefined, keepAlive: KeepAlive, options: ClientOptions) {
    if (addresses.length === 0) throw new TypeError("name the address of a sidecar");
    addresses.forEach(checkAddress);
    if (tls !== undefined && addresses.some((address) => address.startsWith("unix:"))) {
      throw new TypeError("a sidecar has no TLS on its unix sockets");
    }
    const keepAliveOptions = {
      "grpc.keepalive_time_ms": keepAlive.timeMs ?? 30_000,
      "grpc.keepalive_timeout_ms": keepAlive.timeoutMs ?? 10_000,
    };
    const found = { ...CHANNEL, ...keepAliveOptions, ...serverNameOptions(tls), ...options };
    this.#clients = addresses.map((address) => new SidecarServiceClient(address, channelCredentials(tls), found));
    const onChange = (): void => {
      this.#wake();
    };
    // Where there is no choice, health tells nothing that a call would not.
    this.#watches = this.#clients.length < 2 ? [] : this.#clients.map((client) => new HealthWatch(client, onChange));
  }

  /** The next healthy sidecar; undefined if none is, or if the signal is aborted first. */
  async pick(signal?: AbortSignal): Promise<SidecarServiceClient | undefined> {
    if (this.#watches.length === 0) return this.#clients[0];
    while (!signal?.aborted) {
      const healthy = this.#clients.filter((_, index) => this.#watches[index]?.health === "serving");
      if (healthy.length > 0) {
        this.#next += 1;
        return healthy[this.#next % healthy.length];
      }
      if (this.#watches.every(({ health }) => health === "down")) return undefined;
      let wake = (): void => undefined;
      await new Promise<void>((resolve) => {
        wake = resolve;
        this.#waiting.push(wake);
        signal?.addEventListener("abort", wake);
      });
      signal?.removeEventListener("abort", wake);
    }
    return undefined;
  }

  close(): void {
    for (const watch of this.#watches) watch.stop();
    for (const client of this.#clients) client.close();
    this.#wake();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}

function channelCredentials(tls: Tls | undefined): ChannelCredentials {
  if (tls === undefined) return credentials.createInsecure();
  const [root, key, chain] = [tls.rootCertificates, tls.privateKey, tls.certificateChain].map((pem) =>
    pem === undefined ? null : Buffer.from(pem as string),
  );
  return credentials.createSsl(root, key, chain);
}

function serverNameOptions(tls: Tls | undefined): ClientOptions {
  if (tls?.serverName === undefined) return {};
  return { "grpc.ssl_target_name_override": tls.serverName, "grpc.default_authority": tls.serverName };
}

// The sidecars of a client: addresses, TLS, and the choice of a healthy sidecar for each call.

import { readFileSync } from "node:fs";

import { credentials } from "@grpc/grpc-js";
import type { ChannelCredentials, ClientOptions } from "@grpc/grpc-js";

import { SidecarServiceClient } from "./gen/index.js";
import { HealthWatch } from "./health.js";

/** The address at which `ciosidecar serve` listens by default. */
export const DEFAULT_ADDRESS = "127.0.0.1:50550";
/** The size of the largest message in both directions. */
export const MAX_MESSAGE_BYTES = 64 << 20;

const CHANNEL: ClientOptions = {
  "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
  "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
  // Results are larger than HTTP/2's default window of 64 KiB, and should not wait for its updates.
  "grpc-node.flow_control_window": 4 << 20,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 5_000,
  // A sidecar is on the same host or network; the environment's proxies are for other networks.
  "grpc.enable_http_proxy": 0,
};

/** The pings that detect a sidecar which vanished or froze. */
export interface KeepAlive {
  /** Optional. The silence during a call after which a ping is sent: at least 10,000. Defaults to 30,000. */
  timeMs?: number;
  /** Optional. The time limit for the answer to a ping. Defaults to 10,000. */
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

/** TLS to the sidecar. Keys and certificates are in PEM. */
export interface Tls {
  /** Optional. The CA certificates that verify the sidecar's. Defaults to those of Node. */
  rootCertificates?: string | Uint8Array;
  /** Optional. The client's key, if the sidecar requires client certificates. */
  privateKey?: string | Uint8Array;
  /** Optional. The client's certificate, if the sidecar requires client certificates. */
  certificateChain?: string | Uint8Array;
  /** Optional. The name in the sidecar's certificate, if it differs from the address. */
  serverName?: string;
}

/** Read keys and certificates from PEM files. Throws the error of reading a file. */
export function tlsFromFiles(paths: {
  rootCertificates?: string;
  privateKey?: string;
  certificateChain?: string;
  serverName?: string;
}): Tls {
  const { serverName, ...files } = paths;
  const contents = Object.entries(files).map(([name, path]) => [name, readFileSync(path)]);
  return { ...(Object.fromEntries(contents) as Tls), ...(serverName === undefined ? {} : { serverName }) };
}

/** The sidecars of a client. The healthy ones are used in rotation. */
export class Sidecars {
  readonly #clients: readonly SidecarServiceClient[];
  readonly #watches: readonly HealthWatch[];
  #next = 0;
  #waiting: (() => void)[] = [];

  /** Connect to addresses: each is host:port, unix:PATH or dns:///NAME:PORT. Throws a TypeError. */
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
    const channelOptions = { ...CHANNEL, ...keepAliveOptions, ...serverNameOptions(tls), ...options };
    this.#clients = addresses.map(
      (address) => new SidecarServiceClient(address, channelCredentials(tls), channelOptions),
    );
    const onChange = (): void => {
      this.#wake();
    };
    // A single sidecar is called in any case, so its health is not watched.
    this.#watches = this.#clients.length < 2 ? [] : this.#clients.map((client) => new HealthWatch(client, onChange));
  }

  /** Return the next healthy sidecar, or undefined if none is healthy or the signal is aborted first. */
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

  /** Close all connections. */
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

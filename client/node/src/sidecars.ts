// The sidecars of a client: addresses, TLS, and the choice of a healthy sidecar for each call.

import { readFileSync } from "node:fs";

import { credentials } from "@grpc/grpc-js";
import type { ChannelCredentials, ClientOptions } from "@grpc/grpc-js";

import { checkAddresses, isUnix, targetOf } from "./addresses.js";
import { FirstConnection } from "./first-connection.js";
import { SidecarServiceClient } from "./gen/index.js";
import { HealthWatch } from "./health.js";
import { BearerToken } from "./token.js";
import type { TokenOptions } from "./token.js";

const CONNECT_TIMEOUT_MS = 10_000;
/** How long a new client, or a stream with affinity, waits for further sidecars once one is connected. */
export const SETTLE_MS = 500;

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

/** The sidecars' part of the options of a client. */
export interface ConnectionOptions extends TokenOptions {
  /** Optional. TLS. By default connections are not encrypted. */
  tls?: Tls;
  /**
   * Optional. The time for which the streams of a new client try until a sidecar answers for the first
   * time, and the limit for its first calls. After that, `reconnectForMs` applies. An attempt to connect
   * takes at most 5,000. Defaults to 10,000.
   */
  connectTimeoutMs?: number;
  /** Optional. The pings that detect a sidecar which vanished or froze. */
  keepAlive?: KeepAlive;
  /** Optional. Options of grpc-js, which override the client's own: interceptors, window sizes, … */
  grpc?: ClientOptions;
}

/** Read keys and certificates from PEM files. Throws the error of reading a file, or a TypeError. */
export function tlsFromFiles(paths: {
  rootCertificates?: string;
  privateKey?: string;
  certificateChain?: string;
  serverName?: string;
}): Tls {
  const { serverName, ...files } = paths;
  const contents = Object.entries(files).map(([name, path]) => [name, readPem(path)]);
  return { ...(Object.fromEntries(contents) as Tls), ...(serverName === undefined ? {} : { serverName }) };
}

function readPem(path: string): Buffer {
  const pem = readFileSync(path);
  if (!pem.includes("-----BEGIN ")) throw new TypeError(`${path} is no PEM file: it has no line -----BEGIN …-----`);
  return pem;
}

/** What a stream or lane may be connected to. */
export interface SidecarChoice {
  readonly token: BearerToken;
  readonly first: FirstConnection;
  /** Why no sidecar is healthy. */
  readonly unhealthy: string;
  /** Return a healthy sidecar, or undefined if none is healthy or the signal is aborted first. */
  pick(signal?: AbortSignal): Promise<SidecarServiceClient | undefined>;
}

/** The sidecars of a client. The healthy ones are used in rotation. */
export class Sidecars implements SidecarChoice {
  /** The addresses, each once. */
  readonly addresses: readonly string[];
  readonly #clients: readonly SidecarServiceClient[];
  readonly #watches: readonly HealthWatch[];
  // True once every sidecar has answered or refused, or SETTLE_MS after the first is healthy. Streams wait for
  // that, so that those that are opened at once are spread over all sidecars.
  #isSettled = false;
  #settling: NodeJS.Timeout | undefined;
  #next = 0;
  #waiting: (() => void)[] = [];

  /** The token of calls to the sidecars. */
  readonly token: BearerToken;
  /** Whether any sidecar has answered. */
  readonly first: FirstConnection;

  /** Connect to addresses. Throws a TypeError or RangeError for addresses and options that cannot be used. */
  constructor(addresses: readonly string[], options: ConnectionOptions) {
    const { tls, keepAlive = {}, connectTimeoutMs = CONNECT_TIMEOUT_MS } = options;
    checkAddresses(addresses);
    if (tls !== undefined && addresses.some(isUnix)) throw new TypeError("a sidecar has no TLS on its unix sockets");
    this.token = new BearerToken(options, addresses, tls !== undefined);
    this.first = new FirstConnection(connectTimeoutMs, addresses);
    const keepAliveOptions = {
      "grpc.keepalive_time_ms": keepAlive.timeMs ?? 30_000,
      "grpc.keepalive_timeout_ms": keepAlive.timeoutMs ?? 10_000,
    };
    const channelOptions = { ...CHANNEL, ...keepAliveOptions, ...serverNameOptions(tls), ...options.grpc };
    this.addresses = [...new Set(addresses)];
    this.#clients = this.addresses.map(
      (address) => new SidecarServiceClient(targetOf(address), channelCredentials(tls), channelOptions),
    );
    const onChange = (): void => {
      if (this.#watches.every(({ health }) => health !== "unknown")) this.#isSettled = true;
      else if (this.#watches.some(({ health }) => health === "serving")) {
        this.#settling ??= setTimeout(() => {
          this.#isSettled = true;
          this.#wake();
        }, SETTLE_MS);
      }
      this.#wake();
    };
    // A single sidecar is called in any case, so its health is not watched.
    this.#watches = this.#clients.length < 2 ? [] : this.#clients.map((client) => new HealthWatch(client, onChange));
  }

  /** Return the choice of a stream: any sidecar, or that of one address alone. */
  forStream(only?: number): SidecarChoice {
    const unhealthy = (): string => (only === undefined ? this.unhealthy : (this.#watches[only]?.reason ?? ""));
    return {
      token: this.token,
      first: this.first,
      get unhealthy() {
        return unhealthy();
      },
      pick: (signal) => this.#pick(signal, only, true),
    };
  }

  /** Return the next healthy sidecar, or undefined if none is healthy or the signal is aborted first. */
  pick(signal?: AbortSignal): Promise<SidecarServiceClient | undefined> {
    return this.#pick(signal, undefined, false);
  }

  async #pick(
    signal: AbortSignal | undefined,
    only: number | undefined,
    spreads: boolean,
  ): Promise<SidecarServiceClient | undefined> {
    if (this.#watches.length === 0) return this.#clients[0];
    const isChoice = (_: unknown, index: number): boolean => only === undefined || index === only;
    while (!signal?.aborted) {
      const mayChoose = this.#isSettled || !spreads || only !== undefined;
      const healthy = this.#clients.filter(
        (client, index) => mayChoose && isChoice(client, index) && this.#watches[index]?.health === "serving",
      );
      if (healthy.length > 0) {
        this.#next += 1;
        return healthy[this.#next % healthy.length];
      }
      if (this.#watches.filter(isChoice).every(({ health }) => health === "down")) return undefined;
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

  /** Why no sidecar is healthy. */
  get unhealthy(): string {
    const reasons = new Set(this.#watches.map(({ reason }) => reason));
    return `no sidecar is healthy: ${[...reasons].join("; ")}`;
  }

  /** Close all connections. */
  close(): void {
    clearTimeout(this.#settling);
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
  if ((tls.privateKey === undefined) !== (tls.certificateChain === undefined)) {
    throw new TypeError("give privateKey and certificateChain together, or neither");
  }
  const [root, key, chain] = [tls.rootCertificates, tls.privateKey, tls.certificateChain].map((pem) =>
    pem === undefined ? null : Buffer.from(pem as string),
  );
  return credentials.createSsl(root, key, chain);
}

function serverNameOptions(tls: Tls | undefined): ClientOptions {
  if (tls?.serverName === undefined) return {};
  return { "grpc.ssl_target_name_override": tls.serverName, "grpc.default_authority": tls.serverName };
}

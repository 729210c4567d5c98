// The bearer token that a client sends with its calls.

import { readFile } from "node:fs/promises";

import { Metadata } from "@grpc/grpc-js";

import { isLocal } from "./addresses.js";
import { Unavailable } from "./errors.js";

/** Where the bearer token comes from, and where it may be sent. */
export interface TokenOptions {
  /**
   * Optional. The bearer token that the sidecar requires, or a function that returns it. The client
   * calls the function for each call and each stream, so that a token can be replaced.
   */
  token?: string | (() => string | Promise<string>);
  /**
   * Optional. A file with the bearer token, in place of `token`. The client reads the file for each call
   * and each stream: its first line that is neither blank nor a comment (#).
   */
  tokenFile?: string;
  /**
   * Optional. True: send the token without TLS to any address. By default, it is sent only over loopback
   * and unix sockets.
   */
  insecure?: boolean;
}

/** The metadata that authorizes calls. */
export class BearerToken {
  readonly #read: (() => string | Promise<string>) | undefined;

  /** Throws a TypeError if the token cannot be sent, or would leave the host in plain text. */
  constructor({ token, tokenFile, insecure }: TokenOptions, addresses: readonly string[], hasTls: boolean) {
    if (token !== undefined && tokenFile !== undefined) throw new TypeError("give token or tokenFile, not both");
    if (typeof token === "string") {
      check(token);
      this.#read = () => token;
    } else {
      this.#read = tokenFile === undefined ? token : () => firstLine(tokenFile);
    }
    if (this.#read === undefined || hasTls || insecure === true) return;
    const remote = addresses.find((address) => !isLocal(address));
    if (remote !== undefined) {
      throw new TypeError(
        `without TLS, the token would be sent to ${remote} in plain text: set tls or, if the network is safe, insecure`,
      );
    }
  }

  /** Return the metadata of the next call. Rejects with Unavailable: a later call may succeed. */
  async metadata(): Promise<Metadata> {
    const metadata = new Metadata();
    if (this.#read === undefined) return metadata;
    try {
      const token = await this.#read();
      check(token);
      metadata.set("authorization", `Bearer ${token}`);
    } catch (cause) {
      // The error of a caller's function may quote the token; the cause has it in full.
      const reason = cause instanceof Error && (cause instanceof TypeError || "path" in cause) ? cause.message : "error";
      throw Object.assign(new Unavailable(`cannot read the token: ${reason}`), { cause });
    }
    return metadata;
  }
}

async function firstLine(path: string): Promise<string> {
  const lines = (await readFile(path, "utf8")).split("\n").map((line) => line.trim());
  return lines.find((line) => line !== "" && !line.startsWith("#")) ?? "";
}

function check(token: unknown): asserts token is string {
  if (typeof token !== "string" || !/^[!-~]+$/u.test(token)) {
    throw new TypeError("a token consists of visible ASCII characters, at least one, and no spaces");
  }
}

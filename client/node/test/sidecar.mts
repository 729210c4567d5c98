// Real sidecars for tests: each is `ciosidecar serve` in a process of its own.

import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

const EXECUTABLE = process.env.CIOSIDECAR ?? "";
const READY_WITHIN_MS = 30_000;

/** The reason to skip tests that need a real sidecar, or false. */
export const skip = EXECUTABLE === "" ? "no sidecar is installed" : false;

export const CONFIG = { siteID: "site", apiKey: "key" };

export class Sidecar implements AsyncDisposable {
  private constructor(
    private readonly child: ChildProcess,
    readonly address: string,
  ) {}

  /** Start a sidecar and wait until it listens, by default on a free port of the loopback interface. */
  static async start(...args: string[]): Promise<Sidecar> {
    const listen = args.includes("--listen") ? [] : ["--listen", "127.0.0.1:0"];
    const admin = ["--admin-listen", "127.0.0.1:0"];
    const child = spawn(EXECUTABLE, ["serve", ...listen, ...admin, ...args], { stdio: ["ignore", "pipe", "ignore"] });
    try {
      const lines = createInterface({ input: child.stdout });
      const readyTimer = setTimeout(() => child.kill("SIGKILL"), READY_WITHIN_MS);
      const [line] = (await Promise.race([once(lines, "line"), once(lines, "close")])) as [string?];
      clearTimeout(readyTimer);
      if (line === undefined) throw new Error("the sidecar ended before it was ready");
      const { listen: addresses } = JSON.parse(line) as { listen: string[] };
      return new Sidecar(child, addresses[0] ?? "");
    } catch (failure) {
      child.kill("SIGKILL");
      throw failure;
    }
  }

  /** End the sidecar as an orchestrator does. */
  drain(): void {
    this.child.kill("SIGTERM");
  }

  /** Kill the sidecar as the kernel does when memory is short. */
  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill("SIGKILL");
    await once(this.child, "exit");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

// Unix sockets, several sidecars and their health, TLS.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { Client, Unavailable, tlsFromFiles, v1 } from "ciosidecar";

import { ScriptedSidecar } from "./scripted.mjs";
import { CONFIG, Sidecar, skip } from "./sidecar.mjs";

const TRACK = { type: "track", userId: "u1", event: "Order" };

let folder = "";
before(() => {
  folder = mkdtempSync(join(tmpdir(), "ciosidecar-"));
});
after(() => {
  rmSync(folder, { recursive: true });
});

test("a unix socket serves calls and streams", { skip }, async () => {
  await using sidecar = await Sidecar.start("--listen", `unix:${join(folder, "sidecar")}`);
  using client = new Client(sidecar.address);
  assert.equal((await client.transform([TRACK], CONFIG))[0]?.status, 200);
  for await (const { result } of client.stream(CONFIG).map([TRACK])) assert.equal(result.status, 200);
});

test("calls use the healthy sidecars in rotation; without a healthy one they are Unavailable", async () => {
  await using first = await ScriptedSidecar.start();
  await using second = await ScriptedSidecar.start();
  const sidecars = [first, second];
  for (const sidecar of sidecars) sidecar.onTransform = () => v1.TransformResponse.create();
  using client = new Client(sidecars.map(({ address }) => address));
  const call = (): Promise<unknown> => client.transform([TRACK], CONFIG);
  const callsOfTen = async (): Promise<number[]> => {
    const before = sidecars.map(({ calls }) => calls);
    for (let count = 0; count < 10; count += 1) await call();
    return sidecars.map(({ calls }, index) => calls - (before[index] ?? 0));
  };
  /** Make calls until the client has noticed the health that leads to these counts. */
  const callsUntil = async (expected: number[]): Promise<void> => {
    while (String(await callsOfTen()) !== String(expected));
  };
  await callsUntil([5, 5]);
  assert.deepEqual(await callsOfTen(), [5, 5]);
  second.health = "NOT_SERVING";
  await callsUntil([10, 0]);
  assert.deepEqual(await callsOfTen(), [10, 0]);
  first.health = "NOT_SERVING";
  await assert.rejects(async () => {
    for (;;) await call();
  }, Unavailable);
  second.health = "SERVING";
  await callsUntil([0, 10]);
});

test("an unreachable sidecar does not delay calls to the others", async () => {
  await using sidecar = await ScriptedSidecar.start();
  sidecar.onTransform = () => v1.TransformResponse.create();
  using client = new Client(["127.0.0.1:1", sidecar.address]);
  for (let count = 0; count < 5; count += 1) await client.transform([TRACK], CONFIG);
  assert.equal(sidecar.calls, 5);
});

test("invalid addresses are a TypeError", () => {
  assert.throws(() => new Client([]), TypeError);
  assert.throws(() => new Client("unix:/tmp/sidecar", { tls: {} }), TypeError);
});

const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;
const noOpenssl = hasOpenssl ? false : "openssl makes the certificates, and is not installed";
if (noOpenssl !== false) console.error(`SKIPPED: the tests of TLS: ${noOpenssl}`);

describe("TLS", { skip: skip || noOpenssl }, () => {
  before(() => {
    makeAuthority("ca");
    makeAuthority("stranger");
    makeCertificate("server", "sidecar.example.com");
    makeCertificate("client", "client.example.com");
  });

  const path = (name: string): string => join(folder, `${name}.pem`);
  const start = (...args: string[]): Promise<Sidecar> =>
    Sidecar.start("--tls-cert", path("server"), "--tls-key", path("server-key"), ...args);

  test("the client trusts the given authority, and no other", async () => {
    await using sidecar = await start();
    const settings = { rootCertificates: path("ca"), serverName: "sidecar.example.com" };
    using client = new Client(sidecar.address, { tls: tlsFromFiles(settings) });
    assert.equal((await client.transform([TRACK], CONFIG))[0]?.status, 200);
    for (const change of [{ rootCertificates: path("stranger") }, { serverName: "other.example.com" }]) {
      using stranger = new Client(sidecar.address, { tls: tlsFromFiles({ ...settings, ...change }) });
      await assert.rejects(stranger.transform([TRACK], CONFIG), Unavailable);
    }
  });

  test("a sidecar that requires client certificates refuses clients without one", async () => {
    await using sidecar = await start("--tls-client-ca", path("ca"));
    const settings = { rootCertificates: path("ca"), serverName: "sidecar.example.com" };
    const own = { privateKey: path("client-key"), certificateChain: path("client") };
    using client = new Client(sidecar.address, { tls: tlsFromFiles({ ...settings, ...own }) });
    assert.equal((await client.transform([TRACK], CONFIG))[0]?.status, 200);
    using withoutCertificate = new Client(sidecar.address, { tls: tlsFromFiles(settings) });
    await assert.rejects(withoutCertificate.transform([TRACK], CONFIG), Unavailable);
  });

  function openssl(...args: string[]): void {
    execFileSync("openssl", args, { stdio: "ignore" });
  }

  function makeAuthority(name: string): void {
    openssl(
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"],
      ...["-subj", `/CN=${name}`, "-addext", "basicConstraints=critical,CA:TRUE"],
      ...["-keyout", path(`${name}-key`), "-out", path(name)],
    );
  }

  function makeCertificate(name: string, host: string): void {
    const request = join(folder, `${name}.csr`);
    const extensions = join(folder, `${name}.ext`);
    writeFileSync(extensions, `subjectAltName=DNS:${host}\n`);
    openssl(
      ...["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
      ...["-subj", `/CN=${host}`, "-keyout", path(`${name}-key`), "-out", request],
    );
    openssl(
      ...["x509", "-req", "-in", request, "-CA", path("ca"), "-CAkey", path("ca-key"), "-CAcreateserial"],
      ...["-days", "1", "-extfile", extensions, "-out", path(name)],
    );
  }
});

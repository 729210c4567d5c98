// The forms of an address, bearer tokens, and a first connection that never comes.

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { createSocket } from "node:dgram";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, test } from "node:test";

import { CallFailed, Client, Unavailable, tlsFromFiles, v1 } from "ciosidecar";
import type { ClientOptions } from "ciosidecar";

import { ScriptedSidecar } from "./scripted.mjs";
import type { Script } from "./scripted.mjs";
import { CONFIG, Sidecar, skip } from "./sidecar.mjs";

const TRACK = { type: "track", userId: "u1", event: "Order" };

const answering: Script = async (stream) => {
  await stream.accept();
  await stream.answerEverything();
};

let folder = "";
before(() => {
  folder = mkdtempSync(join(tmpdir(), "ciosidecar-"));
});
after(() => {
  rmSync(folder, { recursive: true });
});

/** Send one event on a stream and return its status. */
async function statusOnStream(client: Client): Promise<number | undefined> {
  let status: number | undefined;
  for await (const { result } of client.stream(CONFIG).map([TRACK])) ({ status } = result);
  return status;
}

/** Tell whether this Node.js pads the name of an abstract socket, by asking the kernel for the name. */
async function padsAbstractNames(): Promise<boolean> {
  const name = `ciosidecar-node-test-${process.pid}-padded`;
  const server = createServer().listen(`\0${name}`);
  await once(server, "listening");
  const names = readFileSync("/proc/net/unix", "utf8");
  server.close();
  assert.ok(names.includes(`@${name}`));
  return names.includes(`@${name}@`);
}

describe("addresses", () => {
  const MALFORMED = {
    "": "it is blank",
    "  ": "it is blank",
    "http://127.0.0.1:50550": 'leave "http://" out',
    "https://sidecar:50550": 'leave "https://" out',
    "unix:": "the path of the socket is missing",
    "unix:///": "the path of the socket is missing",
    "unix-abstract:": "the name of the socket is missing",
    "unix://run/sidecar.sock": "use unix:PATH or unix:///PATH",
    [`unix:/${"p".repeat(107)}`]: "at most 107 bytes",
    localhost: "the port is missing, as in host:50550",
    "localhost:": "the port is missing, as in host:50550",
    "[::1]": "the port is missing, as in host:50550",
    "dns:///sidecar": "the port is missing, as in host:50550",
    "localhost:0": "the port must be 1 to 65535",
    "localhost:65536": "the port must be 1 to 65535",
    "localhost:grpc": "the port must be 1 to 65535",
    "::1:50550": "put an IPv6 address into brackets, as in [::1]:50550",
    "[::1:50550": "use host:port",
    "[1.2.3.4]:50550": "use host:port",
    "[:::1]:50550": "use host:port",
    "1.2.3.400:50550": "use host:port",
    ":50550": "use host:port",
    "tcp://sidecar:50550": "use host:port",
    "dns://sidecar:50550": "use host:port",
    "side/car:50550": "use host:port",
    "side car:50550": "it contains white space",
    "localhost:50550\n": "it contains white space",
  };

  for (const [address, fault] of Object.entries(MALFORMED)) {
    test(`${JSON.stringify(address)} is no address`, () => {
      for (const given of [address, ["127.0.0.1:50550", address]]) {
        assert.throws(
          () => new Client(given),
          (failure: Error) =>
            failure instanceof TypeError &&
            failure.message.includes(`${JSON.stringify(address)} is no address: `) &&
            failure.message.includes(fault),
        );
      }
    });
  }

  test("an empty list is refused", () => {
    assert.throws(() => new Client([]), /no address is given/u);
  });

  test("every right form is accepted", () => {
    for (const address of [
      ...["localhost:50550", "127.0.0.1:50550", "[::1]:50550", "dns:///sidecar.internal:50550"],
      ...["unix:sidecar.sock", "unix:/run/sidecar.sock", "unix:///run/sidecar.sock"],
      ...["side_car-1.internal.:1", `unix:/${"p".repeat(106)}`],
    ]) {
      new Client(address).close();
    }
  });

  test("every form of a unix socket connects", async () => {
    const path = join(folder, "forms");
    await using sidecar = await ScriptedSidecar.startAt(`unix:${path}`, answering);
    assert.equal(sidecar.streams.length, 0);
    for (const address of [`unix:${path}`, `unix://${path}`]) {
      using client = new Client(address);
      assert.equal(await statusOnStream(client), 200);
    }
  });

  test("an abstract socket connects, or is refused if this Node.js pads its name", { skip }, async () => {
    const address = `unix-abstract:ciosidecar-node-test-${process.pid}`;
    await using sidecar = await Sidecar.start("--listen", address);
    assert.equal(sidecar.address, address);
    if (await padsAbstractNames()) {
      assert.throws(() => new Client(address), /cannot connect to abstract sockets.*use unix:PATH/u);
      return;
    }
    using client = new Client(address, { token: "t" });
    assert.equal((await client.transform([TRACK], CONFIG))[0]?.status, 200);
    assert.equal(await statusOnStream(client), 200);
  });
});

describe("tokens", () => {
  async function startGuarded(): Promise<ScriptedSidecar> {
    const sidecar = await ScriptedSidecar.start(answering);
    sidecar.acceptedTokens = ["first", "second"];
    sidecar.onTransform = () => v1.TransformResponse.create();
    return sidecar;
  }

  test("every call has the token of the moment", async () => {
    const tokenFile = join(folder, "token");
    let current = "";
    const sources: ClientOptions[] = [{ tokenFile }, { token: () => current }, { token: () => Promise.resolve(current) }];
    for (const source of sources) {
      await using sidecar = await startGuarded();
      using client = new Client(sidecar.address, source);
      for (current of ["first", "second"]) {
        writeFileSync(tokenFile, `# rotated monthly\n\n${current}\nolder\n`);
        await client.transform([TRACK], CONFIG);
        assert.equal(await statusOnStream(client), 200);
      }
      assert.deepEqual(sidecar.authorizations, ["Bearer first", "Bearer first", "Bearer second", "Bearer second"]);
    }
  });

  test("a wrong token ends calls and streams at once, and the error says what to do", async () => {
    for (const options of [{}, { token: "old" }]) {
      await using sidecar = await startGuarded();
      using client = new Client(sidecar.address, options);
      for (const use of [() => client.transform([TRACK], CONFIG), () => statusOnStream(client)]) {
        await assert.rejects(use, (failure) => {
          assert.ok(failure instanceof CallFailed);
          assert.equal(failure.code, "UNAUTHENTICATED");
          assert.match(failure.message, /no valid token.*--auth-token-file/u);
          return true;
        });
      }
      assert.equal(sidecar.authorizations.length, 2);
    }
  });

  test("a stream waits for a token that cannot be read", async () => {
    await using sidecar = await startGuarded();
    const tokenFile = join(folder, "missing");
    using failing = new Client(sidecar.address, { tokenFile, connectTimeoutMs: 300 });
    await assert.rejects(statusOnStream(failing), (failure) => {
      assert.ok(failure instanceof Unavailable);
      assert.match(failure.message, /cannot read the token: .*missing/u);
      return true;
    });
    let attempts = 0;
    const token = (): string => {
      attempts += 1;
      if (attempts < 3) throw new Error("first is the token");
      return "first";
    };
    using client = new Client(sidecar.address, { token });
    assert.equal(await statusOnStream(client), 200);
  });

  test("the error of a caller's function does not tell the token", async () => {
    await using sidecar = await startGuarded();
    const token = (): string => {
      throw new Error("first is the token");
    };
    using client = new Client(sidecar.address, { token });
    await assert.rejects(client.transform([TRACK], CONFIG), (failure: Error) => !failure.message.includes("first"));
  });

  test("no token leaves the host without TLS, unless the caller says that the network is safe", () => {
    for (const address of ["sidecar:50550", "192.0.2.1:50550", "dns:///sidecar:50550", "[2001:db8::1]:50550"]) {
      for (const source of [{ token: "t" }, { tokenFile: "t" }, { token: () => "t" }]) {
        assert.throws(() => new Client(address, source), {
          name: "TypeError",
          message: new RegExp(`token would be sent to ${address.replace(/[[\]]/gu, "\\$&")} in plain text`, "u"),
        });
        new Client(address, { ...source, insecure: true }).close();
        new Client(address, { ...source, tls: {} }).close();
      }
    }
    for (const address of [
      ...["127.0.0.2:1", "[::1]:1", "[0:0:0:0:0:0:0:1]:1", "localhost:1", "dns:///localhost:1"],
      "unix:/a",
    ]) {
      new Client(address, { token: "t" }).close();
    }
  });

  test("a token that cannot be sent is refused", () => {
    for (const token of ["", "two words", "line\n", "höchst"]) {
      assert.throws(() => new Client("127.0.0.1:1", { token }), /visible ASCII/u);
    }
    assert.throws(() => new Client("127.0.0.1:1", { token: "a", tokenFile: "b" }), /not both/u);
  });
});

describe("a first connection that never comes", () => {
  /** Run a function with an address at which nobody listens: its port is taken for another purpose. */
  async function withNobody(run: (address: string) => Promise<void>): Promise<void> {
    const taken = createSocket("udp4");
    taken.bind(0, "127.0.0.1");
    await once(taken, "listening");
    try {
      await run(`127.0.0.1:${taken.address().port}`);
    } finally {
      taken.close();
    }
  }

  /** Check that a stream and a call fail in time, with the addresses and a reason. */
  async function failsInTime(addresses: string | string[], reason: RegExp): Promise<void> {
    using client = new Client(addresses, { connectTimeoutMs: 500 });
    for (const use of [() => statusOnStream(client), () => client.transform([TRACK], CONFIG)]) {
      const beganMs = performance.now();
      await assert.rejects(use, (failure: Error) => {
        assert.ok(failure instanceof Unavailable);
        assert.match(failure.message, reason);
        assert.ok(failure.message.includes(`from ${[addresses].flat().join(", ")}: `), failure.message);
        return true;
      });
      assert.ok(performance.now() - beganMs < 8_000);
    }
  }

  test("nobody listens", async () => {
    await withNobody(async (address) => {
      await failsInTime(address, /ECONNREFUSED/u);
      await failsInTime([address, address], /ECONNREFUSED/u);
    });
  });

  test("a listener never answers", async () => {
    const silent = createServer().listen(0, "127.0.0.1");
    await once(silent, "listening");
    const sockets: { destroy: () => void }[] = [];
    silent.on("connection", (socket) => sockets.push(socket));
    await failsInTime(`127.0.0.1:${(silent.address() as AddressInfo).port}`, /no answer/u);
    for (const socket of sockets) socket.destroy();
    silent.close();
  });

  test("a name is not found", async () => {
    await failsInTime("sidecar.invalid:50550", /resolution failed|ENOTFOUND|EAI_AGAIN/u);
  });

  test("a call whose connection gets a GOAWAY is not cancelled", async () => {
    const connectTimeoutMs = 200;
    const afterTheLimit = (): Promise<void> => sleep(3 * connectTimeoutMs);
    await using sidecar = await ScriptedSidecar.start(async (stream) => {
      await stream.accept();
      const batch = await stream.batch();
      sidecar.goAway();
      await afterTheLimit();
      if (batch !== undefined) stream.answer(batch);
      await stream.answerEverything();
    });
    sidecar.onTransform = async () => {
      sidecar.goAway();
      await afterTheLimit();
      return v1.TransformResponse.create();
    };
    using streaming = new Client(sidecar.address, { connectTimeoutMs });
    assert.equal(await statusOnStream(streaming), 200);
    assert.equal(sidecar.streams.length, 1);
    using calling = new Client(sidecar.address, { connectTimeoutMs });
    await calling.transform([TRACK], CONFIG);
    assert.equal(sidecar.calls, 1);
  });

  test("a lost connection has the stream's own time limit", async () => {
    await using sidecar = await ScriptedSidecar.start(async (stream) => {
      await stream.accept();
    });
    using client = new Client(sidecar.address, { connectTimeoutMs: 50 });
    const beganMs = performance.now();
    const stream = client.stream(CONFIG, { reconnectForMs: 1_000 });
    await assert.rejects(stream.map([TRACK]).next(), /no answer for 1000 ms/u);
    assert.ok(performance.now() - beganMs > 1_000);
  });

  test("options that cannot be are refused", () => {
    for (const connectTimeoutMs of [0, -1, Number.NaN]) {
      assert.throws(() => new Client("127.0.0.1:1", { connectTimeoutMs }), /connectTimeoutMs/u);
    }
    const pem = join(folder, "no.pem");
    writeFileSync(pem, "no certificate");
    assert.throws(() => tlsFromFiles({ rootCertificates: pem }), /no PEM file/u);
    assert.throws(() => new Client("127.0.0.1:1", { tls: { privateKey: "key" } }), /together/u);
  });
});

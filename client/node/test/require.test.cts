// The package in CommonJS.

import assert = require("node:assert/strict");
import nodeTest = require("node:test");

import ciosidecar = require("ciosidecar");
import v1 = require("ciosidecar/v1");

nodeTest.test("require and import return the same classes and stubs", async () => {
  const imported = await import("ciosidecar");
  const importedStubs = await import("ciosidecar/v1");
  // Node adds these names when it imports CommonJS.
  const added = ["default", "module.exports", "__esModule"];
  const names = Object.keys(imported).filter((name) => !added.includes(name));
  assert.deepEqual(names.sort(), Object.keys(ciosidecar).sort());
  assert.equal(imported.Client, ciosidecar.Client);
  assert.equal(imported.SidecarError, ciosidecar.SidecarError);
  assert.equal(importedStubs.Batch, v1.Batch);
  assert.equal(ciosidecar.v1.Batch, v1.Batch);
});

nodeTest.test("a program that requires the package can recognise its errors", async () => {
  const client = new ciosidecar.Client("127.0.0.1:1");
  await assert.rejects(client.capabilities({ timeoutMs: 5000 }), ciosidecar.SidecarError);
  client.close();
});

nodeTest.test("the names that the package exports", () => {
  assert.deepEqual(Object.keys(ciosidecar).sort(), [
    "Aborted",
    "ApiRequest",
    "BatchEntry",
    "CallFailed",
    "Client",
    "Closed",
    "Destination",
    "Result",
    "SidecarError",
    "SourceConnection",
    "Stream",
    "Unavailable",
    "readResults",
    "tlsFromFiles",
    "v1",
  ]);
});

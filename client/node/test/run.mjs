// Pack the package, install the tarball in a temporary folder, as a user would, and run the tests
// there. `npm test` runs this program. CIOSIDECAR names the sidecar's executable.

import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
const SIDECAR = resolve(process.env.CIOSIDECAR ?? join(PACKAGE, "../../.venv/bin/ciosidecar"));
const TEST_TIMEOUT_MS = 120_000;

const folder = mkdtempSync(join(tmpdir(), "ciosidecar-node-"));
try {
  process.exitCode = runTests();
} finally {
  rmSync(folder, { recursive: true });
}

function runTests() {
  const npm = (...args) =>
    execFileSync("npm", args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  const packed = JSON.parse(npm("pack", "--json", "--silent", "--pack-destination", folder, PACKAGE));
  const [{ filename }] = Object.values(packed);
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  npm("install", "--silent", "--no-package-lock", "--prefer-offline", "--ignore-scripts", `./${filename}`);

  // The tests are compiled against the types of the tarball, so the types are tested too.
  cpSync(join(PACKAGE, "test"), join(folder, "test"), { recursive: true });
  const tsc = join(PACKAGE, "node_modules/typescript/bin/tsc");
  const types = ["--typeRoots", join(PACKAGE, "node_modules/@types")];
  const compiled = spawnSync(process.execPath, [tsc, "-p", "test", ...types], { cwd: folder, stdio: "inherit" });
  if (compiled.status !== 0) return 1;

  const absent = !existsSync(SIDECAR);
  const tests = readdirSync(join(folder, "test")).filter((name) => /\.test\.[mc]js$/.test(name));
  const { status } = spawnSync(
    process.execPath,
    [
      ...["--test", `--test-timeout=${TEST_TIMEOUT_MS}`, "--test-reporter=spec"],
      ...tests.sort().map((name) => join("test", name)),
    ],
    {
      cwd: folder,
      env: { ...process.env, CIOSIDECAR: absent ? "" : SIDECAR, CIOSIDECAR_NODE: PACKAGE },
      stdio: "inherit",
    },
  );
  if (absent) console.error(`SKIPPED: every test against a real sidecar, because there is none at ${SIDECAR}`);
  return status ?? 1;
}

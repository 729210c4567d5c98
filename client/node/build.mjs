// Compile src/ into dist/. `npm run build` runs this program. The tests of the repository build the client
// side by side: each build compiles into a folder of its own, which then takes the place of dist/ at once.

import { spawnSync } from "node:child_process";
import { existsSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const DIST = join(HERE, "dist");
const compiled = join(HERE, "build", `dist-${process.pid}`);
const replaced = join(HERE, "build", `replaced-${process.pid}`);

try {
  const tsc = join(HERE, "node_modules/typescript/bin/tsc");
  const { status } = spawnSync(process.execPath, [tsc, "--outDir", compiled], { cwd: HERE, stdio: "inherit" });
  process.exitCode = status ?? 1;
  if (status === 0) putInPlace();
} finally {
  for (const folder of [compiled, replaced]) rmSync(folder, { recursive: true, force: true });
}

// Another build may put its dist/ there first; it has compiled the same source.
function putInPlace() {
  while (true) {
    if (existsSync(DIST)) moved(DIST, replaced);
    if (moved(compiled, DIST)) return;
    rmSync(replaced, { recursive: true, force: true });
  }
}

function moved(from, to) {
  try {
    renameSync(from, to);
    return true;
  } catch (failure) {
    if (["ENOENT", "ENOTEMPTY", "EEXIST"].includes(failure.code)) return false;
    throw failure;
  }
}

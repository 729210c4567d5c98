// Writes the stubs of protos/ into src/gen; nobody edits what it writes. `npm run gen` runs it.
//
// With --check it writes nothing and fails if a stub is not what it would write. protoc comes with
// Python's grpcio-tools: PYTHON names the interpreter, by default that of the repository's .venv.

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const PROTOS = join(HERE, "..", "..", "protos");
const STUBS = join(HERE, "src", "gen");
const PYTHON = process.env.PYTHON ?? join(HERE, "..", "..", ".venv", "bin", "python");

const OPTIONS = [
  "outputServices=grpc-js",
  "esModuleInterop=true",
  "importSuffix=.js",
  // 64-bit numbers keep their bits.
  "forceLong=bigint",
  // A oneof is one property that can only hold one thing.
  "oneof=unions-value",
  // Tells a typed event from a plain object at run time.
  "outputTypeAnnotations=true",
  "removeEnumPrefix=true",
  "unrecognizedEnum=false",
  // The contract is spoken in its binary form only.
  "outputJsonMethods=false",
  "useExactTypes=false",
];

function write(folder) {
  mkdirSync(folder, { recursive: true });
  const files = names(PROTOS, ".proto");
  const plugin = join(HERE, "node_modules", ".bin", "protoc-gen-ts_proto");
  const { status } = spawnSync(
    PYTHON,
    [
      ...["-m", "grpc_tools.protoc", `-I${PROTOS}`, `--plugin=${plugin}`],
      ...[`--ts_proto_out=${folder}`, ...OPTIONS.map((option) => `--ts_proto_opt=${option}`)],
      ...files,
    ],
    { cwd: PROTOS, stdio: "inherit" },
  );
  if (status !== 0) process.exit(status ?? 1);
  writeFileSync(join(folder, "index.ts"), index(files));
}

/** Every message and enum of the contract under its own name, and the service. */
function index(files) {
  const exported = files.map((file) => {
    const text = readFileSync(join(PROTOS, file), "utf8");
    const found = [...text.matchAll(/^(?:message|enum) (\w+)/gm)].map(([, name]) => name);
    for (const [, name] of text.matchAll(/^service (\w+)/gm)) {
      found.push(`${name}Client`, `type ${name}Server`, `${name}Service`);
    }
    const lines = found.sort().map((name) => `  ${name},\n`);
    return `export {\n${lines.join("")}} from "./${file.replace(/\.proto$/, ".js")}";\n`;
  });
  return `// Generated from protos/ by generate.mjs. Do not edit.\n\n${exported.join("")}`;
}

function names(folder, ending) {
  return readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith(ending))
    .sort();
}

function contents(folder) {
  return new Map(names(folder, ".ts").map((name) => [name, readFileSync(join(folder, name), "utf8")]));
}

if (process.argv.includes("--check")) {
  const folder = mkdtempSync(join(tmpdir(), "ciosidecar-stubs-"));
  try {
    write(folder);
    const fresh = contents(folder);
    const found = contents(STUBS);
    const stale = [...new Set([...fresh.keys(), ...found.keys()])].filter(
      (name) => fresh.get(name) !== found.get(name),
    );
    if (stale.length > 0) {
      console.error(`stale stubs in client/node/src/gen: ${stale.join(", ")}; run npm run gen`);
      process.exitCode = 1;
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
} else {
  rmSync(STUBS, { recursive: true, force: true });
  write(STUBS);
}

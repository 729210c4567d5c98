// Write the stubs of protos/ into src/gen. `npm run gen` runs this program; do not edit its output.
//
// With --check the program writes nothing and fails if a stub is stale. protoc comes with Python's
// grpcio-tools, and google/api/field_behavior.proto with googleapis-common-protos. PYTHON names the
// interpreter that has both; it defaults to that of the repository's .venv.

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
  // A 64-bit number keeps all its bits.
  "forceLong=bigint",
  // A oneof is one property, which can hold only one of its fields.
  "oneof=unions-value",
  // The client needs `$type` to tell a RudderEvent from a plain object.
  "outputTypeAnnotations=true",
  "removeEnumPrefix=true",
  "unrecognizedEnum=false",
  // The contract has no JSON form.
  "outputJsonMethods=false",
  "useExactTypes=false",
];

// These files define options of fields only, which the generated code leaves out.
const FILES_OF_OPTIONS = ["google/api", "google/protobuf/descriptor.ts"];

function write(folder) {
  mkdirSync(folder, { recursive: true });
  const files = names(PROTOS, ".proto");
  const plugin = join(HERE, "node_modules", ".bin", "protoc-gen-ts_proto");
  const { status } = spawnSync(
    PYTHON,
    [
      ...["-m", "grpc_tools.protoc", `-I${PROTOS}`, `-I${googleApis()}`, `--plugin=${plugin}`],
      ...[`--ts_proto_out=${folder}`, ...OPTIONS.map((option) => `--ts_proto_opt=${option}`)],
      ...files,
    ],
    { cwd: PROTOS, stdio: "inherit" },
  );
  if (status !== 0) process.exit(status ?? 1);
  for (const name of FILES_OF_OPTIONS) rmSync(join(folder, name), { recursive: true, force: true });
  writeFileSync(join(folder, "index.ts"), index(files));
}

/** Return the folder that holds google/api/field_behavior.proto. */
function googleApis() {
  const program = "import google.api.field_behavior_pb2 as m, pathlib; print(pathlib.Path(m.__file__).parents[2])";
  const { status, stdout } = spawnSync(PYTHON, ["-c", program], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (status !== 0) process.exit(status ?? 1);
  return stdout.trim();
}

/** Return an index.ts that exports every message and enum of the contract, and the service. */
function index(files) {
  const exported = files.map((file) => {
    const text = readFileSync(join(PROTOS, file), "utf8");
    const exports = [...text.matchAll(/^(?:message|enum) (\w+)/gm)].map(([, name]) => name);
    for (const [, name] of text.matchAll(/^service (\w+)/gm)) {
      exports.push(`${name}Client`, `type ${name}Server`, `${name}Service`);
    }
    const lines = exports.sort().map((name) => `  ${name},\n`);
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
    const current = contents(STUBS);
    const stale = [...new Set([...fresh.keys(), ...current.keys()])].filter(
      (name) => fresh.get(name) !== current.get(name),
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

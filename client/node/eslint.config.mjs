import { defineConfig } from "eslint/config";
import tseslint from "typescript-eslint";

export default defineConfig(
  { ignores: ["dist/", "src/gen/", "**/*.mjs"] },
  ...tseslint.configs.strictTypeChecked,
  ...tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: { parserOptions: { project: ["tsconfig.json", "test/tsconfig.json"] } },
    rules: {
      // Counts and statuses in texts are numbers.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      // `for (;;)` and `while (true)` are how a loop says that it ends inside.
      "@typescript-eslint/no-unnecessary-condition": ["error", { allowConstantLoopConditions: true }],
      // 0 and "" mean "not set" on the wire.
      "@typescript-eslint/prefer-nullish-coalescing": ["error", { ignorePrimitives: true }],
      // Imports of types say so.
      "@typescript-eslint/consistent-type-imports": "error",
    },
  },
  {
    files: ["**/*.cts"],
    // It tests require.
    rules: { "@typescript-eslint/no-require-imports": "off" },
  },
  {
    files: ["test/**"],
    rules: {
      // node:test waits for the tests of a file by itself.
      "@typescript-eslint/no-floating-promises": [
        "error",
        { allowForKnownSafeCalls: [{ from: "package", package: "node:test", name: ["test", "describe"] }] },
      ],
    },
  },
);

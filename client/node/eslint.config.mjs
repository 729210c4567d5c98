import { defineConfig } from "eslint/config";
import tseslint from "typescript-eslint";

export default defineConfig(
  { ignores: ["dist/", "src/gen/", "**/*.mjs"] },
  ...tseslint.configs.strictTypeChecked,
  ...tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: { parserOptions: { project: ["tsconfig.json", "test/tsconfig.json"] } },
    rules: {
      // Messages contain counts and statuses.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      // A loop that ends inside is written `for (;;)` or `while (true)`.
      "@typescript-eslint/no-unnecessary-condition": ["error", { allowConstantLoopConditions: true }],
      // In messages, 0 and "" mean "not set".
      "@typescript-eslint/prefer-nullish-coalescing": ["error", { ignorePrimitives: true }],
      // Imports of types are erased when the code is compiled.
      "@typescript-eslint/consistent-type-imports": "error",
    },
  },
  {
    files: ["**/*.cts"],
    // The file tests require.
    rules: { "@typescript-eslint/no-require-imports": "off" },
  },
  {
    files: ["test/**"],
    rules: {
      // node:test waits for all tests of a file.
      "@typescript-eslint/no-floating-promises": [
        "error",
        { allowForKnownSafeCalls: [{ from: "package", package: "node:test", name: ["test", "describe"] }] },
      ],
    },
  },
);

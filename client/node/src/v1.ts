// The stubs, for require.
export * from "./gen/index.js";

// The stubs, for import.
export * from "./gen/index.js";

// The same for import as for require: one implementation, one set of classes.
export * from "./index.js";

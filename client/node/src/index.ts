/**
 * ciosidecar's client: RudderStack events in, Customer.io requests out, from Node.
 *
 * `Client` transforms batches and keeps streams; the stubs are `v1`, and `ciosidecar/v1`.
 */

export * as v1 from "./gen/index.js";
export { Client } from "./client.js";
export type { CallBounds, ClientSettings } from "./client.js";
export { Aborted, CallFailed, Closed, SidecarError, Unavailable } from "./errors.js";
export { Connection, Destination } from "./destinations.js";
export type { AnyConnection, AnyDestination, ConfigJson } from "./destinations.js";
export { BatchEntry } from "./events.js";
export type { BatchOptions, Event, ItemFields, SendOptions } from "./events.js";
export type { Answer } from "./ledger.js";
export { Request, Result, readResults } from "./results.js";
export type { FailedItem, NumberOf, ResultDelivery, ResultError, ResultWarning, Word } from "./results.js";
export { tlsFromFiles } from "./sidecars.js";
export type { KeepAlive, Tls } from "./sidecars.js";
export { Stream } from "./stream.js";
export type { Delivery, StreamOptions } from "./stream-options.js";

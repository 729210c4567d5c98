/**
 * The client of ciosidecar: it turns RudderStack events into Customer.io requests, and delivers them.
 *
 * `Client` makes unary calls and opens streams. The stubs are `v1`, also as `ciosidecar/v1`.
 */

export * as v1 from "./gen/index.js";
export type { Affinity } from "./affinity.js";
export { Client } from "./client.js";
export type { CallOptions, ClientOptions, DeliverOptions, TransformOptions } from "./client.js";
export { Aborted, CallFailed, Closed, SidecarError, Unavailable } from "./errors.js";
export { Destination, SourceConnection } from "./destinations.js";
export type { AnyConnection, AnyDestination, ConfigJson } from "./destinations.js";
export { BatchEntry } from "./events.js";
export type { BatchOptions, Event, ItemFields, SendOptions } from "./events.js";
export type { Answer } from "./outstanding-events.js";
export { ApiRequest, Result, readResults } from "./results.js";
export type { DeliveryReport, EnumName, EventError, EventWarning, FailedItem, PositionOf } from "./results.js";
export { tlsFromFiles } from "./sidecars.js";
export type { ConnectionOptions, KeepAlive, Tls } from "./sidecars.js";
export type { TokenOptions } from "./token.js";
export { Stream } from "./stream.js";
export type { DeliveryOptions, DetailLevel, StreamOptions } from "./stream-options.js";

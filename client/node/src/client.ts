// A connection to one or several sidecars.

import { setTimeout as pause } from "node:timers/promises";

import { Metadata, status as Code } from "@grpc/grpc-js";
import type { CallOptions, ClientOptions, ClientUnaryCall, ServiceError } from "@grpc/grpc-js";

import { Aborted, CallFailed, Closed, Unavailable, callFailed } from "./errors.js";
import { Connection, Destination, wireConnection, wireDestination } from "./destinations.js";
import type { AnyConnection, AnyDestination } from "./destinations.js";
import { BatchEntry, encodeEvent, encodeFields } from "./events.js";
import type { Event } from "./events.js";
import {
  Batch,
  CheckDestinationRequest,
  GetCapabilitiesRequest,
  Item,
  TransformRequest,
} from "./gen/index.js";
import type {
  CheckDestinationResponse,
  GetCapabilitiesResponse,
  SidecarServiceClient,
  TransformResponse,
} from "./gen/index.js";
import { Numbering } from "./numbering.js";
import { Backoff } from "./patience.js";
import { readResults } from "./results.js";
import type { Result } from "./results.js";
import { DEFAULT_ADDRESS, Sidecars } from "./sidecars.js";
import type { KeepAlive, Tls } from "./sidecars.js";
import { Stream } from "./stream.js";
import { filledOptions } from "./stream-options.js";
import type { StreamOptions } from "./stream-options.js";

const DEFAULT_TIMEOUT_MS = 30_000;
const MAX_ATTEMPTS = 4;
const MAX_PAUSE_MS = 2_000;
// What a timer of Node's can hold; more is as good as no bound.
const MAX_TIMER_MS = 0x7fffffff;

/** How a client reaches its sidecars. */
export interface ClientSettings {
  /** TLS; without it the connection is plain. */
  tls?: Tls;
  /** How a peer that vanished without a word is noticed. */
  keepAlive?: KeepAlive;
  /** Options of grpc-js, over the client's own: interceptors, window sizes, … */
  grpc?: ClientOptions;
}

/** Bounds of one call. */
export interface CallBounds {
  /** How long it may take, attempts included. Infinity: without end. Default 30,000. */
  timeoutMs?: number;
  /** Ends the call; it then rejects with Aborted. */
  signal?: AbortSignal;
}

type Method<Question, Reply> = (
  sidecar: SidecarServiceClient,
  question: Question,
  options: Partial<CallOptions>,
  done: (failure: ServiceError | null, reply: Reply) => void,
) => ClientUnaryCall;

/** A connection to one or several sidecars. Make one and keep it; close it at the end. */
export class Client implements Disposable {
  readonly #sidecars: Sidecars;
  readonly #closed = new AbortController();

  /**
   * addresses: host:port, unix:PATH, dns:///NAME:PORT, or several of these: calls take turns among
   * those that are healthy. Throws a TypeError for addresses that cannot be used.
   */
  constructor(addresses: string | readonly string[] = DEFAULT_ADDRESS, settings: ClientSettings = {}) {
    const list = typeof addresses === "string" ? [addresses] : addresses;
    this.#sidecars = new Sidecars(list, settings.tls, settings.keepAlive ?? {}, settings.grpc ?? {});
  }

  /** What the sidecar is and can do. Rejects with a SidecarError. */
  capabilities(bounds: CallBounds = {}): Promise<GetCapabilitiesResponse> {
    const method: Method<GetCapabilitiesRequest, GetCapabilitiesResponse> = (sidecar, question, options, done) =>
      sidecar.getCapabilities(question, new Metadata(), options, done);
    return this.#call(method, GetCapabilitiesRequest.create(), bounds);
  }

  /**
   * Whether a destination's settings can work; with `probe`, whether Customer.io takes its
   * credentials too. Rejects with a SidecarError.
   */
  async check(
    destination: AnyDestination,
    bounds: CallBounds & { probe?: boolean } = {},
  ): Promise<CheckDestinationResponse> {
    const request = CheckDestinationRequest.create();
    request.destination = wireDestination(Destination.of(destination), 0);
    request.probe = bounds.probe ?? false;
    const method: Method<CheckDestinationRequest, CheckDestinationResponse> = (sidecar, question, options, done) =>
      sidecar.checkDestination(question, new Metadata(), options, done);
    return this.#call(method, request, bounds);
  }

  /**
   * One batch in, its results out, one an event, in order. destination: for events that name none
   * themselves. connection: what rows become, where the events are records. Rejects with a
   * SidecarError, or with a TypeError or RangeError for what cannot travel.
   */
  async transform(
    events: Iterable<Event | BatchEntry<unknown>>,
    destination: AnyDestination,
    bounds: CallBounds & { connection?: AnyConnection } = {},
  ): Promise<Result[]> {
    const request = transformRequest(events, destination, bounds.connection);
    const method: Method<TransformRequest, TransformResponse> = (sidecar, question, options, done) =>
      sidecar.transform(question, new Metadata(), options, done);
    const { results } = await this.#call(method, request, bounds);
    return results === undefined ? [] : readResults(results);
  }

  /**
   * A stream that takes events one at a time, and connects at once.
   *
   * destination: for events that name none themselves. Item: the type of what is handed in beside
   * the events. Throws a TypeError or RangeError for options that cannot be.
   */
  stream<I = Event>(destination?: AnyDestination, options: StreamOptions = {}): Stream<I> {
    if (this.#closed.signal.aborted) throw new Closed("the client was closed");
    const target = destination === undefined ? undefined : Destination.of(destination);
    return new Stream<I>(this.#sidecars, target, filledOptions(options), this.#closed.signal);
  }

  /** Ends every call and stream. */
  close(): void {
    this.#closed.abort();
    this.#sidecars.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #call<Question, Reply>(
    method: Method<Question, Reply>,
    question: Question,
    bounds: CallBounds,
  ): Promise<Reply> {
    const { timeoutMs = DEFAULT_TIMEOUT_MS, signal } = bounds;
    const deadline = timeoutMs > MAX_TIMER_MS ? undefined : Date.now() + timeoutMs;
    const ends = [this.#closed.signal];
    if (signal !== undefined) ends.push(signal);
    if (deadline !== undefined) ends.push(AbortSignal.timeout(timeoutMs));
    const end = AbortSignal.any(ends);
    const backoff = new Backoff(MAX_PAUSE_MS);
    for (let attempt = 1; ; attempt += 1) {
      try {
        const sidecar = await this.#sidecars.pick(end);
        end.throwIfAborted();
        if (sidecar === undefined) throw new Unavailable("no sidecar is healthy");
        return await once(method, sidecar, question, deadline === undefined ? {} : { deadline }, end);
      } catch (failure) {
        if (signal?.aborted) throw new Aborted(signal);
        if (this.#closed.signal.aborted) throw new Closed("the client was closed");
        if (end.aborted) throw new CallFailed(Code.DEADLINE_EXCEEDED, `no answer within ${timeoutMs} ms`);
        if (!(failure instanceof Unavailable) || attempt === MAX_ATTEMPTS) throw failure;
      }
      await pause(backoff.pauseMs(), undefined, { signal: end }).catch(() => undefined);
    }
  }
}

function transformRequest(
  events: Iterable<Event | BatchEntry<unknown>>,
  destination: AnyDestination,
  connection: AnyConnection | undefined,
): TransformRequest {
  const destinations = new Numbering<Destination>();
  const connections = new Numbering<Connection>();
  for (const numbers of [destinations, connections]) numbers.beginAnew(Infinity);
  const none: ReadonlySet<number> = new Set();
  const batch = Batch.create();
  batch.destination = destinations.number(Destination.of(destination), none) ?? 0;
  if (connection !== undefined) batch.connection = connections.number(Connection.of(connection), none) ?? 0;
  for (const one of events) {
    const { event, options } = BatchEntry.of(one);
    const { destination: to, connection: rows, ...fields } = options;
    const item = { ...(encodeFields(fields) ?? Item.create()) };
    item.payload = encodeEvent(event).payload;
    if (to !== undefined) item.destination = destinations.number(Destination.of(to), none) ?? 0;
    if (rows !== undefined) item.connection = connections.number(Connection.of(rows), none) ?? 0;
    batch.items.push(item);
  }
  const request = TransformRequest.create();
  request.destinations = destinations.takeUndeclared().map(([number, found]) => wireDestination(found, number));
  request.connections = connections.takeUndeclared().map(([number, found]) => wireConnection(found, number));
  request.batch = batch;
  return request;
}

/** One attempt at a unary call. */
function once<Question, Reply>(
  method: Method<Question, Reply>,
  sidecar: SidecarServiceClient,
  question: Question,
  options: Partial<CallOptions>,
  end: AbortSignal,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const cancel = (): void => {
      call.cancel();
    };
    const call = method(sidecar, question, options, (failure, reply) => {
      end.removeEventListener("abort", cancel);
      if (failure === null) resolve(reply);
      else reject(callFailed(failure.code, failure.details));
    });
    end.addEventListener("abort", cancel);
  });
}

// A client of one or several sidecars.

import { setTimeout as sleep } from "node:timers/promises";

import { status as Code } from "@grpc/grpc-js";
import type { CallOptions as GrpcCallOptions, ClientUnaryCall, Metadata, ServiceError } from "@grpc/grpc-js";

import { DEFAULT_ADDRESS } from "./addresses.js";
import { Aborted, CallFailed, Closed, Unavailable, callFailed } from "./errors.js";
import { Destination } from "./destinations.js";
import type { AnyConnection, AnyDestination } from "./destinations.js";
import type { BatchEntry, Event } from "./events.js";
import { NOT_CONNECTED } from "./first-connection.js";
import type { FirstConnection } from "./first-connection.js";
import { GetCapabilitiesRequest } from "./gen/index.js";
import type {
  CheckDestinationRequest,
  CheckDestinationResponse,
  DeliverRequest,
  DeliverResponse,
  GetCapabilitiesResponse,
  SidecarServiceClient,
  TransformRequest,
  TransformResponse,
} from "./gen/index.js";
import { Backoff } from "./reconnect-backoff.js";
import { readResults } from "./results.js";
import type { Result } from "./results.js";
import { Sidecars } from "./sidecars.js";
import type { ConnectionOptions } from "./sidecars.js";
import { Stream } from "./stream.js";
import { filledOptions } from "./stream-options.js";
import type { DeliveryOptions, StreamOptions } from "./stream-options.js";
import { checkRequest, deliverRequest, transformRequest } from "./unary-requests.js";

const DEFAULT_TIMEOUT_MS = 30_000;
// The default of `ciosidecar serve --delivery-timeout-s`.
const SERVER_DELIVERY_TIMEOUT_MS = 60_000;
const MAX_ATTEMPTS = 4;
const MAX_DELAY_MS = 2_000;
// The largest delay of Node's timers, about 25 days. A longer time limit counts as none.
const MAX_TIMER_MS = 0x7fffffff;

/** How a client connects to its sidecars. */
export type ClientOptions = ConnectionOptions;

/** The options of a unary call. */
export interface CallOptions {
  /** Optional. The time limit for the call, with all its attempts. Infinity: none. Defaults to 30,000. */
  timeoutMs?: number;
  /** Optional. A signal that ends the call, which then rejects with Aborted. */
  signal?: AbortSignal;
}

/** The options of `Client.transform`. */
export interface TransformOptions extends CallOptions {
  /** Optional. The source connection of records that name none themselves. */
  connection?: AnyConnection;
}

/** The options of `Client.deliver`. */
export interface DeliverOptions extends TransformOptions {
  /** Optional. The options of the delivery, as of a stream that delivers. */
  delivery?: DeliveryOptions;
  /**
   * Optional. The time limit for the call. Infinity: none. Defaults to 30,000 more than
   * `delivery.timeoutMs` or, without it, than 60,000, the server's own default.
   */
  timeoutMs?: number;
}

type UnaryMethod<Request, Response> = (
  sidecar: SidecarServiceClient,
  request: Request,
  metadata: Metadata,
  options: Partial<GrpcCallOptions>,
  callback: (failure: ServiceError | null, response: Response) => void,
) => ClientUnaryCall;

const getCapabilities: UnaryMethod<GetCapabilitiesRequest, GetCapabilitiesResponse> = (sidecar, ...rest) =>
  sidecar.getCapabilities(...rest);
const checkDestination: UnaryMethod<CheckDestinationRequest, CheckDestinationResponse> = (sidecar, ...rest) =>
  sidecar.checkDestination(...rest);
const transform: UnaryMethod<TransformRequest, TransformResponse> = (sidecar, ...rest) =>
  sidecar.transform(...rest);
const deliver: UnaryMethod<DeliverRequest, DeliverResponse> = (sidecar, ...rest) =>
  sidecar.deliver(...rest);

/** A client of one or several sidecars. Create one, keep it, and close it at the end. */
export class Client implements Disposable {
  readonly #sidecars: Sidecars;
  readonly #closed = new AbortController();

  /**
   * Create a client.
   *
   * addresses: host:port, [IPv6]:port, unix:PATH, unix-abstract:NAME or dns:///host:port, or several of
   * these. Calls use the healthy ones in rotation. Throws a TypeError for an address or option that
   * cannot be used, and for a token that would leave the host without TLS.
   */
  constructor(addresses: string | readonly string[] = DEFAULT_ADDRESS, options: ClientOptions = {}) {
    const addressList = typeof addresses === "string" ? [addresses] : addresses;
    this.#sidecars = new Sidecars(addressList, options);
  }

  /** Return the version, the features and the limits of the server. Rejects with a SidecarError. */
  capabilities(options: CallOptions = {}): Promise<GetCapabilitiesResponse> {
    return this.#call(getCapabilities, GetCapabilitiesRequest.create(), options);
  }

  /**
   * Check the settings of a destination.
   *
   * probe: ask Customer.io whether it accepts the credentials. Rejects with a SidecarError.
   */
  async check(
    destination: AnyDestination,
    options: CallOptions & { probe?: boolean } = {},
  ): Promise<CheckDestinationResponse> {
    return this.#call(checkDestination, checkRequest(destination, options.probe ?? false), options);
  }

  /**
   * Transform one batch, and return one result for each event, in order.
   *
   * destination: for events that name none themselves. Rejects with a SidecarError if the call fails,
   * and with a TypeError or RangeError if an event cannot be sent.
   */
  async transform(
    events: Iterable<Event | BatchEntry<unknown>>,
    destination: AnyDestination,
    options: TransformOptions = {},
  ): Promise<Result[]> {
    const request = transformRequest(events, destination, options.connection);
    const { results } = await this.#call(transform, request, options);
    return results === undefined ? [] : readResults(results);
  }

  /**
   * Transform and deliver one batch, and return one result for each event, in order. Results have the
   * meaning that they have on a stream with delivery.
   *
   * destination: for events that name none themselves. The call is attempted once, because another
   * attempt could deliver events twice: if the call fails, it is unknown which events were delivered.
   * Rejects as `transform` does, and with code UNIMPLEMENTED if the server does not deliver.
   */
  async deliver(
    events: Iterable<Event | BatchEntry<unknown>>,
    destination?: AnyDestination,
    options: DeliverOptions = {},
  ): Promise<Result[]> {
    const { connection, delivery = {}, signal } = options;
    const request = deliverRequest(events, destination, connection, delivery);
    const deliveryMs = delivery.timeoutMs ?? SERVER_DELIVERY_TIMEOUT_MS;
    const { timeoutMs = deliveryMs + DEFAULT_TIMEOUT_MS } = options;
    const { results } = await this.#call(deliver, request, { timeoutMs, signal }, 1);
    return results === undefined ? [] : readResults(results);
  }

  /**
   * Open a stream, which connects at once.
   *
   * destination: for events that name none themselves. A: the type of the attachments. Throws a
   * TypeError or RangeError for options that cannot be used; affinity needs several addresses.
   */
  stream<A = Event>(destination?: AnyDestination, options: StreamOptions = {}): Stream<A> {
    if (this.#closed.signal.aborted) throw new Closed("the client was closed");
    const defaultDestination = destination === undefined ? undefined : Destination.of(destination);
    return new Stream<A>(this.#sidecars, defaultDestination, filledOptions(options), this.#closed.signal);
  }

  /** End all calls and streams. */
  close(): void {
    this.#closed.abort();
    this.#sidecars.close();
  }

  /** Close the client. */
  [Symbol.dispose](): void {
    this.close();
  }

  async #call<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: Request,
    options: CallOptions,
    maxAttempts = MAX_ATTEMPTS,
  ): Promise<Response> {
    const { timeoutMs = DEFAULT_TIMEOUT_MS, signal } = options;
    const deadline = timeoutMs > MAX_TIMER_MS ? undefined : Date.now() + timeoutMs;
    const signals = [this.#closed.signal];
    if (signal !== undefined) signals.push(signal);
    if (deadline !== undefined) signals.push(AbortSignal.timeout(timeoutMs));
    const end = AbortSignal.any(signals);
    const backoff = new Backoff(MAX_DELAY_MS);
    const { first } = this.#sidecars;
    const beganMs = performance.now();
    for (let attempt = 1; ; attempt += 1) {
      try {
        const sidecar = await this.#sidecars.pick(end);
        end.throwIfAborted();
        if (sidecar === undefined) throw new Unavailable(this.#sidecars.unhealthy);
        const metadata = await this.#sidecars.token.metadata();
        end.throwIfAborted();
        const grpcOptions = deadline === undefined ? {} : { deadline };
        const response = await oneAttempt(method, sidecar, request, metadata, grpcOptions, end, first);
        first.made = true;
        return response;
      } catch (failure) {
        if (signal?.aborted) throw new Aborted(signal);
        if (this.#closed.signal.aborted) throw new Closed("the client was closed");
        if (end.aborted) throw new CallFailed(Code.DEADLINE_EXCEEDED, `no answer within ${timeoutMs} ms`);
        if (!(failure instanceof Unavailable)) throw failure;
        if (attempt === maxAttempts || first.isOverdue(beganMs)) {
          throw first.made ? failure : first.failure(failure.message);
        }
      }
      await sleep(backoff.nextDelayMs(), undefined, { signal: end }).catch(() => undefined);
    }
  }
}

/** Make one attempt at a unary call. end: cancels it. */
function oneAttempt<Request, Response>(
  method: UnaryMethod<Request, Response>,
  sidecar: SidecarServiceClient,
  request: Request,
  metadata: Metadata,
  options: Partial<GrpcCallOptions>,
  end: AbortSignal,
  first: FirstConnection,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const cancel = (): void => {
      call.cancel();
    };
    const endLimit = first.limit(sidecar, cancel);
    const call = method(sidecar, request, metadata, options, (failure, response) => {
      end.removeEventListener("abort", cancel);
      if (endLimit()) reject(new Unavailable(NOT_CONNECTED));
      else if (failure === null) resolve(response);
      else reject(callFailed(failure.code, failure.details));
    });
    end.addEventListener("abort", cancel);
  });
}

// Destinations and source connections, as the user configured them.

import * as v1 from "./gen/index.js";

const utf8 = new TextEncoder();

/** The dashboard's config JSON: as an object, a string, or bytes in UTF-8. */
export type ConfigJson = string | Uint8Array | object;

// In place of a config that only the sidecar has. A forgotten config is undefined, and still an error.
const BY_REF = Symbol("byRef");

/**
 * A Customer.io workspace as the user configured it. Two with the same config and ref are equal.
 * `console.log` shows only the ref.
 */
export class Destination {
  readonly #config: Uint8Array | undefined;
  readonly #key: string;

  /** Create a destination from the dashboard's config JSON. Throws a TypeError. */
  constructor(
    config: ConfigJson | typeof BY_REF,
    /** Optional. The caller's own name for the destination. It MUST NOT be a secret: the server logs it. */
    readonly ref = "",
  ) {
    if (config === BY_REF) {
      this.#key = `${ref}\0by ref`;
      return;
    }
    this.#config = configBytes(config);
    this.#key = `${ref}\0{${Buffer.from(this.#config).toString("latin1")}`;
  }

  /**
   * Return a destination that the sidecar's own file declares under this ref (`--destinations`): the
   * caller holds no credentials. Throws a TypeError for an empty ref.
   */
  static byRef(ref: string): Destination {
    if (typeof ref !== "string" || ref === "") throw new TypeError("a ref is a string that is not empty");
    return new Destination(BY_REF, ref);
  }

  /** Return a destination as it is, or create one from its config. Throws a TypeError. */
  static of(destination: AnyDestination): Destination {
    return destination instanceof Destination ? destination : new Destination(destination);
  }

  /** The config JSON in UTF-8. Contains credentials. undefined: the sidecar has it. */
  get config(): Uint8Array | undefined {
    return this.#config;
  }

  /** Equal for equal destinations only. Contains credentials. */
  get key(): string {
    return this.#key;
  }
}

/**
 * A connection of a warehouse source to a destination, as the user configured it. Records need one;
 * other events do not. Two with the same config are equal.
 */
export class SourceConnection {
  readonly #config: Uint8Array;
  readonly #key: string;

  /** Create a connection from the dashboard's config JSON. Throws a TypeError. */
  constructor(config: ConfigJson) {
    this.#config = configBytes(config);
    this.#key = Buffer.from(this.#config).toString("latin1");
  }

  /** Return a connection as it is, or create one from its config. Throws a TypeError. */
  static of(connection: AnyConnection): SourceConnection {
    return connection instanceof SourceConnection ? connection : new SourceConnection(connection);
  }

  /** The config JSON in UTF-8. May contain credentials. */
  get config(): Uint8Array {
    return this.#config;
  }

  /** Equal for equal connections only. May contain credentials. */
  get key(): string {
    return this.#key;
  }
}

/** A destination, or its config JSON. */
export type AnyDestination = Destination | ConfigJson;
/** A source connection, or its config JSON. */
export type AnyConnection = SourceConnection | ConfigJson;

/** Return the message that declares a destination under a reference id. */
export function destinationMessage(destination: Destination, referenceId: number): v1.Destination {
  const message = v1.Destination.create();
  message.referenceId = referenceId;
  message.destinationRef = destination.ref;
  if (destination.config !== undefined) message.settings = { $case: "configJson", value: destination.config };
  return message;
}

/** Return the message that declares a source connection under a reference id. */
export function connectionMessage(connection: SourceConnection, referenceId: number): v1.SourceConnection {
  const message = v1.SourceConnection.create();
  message.referenceId = referenceId;
  message.settings = { $case: "configJson", value: connection.config };
  return message;
}

/** Tell objects from arrays, null and primitives. A program in JavaScript may pass any of them. */
export function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function configBytes(config: ConfigJson): Uint8Array {
  if (config instanceof Uint8Array) return config.slice();
  if (typeof config === "string") return utf8.encode(config);
  if (isObject(config)) return utf8.encode(JSON.stringify(config));
  throw new TypeError(`a config is an object, a string or bytes, not ${typeof config}`);
}

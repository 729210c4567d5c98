// Where events go and what their rows become, as the user configured it.

import { Connection as WireConnection, Destination as WireDestination } from "./gen/index.js";

const utf8 = new TextEncoder();

/** A config of the dashboard's in any of its forms. */
export type ConfigJson = string | Uint8Array | object;

/** A config under the caller's own name. Printing it shows only the name. */
class Named {
  readonly #config: Uint8Array;
  readonly #key: string;

  /** config: the dashboard's config JSON, as an object, a string or bytes in UTF-8. Throws a TypeError. */
  constructor(
    config: ConfigJson,
    /** The caller's own name for it, safe to log. */
    readonly ref = "",
  ) {
    if (config instanceof Uint8Array) this.#config = config.slice();
    else if (typeof config === "string") this.#config = utf8.encode(config);
    else if (isObject(config)) this.#config = utf8.encode(JSON.stringify(config));
    else throw new TypeError(`a config is an object, a string or bytes, not ${typeof config}`);
    this.#key = `${ref}\0${Buffer.from(this.#config).toString("latin1")}`;
  }

  /** The config JSON in UTF-8. May hold credentials. */
  get config(): Uint8Array {
    return this.#config;
  }

  /** The same for equal configs under equal names, and for no others. May hold credentials. */
  get key(): string {
    return this.#key;
  }
}

/** A Customer.io workspace as the user configured it. Two with the same config and ref are one. */
export class Destination extends Named {
  /** A destination from any of the forms a caller may hold. Throws a TypeError for anything else. */
  static of(found: AnyDestination): Destination {
    return found instanceof Destination ? found : new Destination(found);
  }
}

/**
 * What warehouse rows of one source become, as the user configured it. Records need one, and
 * nothing else does. Two with the same config and ref are one.
 */
export class Connection extends Named {
  /** A connection from any of the forms a caller may hold. Throws a TypeError for anything else. */
  static of(found: AnyConnection): Connection {
    return found instanceof Connection ? found : new Connection(found);
  }
}

/** A destination as a caller may hold it: made before, or its config JSON. */
export type AnyDestination = Destination | ConfigJson;
/** A connection likewise. */
export type AnyConnection = Connection | ConfigJson;

/** The destination as it travels, under a number. */
export function wireDestination(destination: Destination, number: number): WireDestination {
  const found = WireDestination.create();
  found.number = number;
  found.destinationRef = destination.ref;
  found.settings = { $case: "configJson", value: destination.config };
  return found;
}

/** The connection as it travels, under a number. */
export function wireConnection(connection: Connection, number: number): WireConnection {
  const found = WireConnection.create();
  found.number = number;
  found.connectionRef = connection.ref;
  found.settings = { $case: "configJson", value: connection.config };
  return found;
}

/** What TypeScript promises and a program in JavaScript may break. */
export function isObject(found: unknown): found is object {
  return typeof found === "object" && found !== null && !Array.isArray(found);
}

// The requests of the unary calls: one batch with all destinations and connections that it refers to.

import { Destination, SourceConnection, connectionMessage, destinationMessage } from "./destinations.js";
import type { AnyConnection, AnyDestination } from "./destinations.js";
import { BatchEntry, encodeEvent, encodeFields } from "./events.js";
import type { Event } from "./events.js";
import { Batch, BatchItem, CheckDestinationRequest, DeliverRequest, TransformRequest } from "./gen/index.js";
import { ReferenceTable } from "./reference-table.js";
import { deliveryMessage } from "./stream-options.js";
import type { DeliveryOptions } from "./stream-options.js";

/** The events of a batch. */
export type Events = Iterable<Event | BatchEntry<unknown>>;

const NO_IDS: ReadonlySet<number> = new Set();

/** Return the request of a check. */
export function checkRequest(destination: AnyDestination, probe: boolean): CheckDestinationRequest {
  const request = CheckDestinationRequest.create();
  // The server does not use this reference id.
  request.destination = destinationMessage(Destination.of(destination), 0);
  request.probe = probe;
  return request;
}

/** Return the request of a transform. Throws a TypeError or RangeError for what cannot be sent. */
export function transformRequest(
  events: Events,
  destination: AnyDestination,
  connection: AnyConnection | undefined,
): TransformRequest {
  const request = TransformRequest.create();
  return Object.assign(request, referencedBatch(events, Destination.of(destination), connection));
}

/** Return the request of a delivery. Throws a TypeError or RangeError for what cannot be sent. */
export function deliverRequest(
  events: Events,
  destination: AnyDestination | undefined,
  connection: AnyConnection | undefined,
  options: DeliveryOptions,
): DeliverRequest {
  const request = DeliverRequest.create();
  request.delivery = deliveryMessage(options);
  const defaultDestination = destination === undefined ? undefined : Destination.of(destination);
  return Object.assign(request, referencedBatch(events, defaultDestination, connection));
}

function referencedBatch(
  events: Events,
  destination: Destination | undefined,
  connection: AnyConnection | undefined,
): Pick<TransformRequest, "destinations" | "connections" | "batch"> {
  const destinations = new ReferenceTable<Destination>();
  const connections = new ReferenceTable<SourceConnection>();
  for (const table of [destinations, connections]) table.reset(Infinity);
  // The reference id 0 means none.
  const destinationId = (named: Destination | undefined): number =>
    named === undefined ? 0 : (destinations.referenceId(named, NO_IDS) ?? 0);
  const connectionId = (named: AnyConnection | undefined): number =>
    named === undefined ? 0 : (connections.referenceId(SourceConnection.of(named), NO_IDS) ?? 0);
  const batch = Batch.create();
  batch.destination = destinationId(destination);
  batch.connection = connectionId(connection);
  for (const entry of events) {
    const { event, options } = BatchEntry.of(entry);
    const { destination: ownDestination, connection: ownConnection, ...fields } = options;
    const item = { ...(encodeFields(fields) ?? BatchItem.create()) };
    item.payload = encodeEvent(event).payload;
    if (batch.destination === 0 && ownDestination === undefined && item.payload.$case !== "prepared") {
      throw new TypeError("name a destination for the event or for the call");
    }
    item.destination = destinationId(ownDestination === undefined ? undefined : Destination.of(ownDestination));
    item.connection = connectionId(ownConnection);
    batch.items.push(item);
  }
  return {
    destinations: destinations.takeUndeclared().map(([id, declared]) => destinationMessage(declared, id)),
    connections: connections.takeUndeclared().map(([id, declared]) => connectionMessage(declared, id)),
    batch,
  };
}

// The routing of events by person: which lane of a stream an event joins. Does no I/O.

import { addressOrder } from "./affinity.js";
import type { OutstandingEvent, OutstandingEvents } from "./outstanding-events.js";

/** How far the connection of a lane is. "draining": the sidecar answers what it has, and takes no more. */
type Phase = "connecting" | "up" | "draining" | "down";

/** The unanswered events of one slot. All that are not parked are on one lane. */
interface Slot<A> {
  readonly lane: number;
  count: number;
  parked: OutstandingEvent<A>[];
}

/**
 * Routes events to the lanes of a stream, so that no event overtakes another of its slot.
 *
 * An event joins the first lane in the order of its slot that is up. If unanswered events of the slot are
 * on another lane, the event is parked until those are answered. While no lane is up, or the lanes have
 * only begun to connect, events wait outside of the lanes.
 */
export class AffinityRouter<A> {
  /** True once the router waits for no first attempt to connect. */
  settled = false;
  readonly #phases: Phase[];
  readonly #orders = new Map<number, readonly number[]>();
  readonly #slots = new Map<number, Slot<A>>();
  #outside: OutstandingEvent<A>[] = [];

  constructor(
    private readonly addresses: readonly string[],
    private readonly lanes: readonly OutstandingEvents<A>[],
    private readonly onEnqueue: (lane: number) => void,
  ) {
    this.#phases = addresses.map(() => "connecting");
  }

  /** True if events wait outside of the lanes; parked ones wait for events of a lane. */
  get holdsEvents(): boolean {
    return this.#outside.length > 0;
  }

  /** True if a lane has a connection, also to a sidecar that drains, or its first attempt goes on. */
  isConnected(): boolean {
    return this.#phases.some((phase) => phase !== "down");
  }

  /** Put an event onto its lane, behind all earlier events of its slot. */
  place(event: OutstandingEvent<A>): void {
    const target = this.#target(event.slot);
    const slot = this.#slots.get(event.slot);
    if (slot !== undefined && (slot.parked.length > 0 || slot.lane !== target)) {
      slot.parked.push(event);
    } else if (target === undefined) {
      this.#outside.push(event);
    } else {
      if (slot === undefined) this.#slots.set(event.slot, { lane: target, count: 1, parked: [] });
      else slot.count += 1;
      this.lanes[target]?.enqueue(event);
      this.onEnqueue(target);
    }
  }

  /** Note that events are answered. Release those that were parked behind them. */
  answered(events: readonly OutstandingEvent<A>[]): void {
    for (const event of events) this.#leave(event.slot, 1);
  }

  /** Move events that a draining sidecar did not send, behind older ones that it still has. */
  returned(lane: number, events: readonly OutstandingEvent<A>[]): void {
    if (events.length > 0 && this.#phases[lane] === "up") this.draining(lane);
    for (const event of events) {
      const slot = this.#slots.get(event.slot);
      if (slot === undefined) continue;
      const newer = slot.parked.findIndex(({ position }) => position > event.position);
      slot.parked.splice(newer === -1 ? slot.parked.length : newer, 0, event);
      this.#leave(event.slot, 1);
    }
  }

  /** Note that a lane takes events. */
  opened(lane: number): void {
    this.#phases[lane] = "up";
    this.#settleIfKnown();
  }

  /** Stop to wait for first attempts to connect. */
  settle(): void {
    this.settled = true;
    this.#enter();
  }

  /** Move the events of a lane that are not sent. Those behind sent ones are parked. */
  draining(lane: number): void {
    this.#phases[lane] = "draining";
    const moved = new Map<number, OutstandingEvent<A>[]>();
    for (const event of this.lanes[lane]?.takeWaiting() ?? []) {
      const events = moved.get(event.slot);
      if (events === undefined) moved.set(event.slot, [event]);
      else events.push(event);
    }
    for (const [number, events] of moved) {
      const slot = this.#slots.get(number);
      if (slot !== undefined) slot.parked = [...events, ...slot.parked];
      this.#leave(number, events.length);
    }
  }

  /** Move all unanswered events of a lane whose connection has ended, in order. */
  lost(lane: number): void {
    this.#phases[lane] = "down";
    const events = this.lanes[lane]?.takeUnanswered() ?? [];
    const parked: OutstandingEvent<A>[] = [];
    for (const { slot: number } of events) {
      const slot = this.#slots.get(number);
      if (slot === undefined) continue;
      for (const event of slot.parked) parked.push(event);
      this.#slots.delete(number);
    }
    // An event that the sidecar returned is parked, and may be older than one that it still had.
    const unplaced = [...events, ...parked].sort((left, right) => left.position - right.position);
    for (const event of unplaced) this.place(event);
    this.#settleIfKnown();
  }

  /** Forget the events that are not sent: they get no answer. */
  drop(): void {
    this.#outside = [];
    for (const slot of this.#slots.values()) slot.parked = [];
    for (const lane of this.lanes) {
      for (const event of lane.takeWaiting()) this.#leave(event.slot, 1);
    }
  }

  #settleIfKnown(): void {
    if (!this.#phases.includes("connecting")) this.settled = true;
    this.#enter();
  }

  /** Place the events that wait outside, if a lane may take them. */
  #enter(): void {
    if (!this.settled || !this.#phases.includes("up")) return;
    const events = this.#outside;
    this.#outside = [];
    for (const event of events) this.place(event);
  }

  /** Note that events of a slot are no longer on its lane. */
  #leave(number: number, count: number): void {
    const slot = this.#slots.get(number);
    if (slot === undefined) return;
    slot.count -= count;
    if (slot.count > 0) return;
    this.#slots.delete(number);
    for (const event of slot.parked) this.place(event);
  }

  /** Return the first lane in a slot's order that is up; undefined if there is none, or too early. */
  #target(slot: number): number | undefined {
    if (!this.settled) return undefined;
    let order = this.#orders.get(slot);
    if (order === undefined) {
      order = addressOrder(slot, this.addresses);
      this.#orders.set(slot, order);
    }
    return order.find((lane) => this.#phases[lane] === "up");
  }
}

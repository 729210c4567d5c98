package dev.ciosidecar;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntConsumer;
import java.util.stream.Stream;

/**
 * Routes events to the lanes of a stream, so that no event overtakes another of its slot. Has no I/O, no
 * clock and no lock.
 *
 * <p>An event joins the first lane in the order of its slot that is up. If unanswered events of the slot are
 * on another lane, the event is parked until those are answered. While no lane is up, or the lanes have only
 * begun to connect, events wait outside of the lanes.
 */
final class AffinityRouter<T> {
  private static final int NO_LANE = -1;

  /** The state of a lane's connection. */
  private enum Phase {
    CONNECTING,
    UP,
    /** The sidecar answers what it has, and takes nothing more. */
    DRAINING,
    DOWN
  }

  /** The unanswered events of one slot. All that are not parked are on one lane. */
  private static final class SlotEvents<T> {
    final int lane;
    int count;
    final List<OutstandingEvent<T>> parked = new ArrayList<>();

    SlotEvents(int lane) {
      this.lane = lane;
    }
  }

  private final List<String> addresses;
  private final List<OutstandingEvents<T>> lanes;
  private final IntConsumer onEnqueue;
  private final Phase[] phases;
  private final Map<Integer, int[]> orders = new HashMap<>();
  private final Map<Integer, SlotEvents<T>> slots = new HashMap<>();
  private List<OutstandingEvent<T>> outside = new ArrayList<>();
  private boolean settled;

  AffinityRouter(
      List<String> addresses, List<OutstandingEvents<T>> lanes, IntConsumer onEnqueue) {
    this.addresses = addresses;
    this.lanes = lanes;
    this.onEnqueue = onEnqueue;
    this.phases = new Phase[addresses.size()];
    Arrays.fill(phases, Phase.CONNECTING);
  }

  /** Returns whether events wait outside of the lanes; parked ones wait for events of a lane. */
  boolean holdsEvents() {
    return !outside.isEmpty();
  }

  /** Returns whether the router waits for no first attempt to connect. */
  boolean isSettled() {
    return settled;
  }

  /**
   * Returns whether a lane has a connection, also to a sidecar that drains, or its first attempt goes on.
   */
  boolean isConnected() {
    return Arrays.stream(phases).anyMatch(phase -> phase != Phase.DOWN);
  }

  /** Puts an event onto its lane, behind all earlier events of its slot. */
  void place(OutstandingEvent<T> event) {
    int target = target(event.slot);
    SlotEvents<T> slot = slots.get(event.slot);
    if (slot != null && (!slot.parked.isEmpty() || slot.lane != target)) {
      slot.parked.add(event);
      return;
    }
    if (target == NO_LANE) {
      outside.add(event);
      return;
    }
    slots.computeIfAbsent(event.slot, number -> new SlotEvents<>(target)).count++;
    lanes.get(target).enqueue(event);
    onEnqueue.accept(target);
  }

  /** Notes that events are answered. Releases those that were parked behind them. */
  void answered(List<OutstandingEvent<T>> events) {
    events.forEach(event -> leave(event.slot, 1));
  }

  /** Moves events that a draining sidecar did not send, behind older ones that it still has. */
  void returned(int lane, List<OutstandingEvent<T>> events) {
    if (!events.isEmpty() && phases[lane] == Phase.UP) {
      draining(lane);
    }
    for (OutstandingEvent<T> event : events) {
      List<OutstandingEvent<T>> parked = slots.get(event.slot).parked;
      int index = 0;
      while (index < parked.size() && parked.get(index).position < event.position) {
        index++;
      }
      parked.add(index, event);
      leave(event.slot, 1);
    }
  }

  /** Notes that a lane takes events. */
  void opened(int lane) {
    phases[lane] = Phase.UP;
    settleIfKnown();
  }

  /** Stops to wait for first attempts to connect. */
  void settle() {
    settled = true;
    enter();
  }

  /** Moves the events of a lane that are not sent. Those behind sent ones are parked. */
  void draining(int lane) {
    phases[lane] = Phase.DRAINING;
    Map<Integer, List<OutstandingEvent<T>>> moved = new LinkedHashMap<>();
    for (OutstandingEvent<T> event : lanes.get(lane).takeWaiting()) {
      moved.computeIfAbsent(event.slot, number -> new ArrayList<>()).add(event);
    }
    moved.forEach(
        (number, events) -> {
          slots.get(number).parked.addAll(0, events);
          leave(number, events.size());
        });
  }

  /** Moves all unanswered events of a lane whose connection has ended, in order. */
  void lost(int lane) {
    phases[lane] = Phase.DOWN;
    List<OutstandingEvent<T>> events = lanes.get(lane).takeUnanswered();
    List<OutstandingEvent<T>> parked = new ArrayList<>();
    for (OutstandingEvent<T> event : events) {
      SlotEvents<T> slot = slots.remove(event.slot);
      if (slot != null) {
        parked.addAll(slot.parked);
      }
    }
    // An event that the sidecar returned is parked, and may be older than one that it still had.
    Stream.concat(events.stream(), parked.stream())
        .sorted(Comparator.comparingLong(event -> event.position))
        .forEach(this::place);
    settleIfKnown();
  }

  /** Drops the events that are not sent: they will have no answer. */
  void drop() {
    outside.clear();
    slots.values().forEach(slot -> slot.parked.clear());
    for (OutstandingEvents<T> lane : lanes) {
      lane.takeWaiting().forEach(event -> leave(event.slot, 1));
    }
  }

  private void settleIfKnown() {
    if (Arrays.stream(phases).noneMatch(phase -> phase == Phase.CONNECTING)) {
      settled = true;
    }
    enter();
  }

  /** Places the events that wait outside, if a lane may take them. */
  private void enter() {
    if (!settled || Arrays.stream(phases).noneMatch(phase -> phase == Phase.UP)) {
      return;
    }
    List<OutstandingEvent<T>> events = outside;
    outside = new ArrayList<>();
    events.forEach(this::place);
  }

  /** Notes that events of a slot are no longer on its lane. */
  private void leave(int number, int count) {
    SlotEvents<T> slot = slots.get(number);
    slot.count -= count;
    if (slot.count == 0) {
      slots.remove(number);
      slot.parked.forEach(this::place);
    }
  }

  /** Returns the first lane in a slot's order that is up; NO_LANE if there is none, or too early. */
  private int target(int slot) {
    if (!settled) {
      return NO_LANE;
    }
    int[] order =
        orders.computeIfAbsent(slot, number -> PersonSlots.addressOrder(number, addresses));
    for (int lane : order) {
      if (phases[lane] == Phase.UP) {
        return lane;
      }
    }
    return NO_LANE;
  }
}

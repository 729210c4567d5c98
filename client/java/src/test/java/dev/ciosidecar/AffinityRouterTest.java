package dev.ciosidecar;

import static dev.ciosidecar.Played.DESTINATION;
import static dev.ciosidecar.Played.TRACK;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.ciosidecar.v1.Batch;
import dev.ciosidecar.v1.ErrorCode;
import dev.ciosidecar.v1.EventDetail;
import dev.ciosidecar.v1.EventError;
import dev.ciosidecar.v1.ItemRef;
import dev.ciosidecar.v1.Limits;
import dev.ciosidecar.v1.Results;
import dev.ciosidecar.v1.TransformStreamRequest;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The order of a person's events, whatever becomes of the sidecars. */
class AffinityRouterTest {
  private static final int SIDECARS = 3;
  private static final List<String> ADDRESSES = List.of("a:1", "b:1", "c:1");
  private static final Limits LIMITS =
      Limits.newBuilder().setMaxBatchEvents(3).setMaxDestinations(9).build();

  /** A batch that a sidecar has, and the positions that are not answered yet. */
  private record Flight(
      long id, List<OutstandingEvent<Integer>> events, List<Integer> unanswered) {}

  /** One sidecar as a stream sees it. */
  private static final class Sidecar {
    boolean connecting = true;
    boolean up;
    final Deque<Flight> flights = new ArrayDeque<>();
    // By slot, an event that the sidecar returned since the lane's call began.
    final Map<Integer, ItemRef> returned = new HashMap<>();
  }

  /** Sidecars that change at random. Checks that no event overtakes another of its slot. */
  private static final class Fleet {
    final Random random;
    final AnswerQueue<Integer> answers;
    final List<OutstandingEvents<Integer>> lanes;
    final AffinityRouter<Integer> router;
    final List<Sidecar> sidecars;
    final List<OutstandingEvent<Integer>> added = new ArrayList<>();

    Fleet(long seed, boolean unordered) {
      random = new Random(seed);
      answers = new AnswerQueue<>(unordered);
      StreamOptions options =
          StreamOptions.builder().maxBatchEvents(3).affinity(Affinity.PERSON).build();
      lanes =
          IntStream.range(0, SIDECARS)
              .mapToObj(lane -> new OutstandingEvents<>(answers, options))
              .toList();
      sidecars = IntStream.range(0, SIDECARS).mapToObj(lane -> new Sidecar()).toList();
      router = new AffinityRouter<>(ADDRESSES, lanes, lane -> assertTrue(sidecars.get(lane).up));
    }

    void step() {
      int lane = random.nextInt(SIDECARS);
      int chance = random.nextInt(330);
      if (chance < 120) {
        add(random.nextInt(6));
      } else if (chance < 200) {
        send(lane);
      } else if (chance < 280) {
        answer(lane, false);
      } else if (chance < 300 && !sidecars.get(lane).up) {
        open(lane);
      } else if (chance < 305 && sidecars.get(lane).up) {
        sidecars.get(lane).up = false;
        router.draining(lane);
      } else if (chance < 312) {
        answer(lane, true);
      } else if (chance < 317) {
        lose(lane);
      } else if (chance == 317) {
        router.settle();
      }
    }

    private void add(int slot) {
      OutstandingEvent<Integer> event =
          answers.add(TRACK, DESTINATION, added.size(), null, slot);
      added.add(event);
      router.place(event);
    }

    void open(int lane) {
      if (!sidecars.get(lane).connecting) {
        lose(lane);
      }
      sidecars.get(lane).connecting = false;
      sidecars.get(lane).up = true;
      lanes.get(lane).connect(LIMITS);
      router.opened(lane);
    }

    void lose(int lane) {
      Sidecar sidecar = sidecars.get(lane);
      sidecar.connecting = false;
      sidecar.up = false;
      sidecar.flights.clear();
      sidecar.returned.clear();
      router.lost(lane);
    }

    void send(int lane) {
      Sidecar sidecar = sidecars.get(lane);
      if (!sidecar.up || !lanes.get(lane).hasWaiting()) {
        return;
      }
      List<OutstandingEvent<Integer>> waiting = new ArrayList<>(lanes.get(lane).takeWaiting());
      waiting.forEach(lanes.get(lane)::enqueue);
      List<TransformStreamRequest> messages = lanes.get(lane).takeMessages();
      Batch batch = messages.get(messages.size() - 1).getBatch();
      List<OutstandingEvent<Integer>> events = waiting.subList(0, batch.getItemsCount());
      Flight flight =
          new Flight(
              batch.getBatchId(),
              events,
              new ArrayList<>(IntStream.range(0, events.size()).boxed().toList()));
      sidecar.flights.add(flight);
      events.forEach(event -> checkOrder(lane, event));
    }

    /** Checks that all older events of the slot are before the event, and no newer one is on its way. */
    private void checkOrder(int lane, OutstandingEvent<Integer> sent) {
      for (OutstandingEvent<Integer> other : added) {
        if (other.slot != sent.slot || other == sent || other.result != null) {
          continue;
        }
        boolean before = false;
        for (int holder = 0; holder < SIDECARS; holder++) {
          List<OutstandingEvent<Integer>> held = inFlight(holder);
          if (held.contains(other)) {
            before = holder == lane && held.indexOf(other) < held.indexOf(sent);
          }
          assertFalse(
              other.position > sent.position && held.contains(other) && !(holder == lane && !before),
              () -> "event " + sent.position + " is sent behind " + other.position);
        }
        assertTrue(
            before || other.position > sent.position,
            () -> "event " + sent.position + " overtakes " + other.position);
      }
    }

    private List<OutstandingEvent<Integer>> inFlight(int lane) {
      return sidecars.get(lane).flights.stream()
          .flatMap(flight -> flight.unanswered().stream().map(flight.events()::get))
          .toList();
    }

    /** Answers some events of the oldest batch; a sidecar that drains returns some of them. */
    void answer(int lane, boolean drains) {
      Sidecar sidecar = sidecars.get(lane);
      Flight flight = sidecar.flights.peek();
      if (flight == null) {
        return;
      }
      Results.Builder results = Results.newBuilder().setBatchId(flight.id());
      for (int count = 1 + random.nextInt(flight.unanswered().size()); count > 0; count--) {
        int position = flight.unanswered().remove(0);
        int slot = flight.events().get(position).slot;
        results.addPositions(position);
        if (sidecar.returned.containsKey(slot)) {
          results.addStatuses(503).addDetails(blocked(position, sidecar.returned.get(slot)));
        } else if (drains && random.nextBoolean()) {
          sidecar.up = false;
          sidecar.returned.put(slot, itemRef(flight, position));
          results.addStatuses(503).addDetails(detail(position, ErrorCode.ERROR_CODE_DRAINING));
        } else {
          results.addStatuses(200);
        }
      }
      if (flight.unanswered().isEmpty()) {
        sidecar.flights.remove();
        results.setBatchComplete(true);
      }
      RecordedResults<Integer> recorded = lanes.get(lane).record(results.build());
      router.answered(recorded.answered());
      router.returned(lane, recorded.returned());
    }

    private static ItemRef itemRef(Flight flight, int position) {
      return ItemRef.newBuilder().setBatchId(flight.id()).setPosition(position).build();
    }

    private static EventDetail detail(int position, ErrorCode code) {
      EventError error = EventError.newBuilder().setCode(code).setRetryable(true).build();
      return EventDetail.newBuilder().setPosition(position).setError(error).build();
    }

    private static EventDetail blocked(int position, ItemRef by) {
      EventDetail detail = detail(position, ErrorCode.ERROR_CODE_BLOCKED);
      return detail.toBuilder().setError(detail.getError().toBuilder().setBlockedBy(by)).build();
    }
  }

  /** No event overtakes another of its slot, is lost, or has an answer twice. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void noEventOvertakesAnotherOfItsSlot(boolean unordered) {
    for (long seed = 0; seed < 300; seed++) {
      Fleet fleet = new Fleet(seed, unordered);
      for (int step = 0; step < 400; step++) {
        fleet.step();
      }
      IntStream.range(0, SIDECARS).forEach(fleet::lose);
      fleet.open(1);
      while (fleet.lanes.get(1).hasUnanswered()) {
        fleet.send(1);
        fleet.answer(1, false);
      }
      List<Integer> answered = new ArrayList<>();
      while (fleet.answers.hasAnswer()) {
        Answer<Integer> answer = fleet.answers.takeAnswer();
        assertEquals(answer.attachment().longValue(), answer.result().position());
        assertEquals(200, answer.result().status());
        answered.add(answer.attachment());
      }
      if (unordered) {
        answered.sort(null);
      }
      assertEquals(IntStream.range(0, fleet.added.size()).boxed().toList(), answered);
      assertEquals(0, fleet.answers.count());
      assertFalse(fleet.router.holdsEvents());
    }
  }
}

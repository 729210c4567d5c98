package dev.ciosidecar;

import static dev.ciosidecar.Played.DESTINATION;
import static dev.ciosidecar.Played.TRACK;
import static dev.ciosidecar.Played.await;
import static dev.ciosidecar.Played.play;
import static dev.ciosidecar.Played.tracks;
import static dev.ciosidecar.Played.upTo;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Streams to real sidecars: order, drain and kill. */
@Timeout(120)
class StreamTest {
  private static final StreamOptions SLOW_TO_SEND =
      StreamOptions.builder().linger(Duration.ofMillis(200)).build();

  /** 1,000 events have 1,000 answers in order, each with its attachment. */
  @Test
  void everyEventComesBackInOrder() throws Exception {
    try (SidecarProcess sidecar = SidecarProcess.start()) {
      Played played = play(sidecar.address(), tracks(1000), StreamOptions.defaults());
      assertEquals(upTo(1000), played.attachments());
      assertEquals(
          LongStream.range(0, 1000).boxed().toList(),
          played.answers().stream().map(answer -> answer.result().position()).toList());
      assertEquals(
          IntStream.range(0, 1000)
              .mapToObj(user -> "https://track.customer.io/api/v1/customers/u" + user + "/events")
              .toList(),
          played.requests().stream().map(ApiRequest::url).toList());
      assertEquals(0, played.reconnects());
    }
  }

  /**
   * A shared request has the positions on the stream and is in the result of the last event that it covers.
   */
  @Test
  void sharedRequestsAreWithTheirLastEvent() throws Exception {
    List<Event> events =
        List.of(
            Event.json("{\"type\":\"group\",\"userId\":\"u1\",\"groupId\":\"g1\"}"),
            Event.json("{\"type\":\"track\",\"userId\":\"u2\",\"event\":\"E\"}"),
            Event.json("{\"type\":\"group\",\"userId\":\"u2\",\"groupId\":\"g2\"}"));
    try (SidecarProcess sidecar = SidecarProcess.start()) {
      Played played = play(sidecar.address(), events, SLOW_TO_SEND);
      assertEquals(
          List.of(List.of(1L), List.of(0L, 2L)),
          played.requests().stream().map(ApiRequest::positions).toList());
      assertEquals(List.of(), played.answers().get(0).result().requests());
      assertEquals(1, played.answers().get(2).result().requests().size());
    }
  }

  /**
   * With more destinations than the sidecar keeps, reference ids are reused and each event keeps its
   * destination.
   */
  @Test
  void moreDestinationsThanTheSidecarKeeps() throws Exception {
    List<Event> events =
        IntStream.range(0, 70)
            .mapToObj(
                index ->
                    TRACK.withDestination(
                        Destination.json(
                            "{\"siteID\":\"site-" + index % 7 + "\",\"apiKey\":\"key\"}")))
            .toList();
    try (SidecarProcess sidecar = SidecarProcess.start("--max-destinations", "3")) {
      List<String> credentials =
          play(sidecar.address(), events, StreamOptions.defaults()).requests().stream()
              .map(request -> request.headers().get("Authorization"))
              .toList();
      assertEquals(7, credentials.stream().distinct().count());
      assertEquals(
          Collections.nCopies(10, credentials.subList(0, 7)).stream()
              .flatMap(List::stream)
              .toList(),
          credentials);
    }
  }

  /** An event that is no JSON has an error with its tag. The other events are not affected. */
  @Test
  void aBrokenEventAmongGoodOnes() throws Exception {
    List<Event> events =
        List.of(TRACK, Event.json("{").withTag(ByteString.copyFromUtf8("job 17")), TRACK);
    try (SidecarProcess sidecar = SidecarProcess.start()) {
      Played played = play(sidecar.address(), events, StreamOptions.defaults());
      assertEquals(List.of(200, 400, 200), played.statuses());
      Result broken = played.answers().get(1).result();
      assertEquals("INVALID_JSON", broken.error().orElseThrow().code());
      assertEquals("job 17", broken.tag().toStringUtf8());
    }
  }

  /** If one of two sidecars drains, its stream moves to the other and every event has one answer. */
  @Test
  void aStreamMovesWhenItsSidecarDrains() throws Exception {
    try (SidecarProcess first = SidecarProcess.start();
        SidecarProcess second = SidecarProcess.start();
        CiosidecarClient client =
            CiosidecarClient.builder().addresses(first.address(), second.address()).build()) {
      // Streams take turns among the addresses, so one of the two streams must move.
      try (EventStream<Integer> stream = client.stream(DESTINATION);
          EventStream<Integer> other = client.stream(DESTINATION)) {
        List<Answer<Integer>> answers = new ArrayList<>();
        List<Answer<Integer>> others = new ArrayList<>();
        CompletableFuture<Void> done = stream.consume(answers::add);
        CompletableFuture<Void> otherDone = other.consume(others::add);
        for (int index = 0; index < 2000; index++) {
          if (index == 1000) {
            first.drain();
          }
          stream.send(TRACK, index);
          other.send(TRACK, index);
        }
        stream.finish();
        other.finish();
        await(done);
        await(otherDone);
        assertEquals(upTo(2000), answers.stream().map(Answer::attachment).toList());
        assertEquals(upTo(2000), others.stream().map(Answer::attachment).toList());
      }
    }
  }

  /** If a sidecar is killed in mid-stream and another starts, every event is answered once. */
  @Test
  void aSidecarIsKilledAndStartedAgain() throws Exception {
    try (SidecarProcess victim = SidecarProcess.start();
        CiosidecarClient client = CiosidecarClient.connect(victim.address());
        EventStream<Integer> stream = client.stream(DESTINATION)) {
      List<Answer<Integer>> answers = new ArrayList<>();
      CompletableFuture<Void> firstAnswer = new CompletableFuture<>();
      CompletableFuture<Void> done =
          stream.consume(
              answer -> {
                answers.add(answer);
                firstAnswer.complete(null);
              });
      for (int index = 0; index < 1000; index++) {
        stream.send(TRACK, index);
      }
      await(firstAnswer);
      victim.kill();
      for (int index = 1000; index < 2000; index++) {
        stream.send(TRACK, index);
      }
      stream.finish();
      try (SidecarProcess again = SidecarProcess.listening(victim.address())) {
        await(done);
        assertEquals(victim.address(), again.address());
      }
      assertEquals(upTo(2000), answers.stream().map(Answer::attachment).toList());
      assertTrue(stream.reconnects() >= 1);
    }
  }
}

package dev.ciosidecar;

import static dev.ciosidecar.Played.DESTINATION;
import static dev.ciosidecar.Played.TRACK;
import static dev.ciosidecar.Played.await;
import static dev.ciosidecar.Played.play;
import static dev.ciosidecar.Played.upTo;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Streams that deliver, through a real sidecar to a Customer.io on loopback. */
@Timeout(180)
class DeliveryTest {
  private static final StreamOptions DELIVERING =
      StreamOptions.builder()
          .delivery(Deliver.defaults())
          .build();

  private static SidecarProcess delivering(SidecarProcess sandbox) throws Exception {
    return SidecarProcess.start("--customerio-url", sandbox.address());
  }

  /** Events of 20 people, each with an id of its own, so that a repeat does no harm. */
  private static List<Event> events(int count) {
    return IntStream.range(0, count)
        .mapToObj(
            index ->
                Event.json(
                    "{\"type\":\"track\",\"userId\":\"u%d\",\"event\":\"E\",\"messageId\":\"m%d\","
                            .formatted(index % 20, index)
                        + "\"originalTimestamp\":\"2026-03-04T05:06:07.000Z\"}"))
        .toList();
  }

  private static JsonNode counters(SidecarProcess sandbox) throws Exception {
    HttpRequest request =
        HttpRequest.newBuilder(URI.create(sandbox.address() + "/sandbox/counters"))
            .version(HttpClient.Version.HTTP_1_1)
            .timeout(Duration.ofSeconds(30))
            .build();
    return new ObjectMapper()
        .readTree(HttpClient.newHttpClient().send(request, BodyHandlers.ofString()).body());
  }

  /** What is delivered says so, what is refused says why, and the sandbox holds what was delivered. */
  @Test
  void resultsSayWhatCustomerioAnswered() throws Exception {
    try (SidecarProcess sandbox = SidecarProcess.sandbox();
        SidecarProcess sidecar = delivering(sandbox)) {
      List<Event> events = new ArrayList<>(events(100));
      events.add(Event.json("{\"type\":\"track\"}"));
      Played played = play(sidecar.address(), events, DELIVERING);
      assertEquals(upTo(101), played.attachments());
      List<Integer> expected = new ArrayList<>(Collections.nCopies(100, 200));
      expected.add(400);
      assertEquals(expected, played.statuses());
      Delivery delivery = played.answers().get(0).result().delivery().orElseThrow();
      assertEquals(1, delivery.attempts());
      assertEquals(200, delivery.httpStatus());
      assertEquals(List.of(), played.requests());
      assertEquals(100, counters(sandbox).get("events").asInt());
    }
  }

  /** A request that an earlier transform gave out is delivered as it is. */
  @Test
  void aPreparedRequestIsDelivered() throws Exception {
    try (SidecarProcess sandbox = SidecarProcess.sandbox();
        SidecarProcess sidecar = delivering(sandbox);
        CiosidecarClient client = CiosidecarClient.connect(sidecar.address())) {
      Request request = client.transform(List.of(TRACK), DESTINATION).get(0).requests().get(0);
      try (EventStream<Void> stream = client.stream(DELIVERING)) {
        List<Result> results = new ArrayList<>();
        CompletableFuture<Void> done = stream.consume(answer -> results.add(answer.result()));
        stream.send(Event.prepared(request));
        stream.finish();
        await(done);
        assertEquals(List.of(200), results.stream().map(Result::status).toList());
      }
      assertEquals(1, counters(sandbox).get("events").asInt());
    }
  }

  /** The sidecar is killed in mid-stream: every event is answered, and is at Customer.io once. */
  @Test
  void aKilledSidecarLosesAndRepeatsNothing() throws Exception {
    try (SidecarProcess sandbox = SidecarProcess.sandbox();
        SidecarProcess victim = delivering(sandbox);
        CiosidecarClient client = CiosidecarClient.connect(victim.address());
        EventStream<Integer> stream = client.stream(DESTINATION, DELIVERING)) {
      List<Answer<Integer>> answers = new ArrayList<>();
      CompletableFuture<Void> some = new CompletableFuture<>();
      CompletableFuture<Void> done =
          stream.consume(
              answer -> {
                answers.add(answer);
                some.complete(null);
              });
      List<Event> events = events(200);
      for (int index = 0; index < events.size(); index++) {
        stream.send(events.get(index), index);
      }
      stream.finish();
      await(some);
      victim.kill();
      try (SidecarProcess again =
          SidecarProcess.listening(
              victim.address(), "--customerio-url", sandbox.address())) {
        await(done);
        assertEquals(victim.address(), again.address());
      }
      assertEquals(upTo(200), answers.stream().map(Answer::attachment).toList());
      assertEquals(
          Collections.nCopies(200, 200),
          answers.stream().map(answer -> answer.result().status()).toList());
      assertEquals(200, counters(sandbox).get("events").asInt());
      assertTrue(stream.reconnects() >= 1);
    }
  }
}

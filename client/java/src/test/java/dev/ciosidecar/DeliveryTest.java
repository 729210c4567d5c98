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

/** Delivery through a real sidecar to a real sandbox. */
@Timeout(180)
class DeliveryTest {
  private static final StreamOptions DELIVERING =
      StreamOptions.builder()
          .delivery(DeliveryOptions.defaults())
          .build();

  private static SidecarProcess delivering(SidecarProcess sandbox) throws Exception {
    return SidecarProcess.start("--customerio-url", sandbox.address());
  }

  /** Returns events of 20 people, each with an id, so that Customer.io ignores a repeat. */
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

  /** Delivered events have status 200, a refused event has 400, and the sandbox has the delivered events. */
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
      DeliveryReport delivery = played.answers().get(0).result().delivery().orElseThrow();
      assertEquals(1, delivery.attempts());
      assertEquals(200, delivery.httpStatus());
      assertEquals(List.of(), played.requests());
      assertEquals(100, counters(sandbox).get("events").asInt());
    }
  }

  /** A request that an earlier call returned is delivered as it is. */
  @Test
  void aPreparedRequestIsDelivered() throws Exception {
    try (SidecarProcess sandbox = SidecarProcess.sandbox();
        SidecarProcess sidecar = delivering(sandbox);
        CiosidecarClient client = CiosidecarClient.connect(sidecar.address())) {
      ApiRequest request = client.transform(List.of(TRACK), DESTINATION).get(0).requests().get(0);
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

  /** A unary Deliver has the results of a stream with delivery. Its options decide what results contain. */
  @Test
  void aBatchIsDeliveredByOneCall() throws Exception {
    try (SidecarProcess sandbox = SidecarProcess.sandbox();
        SidecarProcess sidecar = delivering(sandbox);
        CiosidecarClient client = CiosidecarClient.connect(sidecar.address())) {
      List<Event> events = List.of(TRACK, Event.json("{\"type\":\"track\"}"), TRACK);
      List<Result> results = client.deliver(events, DESTINATION);
      assertEquals(List.of(200, 400, 200), results.stream().map(Result::status).toList());
      assertEquals(List.of(0L, 1L, 2L), results.stream().map(Result::position).toList());
      assertEquals(200, results.get(0).delivery().orElseThrow().httpStatus());
      assertEquals(List.of(), results.get(0).requests());
      assertEquals("MISSING_EVENT_NAME", results.get(1).error().orElseThrow().code());
      DeliveryOptions options =
          DeliveryOptions.defaults()
              .detailLevel(DetailLevel.NOTABLE)
              .includeRequests(true)
              .timeout(Duration.ofSeconds(20));
      Result result = client.deliver(List.of(TRACK), DESTINATION, options).get(0);
      assertEquals(200, result.status());
      assertTrue(result.delivery().isEmpty());
      assertEquals(1, result.requests().size());
      Event prepared = Event.prepared(result.requests().get(0));
      assertEquals(200, client.deliver(List.of(prepared), options).get(0).status());
      assertEquals(4, counters(sandbox).get("events").asInt());
    }
  }

  /** If the sidecar is killed in mid-stream, every event is answered and counts once at the sandbox. */
  @Test
  void aKilledSidecarLosesAndRepeatsNothing() throws Exception {
    try (SidecarProcess sandbox = SidecarProcess.sandbox();
        SidecarProcess victim = delivering(sandbox);
        CiosidecarClient client = CiosidecarClient.connect(victim.address());
        EventStream<Integer> stream = client.stream(DESTINATION, DELIVERING)) {
      List<Answer<Integer>> answers = new ArrayList<>();
      CompletableFuture<Void> firstAnswer = new CompletableFuture<>();
      CompletableFuture<Void> done =
          stream.consume(
              answer -> {
                answers.add(answer);
                firstAnswer.complete(null);
              });
      List<Event> events = events(200);
      for (int index = 0; index < events.size(); index++) {
        stream.send(events.get(index), index);
      }
      stream.finish();
      await(firstAnswer);
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

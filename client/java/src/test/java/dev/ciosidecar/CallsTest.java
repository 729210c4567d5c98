package dev.ciosidecar;

import static dev.ciosidecar.Played.DESTINATION;
import static dev.ciosidecar.Played.TRACK;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import dev.ciosidecar.v1.CheckDestinationResponse;
import dev.ciosidecar.v1.DestinationSettings;
import dev.ciosidecar.v1.RudderEvent;
import io.grpc.Context;
import io.grpc.Status;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Unary calls to a real sidecar. */
@Timeout(120)
class CallsTest {
  private static final String UNUSED_ADDRESS = "127.0.0.1:1";
  private static SidecarProcess sidecar;
  private static CiosidecarClient client;

  @BeforeAll
  static void start() throws Exception {
    sidecar = SidecarProcess.start("--max-batch-events", "5000");
    client = CiosidecarClient.connect(sidecar.address());
  }

  @AfterAll
  static void stop() {
    if (sidecar != null) {
      client.close();
      sidecar.close();
    }
  }

  /**
   * Each event has one result, in order. A shared request is in the result of the last event that it covers.
   */
  @Test
  void aBatchIsTransformed() {
    Event group = Event.json("{\"type\":\"group\",\"userId\":\"u\",\"groupId\":\"g\"}");
    List<Result> results =
        client.transform(
            List.of(TRACK, Event.json("{\"type\":\"track\"}"), group, group), DESTINATION);
    assertEquals(List.of(200, 400, 200, 200), results.stream().map(Result::status).toList());
    assertEquals(List.of(true, false, true, true), results.stream().map(Result::ok).toList());
    ApiRequest request = results.get(0).requests().get(0);
    assertEquals("POST", request.method());
    assertEquals("https://track.customer.io/api/v1/customers/u1/events", request.url());
    assertEquals("v1/customers/events", request.endpointPath());
    assertTrue(request.headers().get("Authorization").startsWith("Basic "));
    assertEquals("MISSING_EVENT_NAME", results.get(1).error().orElseThrow().code());
    assertEquals("instrumentation", results.get(1).error().orElseThrow().type());
    assertEquals(List.of(), results.get(2).requests());
    assertEquals(List.of(2L, 3L), results.get(3).requests().get(0).positions());
  }

  /** The same event as bytes, as text and as fields becomes the same request. */
  @Test
  void everyFormOfAnEventIsTheSameEvent() {
    String json = "{\"type\":\"track\",\"userId\":\"u1\",\"event\":\"Order\"}";
    RudderEvent message =
        RudderEvent.newBuilder().setType("track").setUserId("u1").setEvent("Order").build();
    List<Result> results =
        client.transform(
            List.of(Event.json(json), Event.json(json.getBytes()), Event.typed(message)),
            DESTINATION);
    assertEquals(
        1, results.stream().map(result -> result.requests().get(0).body()).distinct().count());
    assertEquals(1, results.stream().map(result -> result.requests().get(0).url()).distinct().count());
  }

  /** The sidecar repairs an unpaired surrogate in a text and warns. A surrogate pair is kept. */
  @Test
  void anUnpairedSurrogateIsSent() {
    Event event =
        Event.json("{\"type\":\"track\",\"userId\":\"u\",\"event\":\"\uD83D\uDE00 \uD83D\"}");
    Result result = client.transform(List.of(event), DESTINATION).get(0);
    assertEquals("LONE_SURROGATE", result.warnings().get(0).code());
    assertTrue(result.requests().get(0).body().toStringUtf8().contains("\uD83D\uDE00 \uFFFD"));
  }

  /** An empty batch has no results. */
  @Test
  void anEmptyBatch() {
    assertEquals(List.of(), client.transform(List.of(), DESTINATION));
  }

  /** The dashboard's JSON and typed settings mean the same. An event's own destination takes precedence. */
  @Test
  void everyFormOfADestinationIsTheSameDestination() {
    Destination typed =
        Destination.typed(
            DestinationSettings.newBuilder().setSiteId("site").setApiKey("key").build());
    Destination europe =
        Destination.json("{\"siteID\":\"site\",\"apiKey\":\"key\",\"datacenter\":\"EU\"}");
    List<Result> results =
        client.transform(
            List.of(TRACK, TRACK.withDestination(typed), TRACK.withDestination(europe)),
            DESTINATION);
    List<ApiRequest> requests = results.stream().map(result -> result.requests().get(0)).toList();
    assertEquals(requests.get(0).headers(), requests.get(1).headers());
    assertEquals(requests.get(0).url(), requests.get(1).url());
    assertTrue(requests.get(2).url().startsWith("https://track-eu.customer.io/"));
  }

  /** A destination by ref alone needs a ref. A sidecar that does not know it rejects its own events only. */
  @Test
  void aDestinationByRefAlone() {
    assertEquals(Destination.byRef("shop"), Destination.byRef("shop"));
    assertThrows(IllegalArgumentException.class, () -> Destination.byRef(""));
    List<Result> results =
        client.transform(
            List.of(TRACK, TRACK.withDestination(Destination.byRef("nobody"))), DESTINATION);
    assertEquals(200, results.get(0).status());
    assertEquals("INVALID_DESTINATION", results.get(1).error().orElseThrow().code());
  }

  /** The source type, the tag and dont_batch of an event reach the sidecar. */
  @Test
  void fieldsOfAnEventTravelWithIt() {
    Destination device =
        Destination.json(
            "{\"siteID\":\"s\",\"apiKey\":\"k\",\"connectionMode\":{\"web\":\"device\"}}");
    Event group = Event.json("{\"type\":\"group\",\"userId\":\"u\",\"groupId\":\"g\"}");
    List<Result> results =
        client.transform(
            List.of(
                TRACK.withSourceType("web").withTag(ByteString.copyFromUtf8("job")),
                group.withDontBatch(true),
                group),
            device);
    assertEquals(298, results.get(0).status());
    assertEquals("DEVICE_MODE", results.get(0).filterReason().orElseThrow());
    assertEquals("job", results.get(0).tag().toStringUtf8());
    assertEquals(List.of(1L), results.get(1).requests().get(0).positions());
  }

  /** The check of a destination names the wrong setting. */
  @Test
  void aDestinationCanBeChecked() {
    CheckDestinationResponse answer = client.check(Destination.json("{\"siteID\":\"site\"}"));
    assertFalse(answer.getUsable());
    assertEquals("apiKey", answer.getProblems(0).getKey());
    assertTrue(client.check(DESTINATION).getUsable());
  }

  /** The capabilities contain the contract's name and the limits. */
  @Test
  void capabilitiesSayWhatTheSidecarIs() {
    assertEquals("ciosidecar.v1", client.capabilities().getProtocolVersion());
    assertEquals(5000, client.capabilities().getLimits().getMaxBatchEvents());
  }

  /** A batch above the limit fails the call, and the exception has the sidecar's message. */
  @Test
  void aRefusedCallSaysHow() {
    SidecarException refusal =
        assertThrows(
            SidecarException.class,
            () -> client.transform(Collections.nCopies(5001, TRACK), DESTINATION));
    assertEquals(Status.Code.INVALID_ARGUMENT, refusal.code());
    assertTrue(refusal.getMessage().contains("batch.items"), refusal.getMessage());
  }

  /** If no sidecar listens, a call fails with UNAVAILABLE after gRPC's own retries. */
  @Test
  void aCallWithoutASidecarIsUnavailable() {
    try (CiosidecarClient unconnected = CiosidecarClient.connect(UNUSED_ADDRESS)) {
      SidecarException failure = assertThrows(SidecarException.class, unconnected::capabilities);
      assertEquals(Status.Code.UNAVAILABLE, failure.code());
    }
  }

  /** A call ends at its deadline. */
  @Test
  void aDeadlineIsKept() {
    SidecarException failure =
        assertThrows(
            SidecarException.class,
            () ->
                client.transform(
                    Collections.nCopies(5000, TRACK), DESTINATION, Duration.ofMillis(1)));
    assertEquals(Status.Code.DEADLINE_EXCEEDED, failure.code());
  }

  /** A cancelled Context of gRPC cancels a waiting call. */
  @Test
  void aContextCancelsACall() throws Exception {
    try (ScriptedSidecar silent = new ScriptedSidecar();
        CiosidecarClient waiting = CiosidecarClient.connect(silent.address());
        Context.CancellableContext context = Context.current().withCancellation()) {
      silent.whenCalled(() -> context.cancel(null));
      SidecarException failure =
          assertThrows(
              SidecarException.class,
              () -> context.call(() -> waiting.transform(List.of(TRACK), DESTINATION)));
      assertEquals(Status.Code.CANCELLED, failure.code());
    }
  }

  /** A Context that has ended before the call, or ends while it begins, fails the call as any other end. */
  @Test
  void aContextThatEndsEarlyCancelsACall() throws Exception {
    try (ScriptedSidecar silent = new ScriptedSidecar();
        CiosidecarClient waiting = CiosidecarClient.connect(silent.address())) {
      for (int call = 0; call < 200; call++) {
        Context.CancellableContext context = Context.current().withCancellation();
        Thread ending = new Thread(() -> context.cancel(null));
        if (call == 0) {
          context.cancel(null);
        }
        ending.start();
        SidecarException failure =
            assertThrows(
                SidecarException.class,
                () -> context.call(() -> waiting.transform(List.of(TRACK), DESTINATION)));
        assertEquals(Status.Code.CANCELLED, failure.code());
        ending.join();
      }
    }
  }

  /** An interrupted caller stops waiting, and stays interrupted. */
  @Test
  void anInterruptEndsACall() throws Exception {
    Thread caller = Thread.currentThread();
    try (ScriptedSidecar silent = new ScriptedSidecar();
        CiosidecarClient waiting = CiosidecarClient.connect(silent.address())) {
      silent.whenCalled(caller::interrupt);
      SidecarException failure =
          assertThrows(
              SidecarException.class, () -> waiting.transform(List.of(TRACK), DESTINATION));
      assertEquals(Status.Code.CANCELLED, failure.code());
      assertTrue(Thread.interrupted());
    }
  }

  /** Texts for logs contain no credentials and no personal data. */
  @Test
  void nothingSecretIsPrinted() {
    Destination secret = Destination.json("{\"siteID\":\"site\",\"apiKey\":\"s3cret\"}").named("shop");
    String printed =
        secret + " " + TRACK + " " + client.transform(List.of(TRACK), secret).get(0);
    assertTrue(printed.contains("shop"));
    assertFalse(printed.contains("s3cret"));
    assertFalse(printed.contains("Basic"));
    assertFalse(printed.contains("Order"));
  }

  /** A closed client makes no calls and opens no streams. */
  @Test
  void aClosedClientIsClosed() {
    // Often, because the client's threads may end before the call or after it.
    for (int time = 0; time < 50; time++) {
      CiosidecarClient closed = CiosidecarClient.connect(sidecar.address());
      closed.close();
      closed.close();
      assertThrows(SidecarException.class, closed::capabilities);
      assertThrows(IllegalStateException.class, () -> closed.stream(DESTINATION));
    }
  }
}
